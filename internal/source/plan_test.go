package source

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// bigShops makes three shops of 16,384 rows each, whose ids are interleaved.
func bigShops(t testing.TB, keys string) *env {
	t.Helper()
	e := newEnv(t, "CREATE TABLE big (shop VARCHAR(20) NOT NULL, id BIGINT NOT NULL, a INT NOT NULL, note VARCHAR(200), "+keys+")",
		"INSERT INTO big VALUES ('x', 1, 1, REPEAT('n', 100)), ('y', 2, 1, 'n'), ('z', 3, 1, 'n')")
	for n := 1; n < 16_384; n *= 2 {
		e.exec(t, fmt.Sprintf("INSERT INTO big SELECT shop, id + 3 * %d, (id + 3 * %d) %% 97, note FROM big", n, n))
	}
	e.exec(t, "ANALYZE TABLE big")
	return e
}

func bigSpec(by ...string) dataset.Spec {
	return dataset.Spec{Name: "big", Table: "big", Shop: "shop", By: by, Columns: []string{"id", "note"},
		Key: "big:{shop}:{" + strings.Join(by, "}:{") + "}", Where: "note IS NOT NULL"}
}

// handlers are the session's counters of rows that were touched in tables and indexes.
func handlers(t testing.TB, db *sql.DB) map[string]int {
	t.Helper()
	counts := map[string]int{}
	rows, err := db.QueryContext(t.Context(), "SHOW SESSION STATUS LIKE 'Handler\\_%'")
	require.NoError(t, err)
	defer rows.Close()
	require.NoError(t, eachRow(rows, func(_ []string, row []sql.RawBytes) {
		counts[string(row[0])], _ = strconv.Atoi(string(row[1]))
	}))
	return counts
}

// touched is how many rows f touched.
func touched(t testing.TB, db *sql.DB, f func()) int {
	t.Helper()
	before := handlers(t, db)
	f()
	total := 0
	for name, n := range handlers(t, db) {
		if strings.HasPrefix(name, "Handler_read") || name == "Handler_icp_attempts" {
			total = max(total, n-before[name])
		}
	}
	return total
}

// commands is how many of a kind the session has run.
func commands(t testing.TB, db *sql.DB, kind string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Com\\_"+kind+"'").Scan(new(string), &n))
	return n
}

// few is how many rows a page of 200 may touch: both ends of its ranges are looked at too.
const few = 210

func TestAPageTouchesItsOwnRowsOnlyWhereverItBegins(t *testing.T) {
	t.Parallel()
	for keys, by := range map[string][]string{
		"PRIMARY KEY (shop, id)":           {"id"},
		"PRIMARY KEY (id), KEY k (shop)":   {"id"},
		"PRIMARY KEY (id), KEY (shop, a)":  {"a", "id"},
		"UNIQUE KEY (shop, a, id), KEY(a)": {"a", "id"},
	} {
		t.Run(keys, func(t *testing.T) {
			t.Parallel()
			e := bigShops(t, keys)
			b := e.bind(t, bigSpec(by...))
			e.db.SetMaxOpenConns(1)
			late, _, err := b.along(t.Context(), "y", nil, 16_000, false)
			require.NoError(t, err)
			later, _, err := b.along(t.Context(), "y", nil, 16_300, false)
			require.NoError(t, err)
			early, _, err := b.along(t.Context(), "y", nil, 10, false)
			require.NoError(t, err)
			for _, from := range []string{early, early, late, early, late} { // it is prepared on the way
				n := touched(t, e.db, func() {
					page, err := b.ReadPage(t.Context(), "y", from, later, 200, visitor(func([]sql.RawBytes) bool { return true }))
					require.NoError(t, err)
					require.Equal(t, 200, page.Rows)
				})
				require.LessOrEqual(t, n, few)
			}
			require.Positive(t, commands(t, e.db, "stmt_execute"))
			n := touched(t, e.db, func() {
				after, err := b.args(late)
				require.NoError(t, err)
				_, _, err = b.hop(t.Context(), "y", after, 100, false)
				require.NoError(t, err)
			})
			require.LessOrEqual(t, n, few)
			n = touched(t, e.db, func() {
				count, err := b.Count(t.Context(), "y", 100)
				require.NoError(t, err)
				require.EqualValues(t, 100, count)
			})
			require.LessOrEqual(t, n, few)

			report, err := b.PlanCheck(t.Context(), "y")
			require.NoError(t, err)
			require.True(t, report.Range, report.Text)
			require.Equal(t, b.index.Name, report.Index)
			require.Contains(t, report.Text, "type=range")
		})
	}
}

// TestTheTextbookQueryTouchesTheShopFromItsStart is why Scan does not write it, and shows that the counters would tell.
func TestTheTextbookQueryTouchesTheShopFromItsStart(t *testing.T) {
	t.Parallel()
	e := bigShops(t, "PRIMARY KEY (id), KEY k (shop)")
	if !e.mariadb() {
		return // measured on MariaDB
	}
	e.db.SetMaxOpenConns(1)
	n := touched(t, e.db, func() {
		_, err := readStrings(t.Context(), e.db, "SELECT id FROM big WHERE shop = 'y' AND id > ? AND note IS NOT NULL ORDER BY id LIMIT 200", 3*8_000)
		require.NoError(t, err)
	})
	require.Greater(t, n, 8_000)
}

func TestHopsAndCountsReadTheIndexAlone(t *testing.T) {
	t.Parallel()
	e := bigShops(t, "PRIMARY KEY (id), KEY k (shop, a)")
	b := e.bind(t, bigSpec("a", "id"))
	s := b.scan("y")
	s.Select, s.After, s.Limit, s.Offset = []string{"`a`", "`id`"}, []any{int64(5), int64(7)}, 1, 999
	plan, err := b.src.dialect.Explain(t.Context(), e.db, s)
	require.NoError(t, err)
	require.True(t, plan.Range, plan.Text)
	require.Contains(t, plan.Text, "Using index")
	s.Select = []string{"1"}
	plan, err = b.src.dialect.Explain(t.Context(), e.db, s)
	require.NoError(t, err)
	require.Contains(t, plan.Text, "Using index")
}

func TestExplainSeesARangeThatDoesNotBeginAtTheCursor(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE c (shop INT, code VARCHAR(20), PRIMARY KEY (shop, code))", "INSERT INTO c VALUES (1, '1'), (1, '2'), (1, '3'), (2, '1')")
	b := e.bind(t, dataset.Spec{Name: "c", Table: "c", Shop: "shop", By: []string{"code"}, Columns: []string{"code"}, Key: "c:{shop}:{code}"})
	s := b.scan(int64(1))
	s.Select, s.After = b.selects, []any{"1"}
	plan, err := e.dialect.Explain(t.Context(), e.db, s)
	require.NoError(t, err)
	require.True(t, plan.Range, plan.Text)
	s.After = []any{int64(1)} // text compared with a number: every row of the shop is read and converted
	plan, err = e.dialect.Explain(t.Context(), e.db, s)
	require.NoError(t, err)
	require.False(t, plan.Range, plan.Text)
}

// noRange is a database that will not do what is hoped for.
type noRange struct {
	Dialect
	rows int64
}

func (d noRange) Explain(context.Context, *sql.DB, Scan) (Plan, error) {
	return Plan{Text: "type=index", Rows: d.rows}, nil
}

func TestAPlanThatIsNoRangeIsRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable)
	src := OpenDB("main", e.db, noRange{e.dialect, 10_000})
	_, err := src.Bind(t.Context(), usersSpec())
	require.NoError(t, err, "there is nothing to see in an empty table")
	e.exec(t, "INSERT INTO shop_users (shop_id, user_id) VALUES (1, 1), (1, 2)")
	_, err = src.Bind(t.Context(), usersSpec())
	require.ErrorContains(t, err, "by: a page is not read as a range on index PRIMARY (type=index), so each would begin at the shop's first row; run ANALYZE TABLE `shop_users`")
	_, err = OpenDB("main", e.db, noRange{e.dialect, 2}).Bind(t.Context(), usersSpec())
	require.NoError(t, err, "all of a tiny table is read as fast")
}

// MySQL may read all of a small index, and the larger a table the less it does that.
func TestTablesAreNotRefusedWhileTheyGrow(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"PRIMARY KEY (shop, id)", "PRIMARY KEY (id), KEY (shop, id)"} {
		for _, shops := range []int{1, 2, 7} {
			e := newEnv(t, "CREATE TABLE big (shop VARCHAR(20) NOT NULL, id BIGINT NOT NULL, "+keys+")")
			spec := bigSpec("id")
			spec.Columns, spec.Where = []string{"id"}, ""
			from := 1
			for rows := 1; rows < 10_000; rows = rows*2 + 1 {
				e.exec(t, fmt.Sprintf("INSERT INTO big SELECT CONCAT('s', seq %% %d), seq FROM %s", shops, testenv.Numbers(from, rows)))
				from = rows + 1
				if rows%3 == 0 {
					e.exec(t, "ANALYZE TABLE big")
				}
				e.bind(t, spec)
			}
		}
	}
}

func TestSmallTablesAreNotRefused(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"PRIMARY KEY (shop, id)", "PRIMARY KEY (id), KEY (shop)", "PRIMARY KEY (id), KEY (shop, a)"} {
		e := newEnv(t, "CREATE TABLE big (shop VARCHAR(20) NOT NULL, id BIGINT NOT NULL, a INT NOT NULL, note VARCHAR(200), "+keys+")")
		by := []string{"id"}
		if strings.Contains(keys, "a)") {
			by = []string{"a", "id"}
		}
		for i := range 12 {
			e.bind(t, bigSpec(by...))
			e.exec(t, fmt.Sprintf("INSERT INTO big VALUES ('s%d', %d, 1, 'n')", i%5/4, i))
			if i%3 == 0 {
				e.exec(t, "ANALYZE TABLE big")
			}
		}
	}
}
