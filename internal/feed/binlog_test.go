package feed

import (
	"database/sql"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/binlog"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
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

func TestABinlogThatIsBegunAnewIsNotTakenForASilentOne(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	s, err := source.Open(t.Context(), "main", config.Source{DSN: server.DSN}, 4)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	db, err := sql.Open("mysql", server.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	exec := func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	at, err := s.BinlogPosition(t.Context())
	require.NoError(t, err)
	stream, err := s.ReadBinlog(t.Context(), 1<<31+13, at)
	require.NoError(t, err)
	defer stream.Close()
	exec("CREATE TABLE t (id INT PRIMARY KEY)")
	b := &Binlog{Source: s, stream: stream, checked: time.Now()}
	for b.since.IsZero() {
		require.NoError(t, b.next(t.Context()))
	}
	b.since, b.checked = time.Time{}, time.Now().Add(-2*binlogCheck)
	require.NoError(t, b.next(t.Context()), "nothing has happened")
	if testenv.IsMariaDB(t, db) {
		exec("RESET MASTER")
	} else {
		exec("RESET BINARY LOGS AND GTIDS")
	}
	b.since, b.checked = time.Time{}, time.Now().Add(-2*binlogCheck)
	exec("CREATE TABLE other (id INT PRIMARY KEY)")
	require.ErrorContains(t, b.next(t.Context()), "wait for a commit")
	again, err := s.ReadBinlog(t.Context(), 1<<31+14, stream.Position.String())
	require.NoError(t, err)
	defer again.Close()
	for deadline := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(deadline); {
		_, err = again.Next(binlog.Silence)
	}
	require.ErrorIs(t, err, binlog.ErrPurged, "this is told")
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
