//go:build !noembed

package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func startStack(t *testing.T) *Stack {
	t.Helper()
	s, err := Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

var testOptions = Options{Shops: 4, Users: 3000, Seed: 7}

func TestTheSameSeedMakesTheSameRowsInBothDatabases(t *testing.T) {
	t.Parallel()
	my, err := sql.Open("mysql", testenv.MySQL(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, my.Close()) })
	opts := testOptions
	opts.Dialect = MySQL
	shops, err := Seed(t.Context(), my, opts)
	require.NoError(t, err)

	lite := startStack(t)
	again, err := lite.Seed(t.Context(), testOptions)
	require.NoError(t, err)
	require.Equal(t, shops, again)
	for _, table := range []string{"shops", "staff", "shop_users", "products", "marketing"} {
		want, got := dump(t, my, table), dump(t, lite.SourceDB, table)
		require.Len(t, got, len(want), table)
		for i := range want {
			require.Equal(t, want[i], got[i], table)
		}
	}
}

// dump is a table's rows as text. It asks for bytes as text, because SQLite's driver gives an empty BLOB as NULL.
func dump(t *testing.T, db *sql.DB, table string) []string {
	t.Helper()
	columns := "*"
	if table == "shop_users" {
		columns = "shop_id, user_id, nickname, avatar, level, points, balance, tags, COALESCE(HEX(badge), ''), badge IS NULL, note, " +
			"seen_at, updated_at, deleted_at"
	}
	rows, err := db.QueryContext(t.Context(), "SELECT "+columns+" FROM "+table+" ORDER BY 1, 2")
	require.NoError(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	var out []string
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		targets := make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		require.NoError(t, rows.Scan(targets...))
		out = append(out, fmt.Sprint(values))
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, out)
	return out
}

func TestSizesAreUnequalAndAddUp(t *testing.T) {
	t.Parallel()
	got := sizes(DefaultShops, DefaultUsers)
	sum := 0
	for i, n := range got {
		sum += n
		require.True(t, i == 0 || n <= got[i-1], got)
	}
	require.Equal(t, DefaultUsers, sum)
	require.InDelta(t, 0.4, float64(got[0])/DefaultUsers, 0.02)
	require.Equal(t, fewestUsers, got[DefaultShops-1])
	require.Equal(t, []int{500}, sizes(1, 500))
	require.Equal(t, []int{36, 36, 36}, sizes(3, 1))
}

func TestSmallShopsComeLastAndAreFewRows(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	shops, err := s.Seed(t.Context(), testOptions)
	require.NoError(t, err)
	require.Len(t, shops, testOptions.Shops+SmallShops)
	for i, shop := range shops {
		require.Equal(t, i < testOptions.Shops, shop.KA)
		var n int
		require.NoError(t, s.SourceDB.QueryRowContext(context.Background(),
			"SELECT COUNT(*) FROM shop_users WHERE shop_id = ?", shop.ID).Scan(&n))
		require.Equal(t, shop.Users, n)
		if !shop.KA {
			require.Less(t, n, fewestUsers)
		}
	}
}
