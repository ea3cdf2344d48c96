package app_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// refreshed gives the cluster's datasets refreshes every second, and the users a column to find changed ones by.
func (c *cluster) refreshed() {
	c.t.Helper()
	c.change("ALTER TABLE shop_users ADD COLUMN changed DATETIME(6) NOT NULL DEFAULT NOW(6) ON UPDATE NOW(6), ADD KEY changed (shop_id, changed)")
	text, err := os.ReadFile(c.config)
	require.NoError(c.t, err)
	config := strings.ReplaceAll(string(text), "    value: json_array\n", "    value: json_array\n    refresh: {every: 1s}\n")
	config = strings.ReplaceAll(config, "    where: deleted_at IS NULL\n", "    where: deleted_at IS NULL\n    changed_at: changed\n    refresh: {every: 1s}\n")
	require.NoError(c.t, os.WriteFile(c.config, []byte(config), 0o600))
}

// asOf is what a shop's ready flag says of the time that it is fresh as of, by dataset.
func (c *cluster) asOf(flag string) (asOf map[string]time.Time) {
	c.t.Helper()
	var f struct {
		AsOf     time.Time            `json:"as_of"`
		Datasets map[string]time.Time `json:"datasets"`
	}
	text := c.queue.Get(c.t.Context(), flag).Val()
	require.NoError(c.t, json.Unmarshal([]byte(text), &f), text)
	for _, at := range f.Datasets {
		require.False(c.t, at.Before(f.AsOf))
	}
	return f.Datasets
}

func TestChangedRowsAreFoundWithoutBeingTold(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 300)
	c.refreshed()
	c.inProcess()
	began := time.Now()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.fresh(1001)
	flag := "prewarm:{1001}:ready:b-1"
	c.until(soon, "flag", func() bool { return c.queue.Exists(t.Context(), flag).Val() == 1 })
	first := c.asOf(flag)
	require.Len(t, first, 5)
	for _, at := range first {
		require.WithinRange(t, at, began.Add(-time.Second), time.Now().Add(time.Second))
	}

	c.change(
		"UPDATE shop_users SET nickname = 'edited' WHERE shop_id = 1001 AND user_id < 100",
		"UPDATE shop_users SET deleted_at = NOW() WHERE shop_id = 1001 AND user_id = 9",
		"INSERT INTO shop_users (shop_id, user_id, nickname, level, balance) VALUES (1001, 100000, 'new', 1, 2.5)",
		"DELETE FROM staff WHERE id = 1001001",
	)
	c.fresh(1001)
	changed := time.Now()
	c.until(soon, "the boundary moves on", func() bool {
		now := c.asOf(flag)
		return now["users"].After(changed) && now["staff"].After(changed) && now["products"].Equal(first["products"])
	})
}
