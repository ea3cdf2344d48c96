package app_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// EnvOverrun is how many users the overrun's shop has; 1000000 says how long it takes.
const EnvOverrun = "PREWARM_OVERRUN_KEYS"

// ways are datasets with every way of writing and every kind of value that is found in the cache or has one key.
const ways = `
datasets:
  - name: staff
    query: SELECT id, name, role FROM staff WHERE shop_id = :shop ORDER BY id
    key: shop:{shop}:staff
    value: json_array
  - name: marketing
    query: SELECT id, kind, text FROM marketing WHERE shop_id = :shop ORDER BY id
    key: shop:{shop}:marketing
    value: hash
    field: "{id}"
  - name: users
    table: shop_users
    shop: shop_id
    by: [user_id]
    columns: [user_id, nickname, level]
    where: deleted_at IS NULL
    key: user:{shop}:{user_id}
    value: json
  - name: products
    table: products
    shop: shop_id
    by: [product_id]
    columns: [product_id, title, price, stock, note]
    key: product:{shop}:{product_id}
    value: hash
  - name: newer
    table: products
    shop: shop_id
    by: [product_id]
    columns: [product_id, title, stock]
    key: newer:{shop}:{product_id}
    value: json
    write: newer
    version: stock
  - name: missing
    table: products
    shop: shop_id
    by: [product_id]
    columns: [product_id, title]
    key: missing:{shop}:{product_id}
    value: json
    write: missing
`

// sourceReads is how many rows the server has read of the source's tables, by its own counting.
func sourceReads(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	const maria, mysql = `SELECT COALESCE(SUM(ROWS_READ), 0) FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = DATABASE()`,
		`SELECT COALESCE(SUM(COUNT_READ), 0) FROM performance_schema.table_io_waits_summary_by_table WHERE OBJECT_SCHEMA = DATABASE()`
	if err := db.QueryRowContext(t.Context(), maria).Scan(&n); err != nil {
		require.NoError(t, db.QueryRowContext(t.Context(), mysql).Scan(&n))
	}
	return n
}

// cachedExpiries are the expiries of all keys but prewarm's own.
func (c *cluster) cachedExpiries() map[string]int64 {
	c.t.Helper()
	all := map[string]int64{}
	for cursor := uint64(0); ; {
		keys, next, err := c.cache.Scan(c.t.Context(), cursor, "*", 5000).Result()
		require.NoError(c.t, err)
		replies := make([]*redis.DurationCmd, len(keys))
		_, err = c.cache.Pipelined(c.t.Context(), func(p redis.Pipeliner) error {
			for i, key := range keys {
				replies[i] = p.PExpireTime(c.t.Context(), key)
			}
			return nil
		})
		require.NoError(c.t, err)
		for i, key := range keys {
			if !strings.HasPrefix(key, "prewarm:") {
				all[key] = replies[i].Val().Milliseconds()
			}
		}
		if cursor = next; cursor == 0 {
			return all
		}
	}
}

func TestAnOverrunMovesEveryExpiryWithoutReadingTheSource(t *testing.T) {
	t.Parallel()
	users, limit := 3000, soon
	if n, err := strconv.Atoi(os.Getenv(EnvOverrun)); err == nil {
		users, limit = n, time.Hour
	}
	c := newCluster(t, "unit_rows: 10000")
	server := testenv.OwnMySQL(t, "--loose-userstat=1", "--performance-schema=ON") // MariaDB's way of counting, and MySQL's
	c.source = openMySQL(t, server.DSN)
	for _, table := range schema {
		_, err := c.source.ExecContext(t.Context(), table)
		require.NoError(t, err)
	}
	text, err := os.ReadFile(c.write(c.ledgerDSN, server.DSN, "unit_rows: 10000"))
	require.NoError(t, err)
	head, _, _ := strings.Cut(string(text), "\ndatasets:")
	c.config = filepath.Join(t.TempDir(), "ways.yaml")
	require.NoError(t, os.WriteFile(c.config, []byte(head+ways), 0o600))
	seed(t, c.source, 1001, 3000)
	_, err = c.source.ExecContext(t.Context(), "INSERT INTO shop_users (shop_id, user_id, nickname, level, balance) SELECT 1001, 100000 + seq, 'more', 1, 1 FROM "+testenv.Numbers(1, max(users-3000, 1)))
	require.NoError(t, err)

	p := c.inProcess()
	b := ka(1001, time.Now().Add(time.Minute))
	c.announce(b)
	c.becomes(limit, 1001, "ready")
	c.until(soon, "announced", func() bool { return c.number("SELECT COUNT(*) FROM runs WHERE flagged_us > 0") == 1 })
	alike := map[string]time.Time{
		"user:1001:settings": b.ends().Add(40 * time.Minute), "user:1001:777777777": b.ends().Add(35*time.Minute + 1234567*time.Microsecond),
		"user:1001:3:cart": b.ends().Add(time.Hour), "missing:1001:777777777": b.ends().Add(3 * time.Minute),
	}
	for key, at := range alike {
		require.NoError(t, c.cache.Do(t.Context(), "set", key, "theirs", "pxat", at.UnixMilli()).Err())
	}
	before, reads, rows := c.cachedExpiries(), sourceReads(t, c.source), c.number("SELECT SUM(rows_done) FROM units")
	require.Greater(t, reads, users, "the server counts")

	b["ends_at"] = b.ends().Add(2 * time.Hour)
	began := time.Now()
	o := p.post(t, "/v1/requests", request(b))["outcomes"].([]any)[0].(map[string]any)
	require.Equal(t, "rescheduled", o["outcome"])
	c.until(limit, "every expiry moved", func() bool {
		_, state, _ := c.run(1001)
		require.Equal(t, "ready", state, "all the time")
		return c.number("SELECT COUNT(*) FROM units WHERE state <> 'done' OR touch = 1") == 0
	})
	took := time.Since(began)
	require.Equal(t, reads, sourceReads(t, c.source))
	after := c.cachedExpiries()
	require.Len(t, after, len(before))
	for key, was := range before {
		if _, theirs := alike[key]; !theirs {
			was += (2 * time.Hour).Milliseconds()
		}
		if after[key] != was {
			t.Fatalf("%s expires at %d, not at %d", key, after[key], was)
		}
	}
	require.Equal(t, rows, c.number("SELECT SUM(rows_done) FROM units"))
	require.Contains(t, p.get(t, "/metrics"), fmt.Sprintf("prewarm_expiries_moved_total{dataset=%q}", "users"))
	t.Logf("%d keys in %s", len(after)-len(alike), took.Round(time.Millisecond))
}
