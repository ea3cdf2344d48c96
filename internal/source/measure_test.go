package source

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestAMeasuredPageSaysWhatWasExaminedAndItsPlanWhy(t *testing.T) {
	t.Parallel()
	const rows, page, far = 20_000, 400, 15_000
	e := newEnv(t, "CREATE TABLE u (pk INT AUTO_INCREMENT PRIMARY KEY, shop INT NOT NULL, id INT NOT NULL, v VARCHAR(200), UNIQUE KEY s (shop, id))",
		"INSERT INTO u (shop, id, v) SELECT 1, seq, REPEAT('x', 150) FROM "+testenv.Numbers(1, rows))
	spec := dataset.Spec{Name: "u", Table: "u", Shop: "shop", By: []string{"id"}, Columns: []string{"id", "v"}, Key: "u:{shop}:{id}"}
	all := e.bind(t, spec)
	spec.Where = "id % 50 = 0"
	few := e.bind(t, spec)
	after := fmt.Sprintf(`["%d"]`, far)
	measure := func(b *Bound) (got Page, examined int64, plan PlanReport) {
		t.Helper()
		got, examined, err := b.MeasurePage(t.Context(), "1", after, "", page, visitor(func([]sql.RawBytes) bool { return true }))
		require.NoError(t, err)
		plan, err = b.PagePlan(t.Context(), "1", after, "", page)
		require.NoError(t, err)
		return got, examined, plan
	}
	got, examined, plan := measure(all)
	require.Equal(t, page, got.Rows)
	require.InDelta(t, page, examined, 5)
	require.True(t, plan.Range, plan.Text)
	got, examined, plan = measure(few)
	require.Equal(t, (rows-far)/50, got.Rows)
	require.InDelta(t, rows-far, examined, 5, "rows that `where` drops are examined too")
	require.True(t, plan.Range, plan.Text)

	for _, index := range []string{"(shop, v)", "(shop)"} {
		e.exec(t, "ALTER TABLE u DROP INDEX s, ADD INDEX s "+index)
		for _, b := range []*Bound{all, few} {
			_, examined, plan = measure(b)
			require.GreaterOrEqual(t, examined, int64(far), "it begins at the shop's first row")
			require.False(t, plan.Range, plan.Text)
		}
	}
	require.Contains(t, all.Mend(), "ANALYZE TABLE `u`; if that does not help, run CREATE INDEX `prewarm_u` ON `u` (`shop`, `id`)")
}

// BenchmarkPages shows what measuring costs beside a page of 400 rows.
func BenchmarkPages(b *testing.B) {
	e := newEnv(b, "CREATE TABLE u (shop INT NOT NULL, id INT NOT NULL, v VARCHAR(200), PRIMARY KEY (shop, id))",
		"INSERT INTO u (shop, id, v) SELECT 1, seq, REPEAT('x', 150) FROM "+testenv.Numbers(1, 4000))
	u := e.bind(b, dataset.Spec{Name: "u", Table: "u", Shop: "shop", By: []string{"id"}, Columns: []string{"id", "v"}, Key: "u:{shop}:{id}"})
	visit := visitor(func([]sql.RawBytes) bool { return true })
	for _, rows := range []int{25, 50, 100, 200, 400, 800, 1600} {
		b.Run(fmt.Sprintf("read %d", rows), func(b *testing.B) {
			for b.Loop() {
				_, err := u.ReadPage(b.Context(), "1", `["1000"]`, "", rows, visit)
				require.NoError(b, err)
			}
		})
	}
	b.Run("measure 400", func(b *testing.B) {
		for b.Loop() {
			_, _, err := u.MeasurePage(b.Context(), "1", `["1000"]`, "", 400, visit)
			require.NoError(b, err)
		}
	})
}
