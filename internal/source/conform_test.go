package source_test

import (
	"database/sql"
	"testing"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/source/sourcetest"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

func TestMySQLConforms(t *testing.T) {
	t.Parallel()
	dsn := testenv.MySQL(t)
	write, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, write.Close()) })
	sourcetest.Run(t, sourcetest.Config{
		Open: func(t *testing.T) *source.Source {
			t.Helper()
			src, err := source.Open(t.Context(), "main", config.Source{DSN: dsn}, 4)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, src.Close()) })
			return src
		},
		Write: write, Int: "BIGINT", Text: "VARCHAR(40)", Bytes: "VARBINARY(16)",
	})
}
