package guard

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// scanned has one shop of 40,000 rows among others, with a secondary index on (shop, id).
func scanned(t testing.TB, rows int) *sql.Conn {
	t.Helper()
	db := openDB(t, testenv.MySQL(t))
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	for _, q := range []string{
		"CREATE TABLE u (pk INT AUTO_INCREMENT PRIMARY KEY, shop INT, id INT, v VARCHAR(200), KEY s (shop, id))",
		fmt.Sprintf("INSERT INTO u (shop, id, v) SELECT IF(seq %% 4 = 0, 2, 1), seq, REPEAT('x', 150) FROM seq_1_to_%d", rows),
		"ANALYZE TABLE u",
	} {
		rows, err := conn.QueryContext(t.Context(), q)
		require.NoError(t, err)
		require.NoError(t, rows.Close())
	}
	return conn
}

func readRows(t testing.TB, c *sql.Conn, query string, args ...any) (rows int64, last int) {
	t.Helper()
	got, err := c.QueryContext(t.Context(), query, args...)
	require.NoError(t, err)
	for got.Next() {
		var v string
		require.NoError(t, got.Scan(&last, &v))
		rows++
	}
	require.NoError(t, got.Err())
	require.NoError(t, got.Close())
	return rows, last
}

// Pages of 400 rows of a shop of 750,000: the check must speak within the first 7,500 rows.
func TestADegeneratePageQueryIsFoundWithinAHundredthOfItsRows(t *testing.T) {
	t.Parallel()
	const shopRows, pageRows = 75_000, 400 // the first tenth of it is enough to test with
	c := scanned(t, shopRows*4/3)
	for name, q := range map[string]struct {
		query string
		bad   bool
	}{
		"a range on the index": {"SELECT id, v FROM u WHERE shop >= ? AND shop <= ? AND (id > ? OR shop > ?) ORDER BY shop, id LIMIT 400", false},
		"a scan from the shop's first row": {
			"SELECT id, v FROM u FORCE INDEX (s) WHERE shop = ? AND shop = ? AND id + 0 > ? AND ? > 0 ORDER BY id LIMIT 400", true},
	} {
		t.Run(name, func(t *testing.T) {
			var cost Cost
			var m CostMeter
			last, done := 0, int64(0)
			for page := int64(0); page < 40 && !cost.Stopped; page++ {
				if CostDue(page) {
					require.NoError(t, m.Begin(t.Context(), c))
				}
				rows, newest := readRows(t, c, q.query, 1, 1, last, 1)
				require.EqualValues(t, pageRows, rows)
				if CostDue(page) {
					examined, err := m.End(t.Context(), c)
					require.NoError(t, err)
					require.GreaterOrEqual(t, examined, rows)
					cost = cost.Step(rows, examined)
				}
				last, done = newest, done+rows
			}
			require.Equal(t, q.bad, cost.Stopped, "%+v", cost)
			if q.bad {
				require.LessOrEqual(t, done, int64(shopRows*10/100), "7,500 rows are a hundredth of a shop of 750,000")
				require.Contains(t, cost.Reason, ">= 4.0")
			}
		})
	}
}

func TestReadingTheCountersCountsAsNothing(t *testing.T) {
	t.Parallel()
	c := scanned(t, 1000)
	var m CostMeter
	require.NoError(t, m.Begin(t.Context(), c))
	examined, err := m.End(t.Context(), c)
	require.NoError(t, err)
	require.Zero(t, examined)
}

// The overhead of the check: readings alone, and a page of 400 rows to compare them with.
func BenchmarkPageCost(b *testing.B) {
	c := scanned(b, 4000)
	b.Run("reading", func(b *testing.B) {
		for b.Loop() {
			_, err := RowsExamined(b.Context(), c)
			require.NoError(b, err)
		}
	})
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			readRows(b, c, "SELECT id, v FROM u WHERE shop = 1 AND id > 100 ORDER BY id LIMIT 400")
		}
	})
	b.Run("status", func(b *testing.B) {
		db := openDB(b, testenv.MySQL(b))
		for b.Loop() {
			_, err := ReadThreadsRunning(b.Context(), db)
			require.NoError(b, err)
		}
	})
}
