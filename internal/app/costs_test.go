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
	const rows, page, slots = 80_000, 30, 4
	c := newCluster(t, "page_rows: 30", "page_rows_max: 30", "unit_rows: 5000")
	c.ownSource()
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

	sorts := func() (n int) {
		for _, counter := range []string{"Sort_range", "Sort_scan"} {
			var name string
			var value int
			require.NoError(t, c.source.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE '"+counter+"'").Scan(&name, &value))
			n += value
		}
		return n
	}

	c.announce(ka(1001, time.Now().Add(time.Minute)))
	c.until(soon, "coupons are being loaded", func() bool { return done() > rows/10 })
	require.Zero(t, c.number("SELECT COUNT(*) FROM switches"), "all is well")
	alter("(shop_id, title)") // by which a page is found by sorting the whole shop
	before := sorts()
	require.Less(t, done(), rows*9/10, "there is something left to catch")
	c.until(soon, "the dataset is stopped", func() bool {
		return c.number("SELECT COUNT(*) FROM switches WHERE kind = 'dataset' AND id = 'coupons'") == 1
	})
	c.until(soon, "nothing of it is running", func() bool {
		return c.number("SELECT COUNT(*) FROM units WHERE dataset = 'coupons' AND state = 'running'") == 0
	})
	// Some of what is recorded was read before the index changed, so that the server says how many pages were found by sorting since.
	require.LessOrEqual(t, (sorts()-before+slots)*page, rows/100, "within a hundredth of its rows, with the pages that were under way")
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
