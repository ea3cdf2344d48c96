//go:build !noembed

package embedded

import (
	"database/sql"
	"testing"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// Both stacks give the same keys and values, so that what is shown on the embedded one holds on MySQL.
func TestEveryDatasetReadsTheSameFromSQLiteAsFromMySQL(t *testing.T) {
	t.Parallel()
	stack := startStack(t)
	shops, err := stack.Seed(t.Context(), testOptions)
	require.NoError(t, err)
	lite := source.OpenDB("main", stack.SourceDB, SourceDialect{})

	dsn := testenv.MySQL(t)
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	opts := testOptions
	opts.Dialect = MySQL
	_, err = Seed(t.Context(), db, opts)
	require.NoError(t, err)
	my, err := source.Open(t.Context(), "main", config.Source{DSN: dsn}, 4)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, my.Close()) })

	for _, spec := range Specs() {
		a, err := lite.Bind(t.Context(), spec)
		require.NoError(t, err)
		b, err := my.Bind(t.Context(), spec)
		require.NoError(t, err)
		for _, shop := range shops {
			got, want := encodeAll(t, a, shop.ID), encodeAll(t, b, shop.ID)
			require.NotEmpty(t, want, "%s of %s", spec.Name, shop.ID)
			require.Len(t, got, len(want), "%s of %s", spec.Name, shop.ID)
			for i := range want {
				require.Equal(t, want[i], got[i], spec.Name)
			}
		}
	}
}

// encodeAll is every row of a shop's dataset as key, field and object. It reads a big dataset in units and small pages.
func encodeAll(t *testing.T, b *source.Bound, shop string) []string {
	t.Helper()
	var out []string
	visit := func(row []sql.RawBytes) (bool, error) {
		var line []byte
		line, err := b.Encoder().AppendKey(line, shop, row)
		require.NoError(t, err)
		line, err = b.Encoder().AppendField(append(line, ' '), shop, row)
		require.NoError(t, err)
		line, err = b.Encoder().AppendObject(append(line, ' '), row)
		require.NoError(t, err)
		out = append(out, string(line))
		return true, nil
	}
	if !b.Spec().Paged() {
		err := b.ReadAll(t.Context(), shop, visit)
		require.NoError(t, err)
		return out
	}
	require.NoError(t, b.Split(t.Context(), shop, 700, 0, func(r source.Range) error {
		for after := r.From; ; {
			page, err := b.ReadPage(t.Context(), shop, after, r.To, 123, visit)
			require.NoError(t, err)
			if after = page.Last; page.Done {
				return nil
			}
		}
	}))
	return out
}

func TestAnImpossibleShopIsRefusedAndAnUnknownOneIsEmpty(t *testing.T) {
	t.Parallel()
	stack := startStack(t)
	_, err := stack.Seed(t.Context(), testOptions)
	require.NoError(t, err)
	lite := source.OpenDB("main", stack.SourceDB, SourceDialect{})
	for _, spec := range Specs() {
		b, err := lite.Bind(t.Context(), spec)
		require.NoError(t, err)
		for _, id := range []string{"12abc", "1 OR 1=1", "9223372036854775808", ""} {
			require.Error(t, b.CheckShop(id), "%s %q", spec.Name, id)
		}
		has, err := b.Has(t.Context(), "4711")
		require.NoError(t, err)
		require.False(t, has)
		has, err = b.Has(t.Context(), "1001")
		require.NoError(t, err)
		require.True(t, has)
	}
}
