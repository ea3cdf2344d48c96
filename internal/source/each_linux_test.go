package source

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestAPagesTimeIsTheServersAndNotItsReaders(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE u (shop INT NOT NULL, id INT NOT NULL, PRIMARY KEY (shop, id))", "INSERT INTO u SELECT 1, seq FROM "+testenv.Numbers(1, 100))
	u := e.bind(t, dataset.Spec{Name: "u", Table: "u", Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: "u:{shop}:{id}"})
	const slow = 300 * time.Millisecond
	require.Eventually(t, func() bool { // the kernel begins to stamp a moment after it was asked to
		seen := 0
		page, err := u.ReadPage(t.Context(), "1", "", "", 50, visitor(func([]sql.RawBytes) bool {
			if seen++; seen == 10 {
				time.Sleep(slow) // the rest is here long since
			}
			return true
		}))
		require.NoError(t, err)
		require.Equal(t, 50, page.Rows)
		return page.Took > 0 && page.Took < slow/2 // once: the server may have waited for a processor
	}, time.Minute, time.Millisecond)
	measured, _, err := u.MeasurePage(t.Context(), "1", "", "", 50, visitor(func([]sql.RawBytes) bool { return true }))
	require.NoError(t, err)
	require.Positive(t, measured.Took)
}
