package feed

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestAStatementTouchesTheTablesThatItNames(t *testing.T) {
	t.Parallel()
	tables := []string{"shop_users", "t"}
	for statement, want := range map[string]bool{
		"TRUNCATE TABLE shop_users":                true,
		"alter table `app`.`Shop_Users` add x int": true,
		"RENAME TABLE t TO old, new_t TO t":        true,
		"ALTER TABLE shop_users_old ADD x INT":     false,
		"CREATE TABLE other (shop_users_id INT)":   false,
		"ANALYZE TABLE shop_users":                 false,
		"GRANT SELECT ON t TO somebody":            false,
		"UPDATE t SET a = 1":                       true,
		"":                                         false,
	} {
		require.Equal(t, want, touches(statement, tables), statement)
	}
}

func TestTheLagGrowsWhileAFeedIsNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		l := NewLag(reg, "binlog:main")
		require.Zero(t, l.now())
		l.read(time.Now().Add(-3500 * time.Millisecond))
		require.Equal(t, 3*time.Second, l.now(), "the servers tell whole seconds")
		l.broken()
		time.Sleep(time.Minute)
		l.broken()
		require.Equal(t, 63*time.Second, l.now())
		l.read(time.Time{})
		require.Zero(t, l.now())
		l.broken()
		time.Sleep(time.Minute)
		l.off()
		require.Zero(t, l.now(), "another pod reads it")
		families, err := reg.Gather()
		require.NoError(t, err)
		require.Equal(t, "prewarm_feed_lag_seconds", families[0].GetName())
	})
}
