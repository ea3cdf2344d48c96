package source

import (
	"database/sql"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestTheCutoffIsOfTheColumnsType(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE t (shop INT NOT NULL, id INT NOT NULL, dt DATETIME(3), ts TIMESTAMP NULL, d DATE, unix BIGINT, `at` TIME, y YEAR, v VARCHAR(20), PRIMARY KEY (shop, id))",
		"INSERT INTO t SELECT 1, seq, UTC_TIMESTAMP() - INTERVAL seq HOUR, NULL, UTC_DATE() - INTERVAL seq DAY, UNIX_TIMESTAMP() - seq * 3600, NULL, NULL, NULL FROM "+testenv.Numbers(1, 20),
		"UPDATE t SET ts = FROM_UNIXTIME(unix), v = IF(id = 2, 'x', NULL)", "INSERT INTO t (shop, id) VALUES (1, 30)")
	spec := func(column string) dataset.Spec {
		return dataset.Spec{Name: "t", Table: "t", Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: "t:{shop}:{id}", Where: "v IS NULL",
			Window: &dataset.Window{Column: column, Keep: time.Hour}}
	}
	for _, wrong := range []string{"at", "y", "v"} {
		_, err := e.Bind(t.Context(), spec(wrong))
		require.ErrorContains(t, err, "window.column: column "+wrong+" is", wrong)
	}
	_, err := e.Bind(t.Context(), spec("dtt"))
	require.ErrorContains(t, err, "did you mean dt?")
	for column, keep := range map[string]time.Duration{"dt": 4*time.Hour + 30*time.Minute, "ts": 4*time.Hour + 30*time.Minute, "unix": 4*time.Hour + 30*time.Minute, "d": 96 * time.Hour} {
		b := e.bind(t, spec(column))
		of, since, err := b.Cutoff(t.Context(), keep)
		require.NoError(t, err)
		require.Equal(t, column, of)
		kept := in(b, Part{From: `["0"]`, Column: of, Since: since})
		var got, single []string
		_, err = kept.ReadPage(t.Context(), "1", "", "", 100, visitor(func(row []sql.RawBytes) bool {
			got = append(got, string(row[0]))
			return true
		}))
		require.NoError(t, err)
		require.Equal(t, []string{"1", "3", "4"}, got, column)
		var rows []string
		for i := range 30 {
			rows = append(rows, `["`+strconv.Itoa(i+1)+`"]`)
		}
		require.NoError(t, kept.ReadRows(t.Context(), "1", rows, visitor(func(row []sql.RawBytes) bool {
			single = append(single, string(row[0]))
			return true
		})))
		require.Equal(t, got, single)
	}
	b := e.bind(t, spec("dt"))
	require.ErrorContains(t, in(b, Part{Column: "gone", Since: "2026-01-01"}).ReadRows(t.Context(), "1", []string{`["1"]`}, nil), "no column gone any more")
}
