//go:build !noembed

package embedded

import (
	"testing"

	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/source/sourcetest"
	"github.com/stretchr/testify/require"
)

func TestSQLiteConforms(t *testing.T) {
	t.Parallel()
	db, err := openSQLite(t.Context(), t.TempDir(), "conform.db")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	sourcetest.Run(t, sourcetest.Config{
		Open:  func(*testing.T) *source.Source { return source.OpenDB("main", db, SourceDialect{}) },
		Write: db, Int: "INTEGER", Text: "TEXT", Bytes: "BLOB",
	})
}
