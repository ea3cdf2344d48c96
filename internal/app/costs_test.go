package app_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// couponSets are two datasets on a secondary index; the condition of the second drops 99 of 100 rows.
const couponSets = `
  - name: coupons
    table: coupons
    shop: shop_id
    by: [code]
    columns: [code, title]
    key: coupon:{shop}:{code}
  - name: rare
    table: coupons
    shop: shop_id
    by: [code]
    columns: [code, title]
    where: code % 100 = 0
    key: rare:{shop}:{code}
`

func TestADatasetWhosePlanGoesBadIsStoppedAloneAndGoesOnWhenItIsMended(t *testing.T) {
	t.Parallel()
	const rows = 60_000
	c := newCluster(t, "page_rows: 30", "page_rows_max: 30", "unit_rows: 5000")
	config, err := os.OpenFile(c.config, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = config.WriteString(couponSets)
	require.NoError(t, err)
	require.NoError(t, config.Close())
	alter := func(index string) {
		_, err := c.source.ExecContext(t.Context(), "ALTER TABLE coupons DROP INDEX by_code, ADD INDEX by_code "+index)
		require.NoError(t, err)
	}
	_, err = c.source.ExecContext(t.Context(), `CREATE TABLE coupons (id BIGINT AUTO_INCREMENT PRIMARY KEY, shop_id BIGINT NOT NULL, code INT NOT NULL,
		title VARCHAR(100) NOT NULL, UNIQUE KEY by_code (shop_id, code)) CHARSET=utf8mb4`)
	require.NoError(t, err)
	insert(t, c.source, "coupons (shop_id, code, title)", rows, func(i int) string { return fmt.Sprintf("(1001, %d, 'coupon %d')", i, i) })
	seed(t, c.source, 1001, 1000)
	p := c.inProcess()
	c.serve()
	done := func() int { return c.number("SELECT COALESCE(SUM(rows_done), 0) FROM units WHERE dataset = 'coupons'") }

	c.announce(ka(1001, time.Now().Add(time.Minute)))
	c.until(soon, "coupons are being loaded", func() bool { return done() > rows/10 })
	require.Zero(t, c.number("SELECT COUNT(*) FROM switches"), "all is well")
	p.ask(t, "PUT", "/v1/width", map[string]any{"pause": true, "for": "10m", "reason": "so that all that was read is recorded before the index changes"})
	before, since := done(), time.Now()
	c.until(soon, "nothing is recorded any more", func() bool {
		if now := done(); now > before {
			before, since = now, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
	require.Less(t, before, rows*9/10, "there is something left to catch")
	alter("(shop_id, title)") // by which a page is found by sorting the whole shop
	p.ask(t, "DELETE", "/v1/width/override", nil)
	c.until(soon, "the dataset is stopped", func() bool {
		return c.number("SELECT COUNT(*) FROM switches WHERE kind = 'dataset' AND id = 'coupons'") == 1
	})
	c.until(soon, "nothing of it is running", func() bool {
		return c.number("SELECT COUNT(*) FROM units WHERE dataset = 'coupons' AND state = 'running'") == 0
	})
	require.LessOrEqual(t, done()-before, rows/100, "within a hundredth of its rows")
	var why string
	require.NoError(t, c.ledger.QueryRowContext(t.Context(), "SELECT why FROM switches WHERE id = 'coupons'").Scan(&why))
	require.Contains(t, why, "rows examined for each")
	require.Contains(t, why, "filesort")
	c.until(soon, "all else is loaded, or stopped for the same reason", func() bool {
		return c.number("SELECT COUNT(*) FROM units WHERE dataset NOT IN ('coupons', 'rare') AND state <> 'done'") == 0
	})
	_, state, _ := c.run(1001)
	require.Equal(t, "warming", state)

	alter("(shop_id, code)")
	p.post(t, "/v1/datasets/coupons/resume", map[string]any{"reason": "mended"})
	if c.number("SELECT COUNT(*) FROM switches") > 0 {
		p.post(t, "/v1/datasets/rare/resume", map[string]any{"reason": "mended"})
	}
	c.becomes(failover, 1001, "ready")
	require.Equal(t, rows, done())
	require.Equal(t, rows/100, c.number("SELECT SUM(rows_done) FROM units WHERE dataset = 'rare'"))
	require.Zero(t, c.number("SELECT COUNT(*) FROM switches"))
}
