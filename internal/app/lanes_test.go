package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// runsLike copies the only run of the ledger for n more shops.
func (c *cluster) runsLike(n int) {
	c.t.Helper()
	var columns string
	require.NoError(c.t, c.ledger.QueryRowContext(c.t.Context(), `SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) FROM information_schema.columns
		WHERE table_schema = DATABASE() AND table_name = 'runs' AND extra NOT LIKE '%GENERATED%'`).Scan(&columns))
	values := strings.Split(columns, ",")
	for i, name := range values {
		switch name {
		case "run_id":
			values[i] = "LPAD(n.n, 32, '0')"
		case "shop_id":
			values[i] = "5000 + n.n"
		case "broadcast_id":
			values[i] = "CONCAT('b-', n.n)"
		case "starts_us", "deadline_us", "ends_us", "planned_start_us":
			values[i] = name + " + n.n * 1000000"
		}
	}
	_, err := c.ledger.ExecContext(c.t.Context(), "INSERT INTO runs ("+columns+") WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?) SELECT "+
		strings.Join(values, ", ")+" FROM runs, n", n)
	require.NoError(c.t, err)
}

// How long the browser works for an event is logged, with the median over those that came.
func TestFiveHundredLanes(t *testing.T) {
	t.Parallel()
	browser := testenv.NewBrowser(t)
	c := newCluster(t)
	c.guarded()
	seed(t, c.source, 1001, 50)
	pod := c.inProcess()
	c.announce(ka(1001, time.Now().Add(5*time.Hour)))
	c.becomes(soon, 1001, "planned")
	c.runsLike(499)
	b := logIn(t, browser.Page(1400, 900, false), pod.url, boardOperator)
	b.Until(soon, `document.querySelectorAll("#lanes li").length === 500`)
	for _, state := range []string{"warming", "ready"} {
		_, err := c.ledger.ExecContext(t.Context(), "UPDATE runs SET state = ?, updated_us = updated_us + 1 WHERE shop_id <> '1001'", state)
		require.NoError(t, err)
		b.Until(soon, `document.querySelectorAll("#lanes li.`+state+`").length === 499`)
	}
	var took struct{ All, Changes float64 }
	b.Eval(`(() => { const of = (name) => performance.getEntriesByName(name).map((e) => e.duration).sort((a, b) => a - b);
		const middle = (list) => list[list.length >> 1] || 0; return {all: middle(of("board-tonight")), changes: Math.max(0, ...of("board-change"))}; })()`, &took)
	t.Logf("all lanes drawn in %.0f ms, 499 changed ones in %.0f ms at most", took.All, took.Changes)
	require.Empty(t, b.Complaints())
}
