//go:build !noembed

package embedded

import (
	"database/sql"
	"slices"
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/stretchr/testify/require"
)

func seeded(t *testing.T) *sql.DB {
	t.Helper()
	s := startStack(t)
	_, err := s.Seed(t.Context(), testOptions)
	require.NoError(t, err)
	return s.SourceDB
}

func columnOf(t *testing.T, table *source.Table, name string) source.Column {
	t.Helper()
	i := slices.IndexFunc(table.Columns, func(c source.Column) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return table.Columns[i]
}

func TestTableTellsColumnsAndTheOrderOfIndexes(t *testing.T) {
	t.Parallel()
	db := seeded(t)
	var d SourceDialect
	users, err := d.Table(t.Context(), db, "", "shop_users")
	require.NoError(t, err)
	require.Len(t, users.Columns, 13)
	for name, kind := range map[string]dataset.Kind{
		"user_id": dataset.KindInt, "nickname": dataset.KindText, "balance": dataset.KindDecimal,
		"tags": dataset.KindJSON, "badge": dataset.KindBinary, "updated_at": dataset.KindTime,
	} {
		require.Equal(t, kind, columnOf(t, users, name).Kind, name)
	}
	require.True(t, columnOf(t, users, "note").Nullable)
	require.False(t, columnOf(t, users, "user_id").Nullable)
	require.False(t, columnOf(t, users, "balance").Sortable, "as text, 9 sorts behind 10")
	require.Len(t, users.Indexes, 1)
	require.True(t, users.Indexes[0].Unique)
	require.Equal(t, []string{"shop_id", "user_id"}, users.Indexes[0].Order)

	staff, err := d.Table(t.Context(), db, "main", "staff")
	require.NoError(t, err)
	byName := map[string]source.Index{}
	for _, index := range staff.Indexes {
		byName[index.Name] = index
	}
	require.Equal(t, []string{"shop_id", "id"}, byName["staff_of_shop"].Order)
	require.False(t, byName["staff_of_shop"].Unique)
	require.Equal(t, []string{"id"}, byName[rowidIndex].Key)

	_, err = d.Table(t.Context(), db, "", "nothing")
	require.ErrorIs(t, err, source.ErrNoTable)
	names, err := d.TableNames(t.Context(), db, "")
	require.NoError(t, err)
	require.Equal(t, []string{"marketing", "products", "shop_users", "shops", "staff"}, names)
}

func TestIndexesThatCannotBeScannedInOrderSaySo(t *testing.T) {
	t.Parallel()
	db := startStack(t).SourceDB
	for _, statement := range []string{
		"CREATE TABLE x (a INTEGER NOT NULL, b TEXT NOT NULL, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID",
		"CREATE INDEX falling ON x (a, b DESC)",
		"CREATE INDEX folded ON x (c COLLATE NOCASE)",
		"CREATE INDEX computed ON x (a, lower(c))",
		"CREATE INDEX partial ON x (c) WHERE c IS NOT NULL",
		"CREATE UNIQUE INDEX plain ON x (c)",
		"CREATE VIEW v AS SELECT a FROM x",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	table, err := SourceDialect{}.Table(t.Context(), db, "", "x")
	require.NoError(t, err)
	orders := map[string][]string{}
	for _, index := range table.Indexes {
		orders[index.Name] = index.Order
	}
	require.Equal(t, map[string][]string{
		"falling": {"a"}, "folded": nil, "computed": {"a"}, "plain": {"c", "a", "b"}, "sqlite_autoindex_x_1": {"a", "b"},
	}, orders)
	view, err := SourceDialect{}.Table(t.Context(), db, "", "v")
	require.NoError(t, err)
	require.True(t, view.View)
	require.Empty(t, view.Indexes)
}

func usersScan(t *testing.T, db *sql.DB) source.Scan {
	t.Helper()
	table, err := SourceDialect{}.Table(t.Context(), db, "", "shop_users")
	require.NoError(t, err)
	id := columnOf(t, table, "user_id")
	return source.Scan{
		Table: table, Index: table.Indexes[0], Shop: columnOf(t, table, "shop_id"), By: []source.Column{id},
		Select: []string{`"user_id"`}, ShopArg: int64(1002), Limit: 100,
	}
}

func TestPagesOfAShopAreRangesAndMeetWithoutGapOrOverlap(t *testing.T) {
	t.Parallel()
	db := seeded(t)
	var d SourceDialect
	scan := usersScan(t, db)
	scan.Where = "deleted_at IS NULL OR 1 = 0" // needs its brackets
	var want, got []int64
	query(t, db, &want, "SELECT user_id FROM shop_users WHERE shop_id = 1002 AND deleted_at IS NULL ORDER BY user_id")
	for {
		plan, err := d.Explain(t.Context(), db, scan)
		require.NoError(t, err)
		require.True(t, plan.Range, plan.Text)
		var page []int64
		text, args := d.Scan(scan)
		query(t, db, &page, text, args...)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		scan.After = []any{page[len(page)-1]}
	}
	require.Equal(t, want, got)

	scan.After, scan.To, scan.Limit, scan.Offset = []any{want[4]}, []any{want[20]}, 0, 3
	text, args := d.Scan(scan)
	var part []int64
	query(t, db, &part, text, args...)
	require.Equal(t, want[8:21], part)
}

func query(t *testing.T, db *sql.DB, out *[]int64, text string, args ...any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	require.NoError(t, err, text)
	defer rows.Close()
	for rows.Next() {
		var v int64
		require.NoError(t, rows.Scan(&v))
		*out = append(*out, v)
	}
	require.NoError(t, rows.Err())
}

func TestAScanOverSeveralColumnsIsARangeAndAWrongIndexIsNot(t *testing.T) {
	t.Parallel()
	db := startStack(t).SourceDB
	for _, statement := range []string{
		"CREATE TABLE x (shop INTEGER NOT NULL, a TEXT NOT NULL, b INTEGER NOT NULL, c INTEGER)",
		"CREATE UNIQUE INDEX good ON x (shop, a, b)",
		"CREATE INDEX other ON x (shop, c)",
		"INSERT INTO x VALUES (1, 'p', 1, 0), (1, 'p', 2, 0), (1, 'q', 1, 0), (1, 'q', 2, 0), (2, 'q', 2, 0)",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	var d SourceDialect
	table, err := d.Table(t.Context(), db, "", "x")
	require.NoError(t, err)
	scan := source.Scan{Table: table, Shop: columnOf(t, table, "shop"), Select: []string{"rowid"}, ShopArg: int64(1),
		By: []source.Column{columnOf(t, table, "a"), columnOf(t, table, "b")}, After: []any{"p", int64(1)}, Limit: 2}
	for name, want := range map[string]bool{"good": true, "other": false} {
		scan.Index = source.Index{Name: name}
		plan, err := d.Explain(t.Context(), db, scan)
		require.NoError(t, err)
		require.Equal(t, want, plan.Range, plan.Text)
		text, args := d.Scan(scan)
		var got []int64
		query(t, db, &got, text, args...)
		require.Equal(t, []int64{2, 3}, got)
	}
}

func TestDescribeKnowsPlainColumnsAndRefusesExpressions(t *testing.T) {
	t.Parallel()
	db := seeded(t)
	var d SourceDialect
	columns, err := d.Describe(t.Context(), db, "SELECT id, logo, opened_at FROM shops WHERE id = ?", []any{int64(1001)}, nil)
	require.NoError(t, err)
	require.Equal(t, dataset.KindInt, columns[0].Kind)
	require.Equal(t, dataset.KindBinary, columns[1].Kind)
	require.Equal(t, dataset.KindTime, columns[2].Kind)
	_, err = d.Describe(t.Context(), db, "SELECT COUNT(*) AS n FROM shops", nil, nil)
	require.ErrorContains(t, err, "column n")
	_, err = d.Describe(t.Context(), db, "SELECT nothing FROM shops", nil, nil)
	require.ErrorContains(t, err, "nothing")
}

func TestReadingLosesNothing(t *testing.T) {
	t.Parallel()
	db := startStack(t).SourceDB
	_, err := db.ExecContext(t.Context(), `CREATE TABLE x (id INTEGER PRIMARY KEY, e TEXT, d DECIMAL_TEXT, t DATETIME_TEXT,
		j JSON_TEXT, b BLOB, none BLOB)`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO x VALUES (9223372036854775807, '', '0012.5000', "+
		"'2026-01-02 03:04:05.000000', '{\"a\": 1.50}', x'', NULL), (?, 'x', '1', '', '[]', ?, NULL)", 5, []byte{0, 255, 0})
	require.NoError(t, err)
	var d SourceDialect
	table, err := d.Table(t.Context(), db, "", "x")
	require.NoError(t, err)
	text := "SELECT "
	for i, c := range table.Columns {
		if i > 0 {
			text += ", "
		}
		text += d.Select(c)
	}
	rows, err := db.QueryContext(t.Context(), text+" FROM x ORDER BY id DESC")
	require.NoError(t, err)
	defer rows.Close()
	var got [][]string
	for rows.Next() {
		raw := make([]sql.RawBytes, len(table.Columns))
		targets := make([]any, len(raw))
		for i := range raw {
			targets[i] = &raw[i]
		}
		require.NoError(t, rows.Scan(targets...))
		var row []string
		for i, value := range raw {
			require.Equal(t, table.Columns[i].Name == "none", value == nil, table.Columns[i].Name)
			row = append(row, string(value))
		}
		got = append(got, row)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, [][]string{
		{"9223372036854775807", "", "0012.5000", "2026-01-02 03:04:05.000000", `{"a": 1.50}`, "", ""},
		{"5", "x", "1", "", "[]", "\x00\xff\x00", ""},
	}, got)
}
