package source

import (
	"database/sql"
	"testing"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// env is a source on a schema of its own, and a connection that can write there.
type env struct {
	*Source
	dsn   string
	write *sql.DB
}

func newEnv(t testing.TB, statements ...string) *env {
	t.Helper()
	dsn := testenv.MySQL(t)
	src, err := Open(t.Context(), "main", config.Source{DSN: dsn}, 4)
	require.NoError(t, err)
	write, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, src.Close())
		require.NoError(t, write.Close())
	})
	e := &env{Source: src, dsn: dsn, write: write}
	e.exec(t, statements...)
	return e
}

func (e *env) mariadb() bool {
	d, ok := e.dialect.(mysqlDialect)
	return ok && d.mariadb
}

func (e *env) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := e.write.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

func (e *env) bind(t testing.TB, spec dataset.Spec) *Bound {
	t.Helper()
	b, err := e.Bind(t.Context(), spec)
	require.NoError(t, err)
	return b
}

// strings reads one column with the writer's connection.
func (e *env) strings(t testing.TB, query string, args ...any) []string {
	t.Helper()
	all, err := readStrings(t.Context(), e.write, query, args...)
	require.NoError(t, err)
	return all
}

// readAll visits all rows of a shop, in one page, and counts them.
func readAll(t testing.TB, b *Bound, shop string, visit func(row []sql.RawBytes)) (rows int) {
	t.Helper()
	v := func(row []sql.RawBytes) (bool, error) {
		rows++
		visit(row)
		return true, nil
	}
	if !b.Spec().Paged() {
		require.NoError(t, b.ReadAll(t.Context(), shop, v))
		return rows
	}
	page, err := b.ReadPage(t.Context(), shop, "", "", 1<<30, v)
	require.NoError(t, err)
	require.True(t, page.Done)
	require.Equal(t, rows, page.Rows)
	return rows
}

const usersTable = `CREATE TABLE shop_users (
	shop_id BIGINT UNSIGNED NOT NULL, user_id BIGINT UNSIGNED NOT NULL, nickname VARCHAR(64) NOT NULL DEFAULT 'n',
	tags JSON, price FLOAT, deleted_at DATETIME(6), PRIMARY KEY (shop_id, user_id))`

func usersSpec() dataset.Spec {
	return dataset.Spec{Name: "users", Table: "shop_users", Shop: "shop_id", By: []string{"user_id"},
		Columns: []string{"user_id", "nickname"}, Key: "user:{shop}:{user_id}"}
}

// firstRow is a copy of a shop's first row.
func firstRow(t testing.TB, b *Bound, shop string) (first []sql.RawBytes) {
	t.Helper()
	readAll(t, b, shop, func(row []sql.RawBytes) {
		for _, v := range row {
			if first == nil || len(first) < len(row) {
				first = append(first, append(sql.RawBytes(nil), v...))
			}
		}
	})
	return first
}
