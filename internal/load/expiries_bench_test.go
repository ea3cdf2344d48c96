package load

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// BenchmarkReadKeys is what a key costs that is read from the source to be moved; cache.BenchmarkScan is the other side of scanMost.
func BenchmarkReadKeys(b *testing.B) {
	dsn := testenv.MySQL(b)
	db, err := sql.Open("mysql", dsn)
	require.NoError(b, err)
	defer db.Close()
	const rows = 200_000
	_, err = db.ExecContext(b.Context(), usersTable)
	require.NoError(b, err)
	_, err = db.ExecContext(b.Context(), "INSERT INTO users SELECT 1, seq, 'nick', REPEAT('x', 100) FROM "+testenv.Numbers(1, 200000))
	require.NoError(b, err)
	src, err := source.Open(context.Background(), "main", config.Source{DSN: dsn}, 4)
	require.NoError(b, err)
	defer src.Close()
	users, err := src.Bind(b.Context(), usersSpec())
	require.NoError(b, err)
	for b.Loop() {
		for after, n := "", 0; ; {
			got, err := users.ReadKeys(b.Context(), "1", after, "", 5000, func([]sql.RawBytes) (bool, error) { n++; return true, nil })
			require.NoError(b, err)
			if after = got.Last; got.Done {
				require.Equal(b, rows, n)
				break
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/key")
}
