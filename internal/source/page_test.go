package source

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// layouts are tables whose rows are paged by `by`. Their column n is the row's number.
var layouts = map[string]struct {
	declared string // columns and keys
	by       []string
	value    func(t *rapid.T) string // of the `by` columns, SQL
}{
	"bigint unsigned": {"id BIGINT UNSIGNED NOT NULL, PRIMARY KEY (shop, id)", []string{"id"}, func(t *rapid.T) string {
		return strconv.FormatUint(rapid.Uint64().Draw(t, "id"), 10)
	}},
	"secondary index and primary key": {"id BIGINT NOT NULL PRIMARY KEY, KEY (shop)", []string{"id"}, func(t *rapid.T) string {
		return strconv.FormatInt(rapid.Int64().Draw(t, "id"), 10)
	}},
	"date and decimal": {"day DATE NOT NULL, amount DECIMAL(30,10) NOT NULL, UNIQUE KEY (shop, day, amount)", []string{"day", "amount"},
		func(t *rapid.T) string {
			return fmt.Sprintf("'2026-01-0%d', %d.%010d", rapid.IntRange(1, 4).Draw(t, "day"),
				rapid.Int64Range(-9_007_199_254_740_993, 9_007_199_254_740_993).Draw(t, "amount"), rapid.IntRange(0, 3).Draw(t, "fraction"))
		}},
	"text, binary and a small integer": {
		"code VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL, guid BINARY(16) NOT NULL, n8 TINYINT NOT NULL, PRIMARY KEY (shop, code, guid, n8)",
		[]string{"code", "guid", "n8"}, func(t *rapid.T) string {
			return fmt.Sprintf("'%s', 0x%032x, %d", rapid.SampledFrom([]string{"", "a", "A b", "ä", `q''\\"`, "播", "🎬", "z%"}).Draw(t, "code"),
				rapid.IntRange(0, 2).Draw(t, "guid"), rapid.Int8().Draw(t, "n8"))
		}},
	"times": {"at DATETIME(6) NOT NULL, ts TIMESTAMP(3) NOT NULL, t TIME(2) NOT NULL, y YEAR NOT NULL, id INT PRIMARY KEY AUTO_INCREMENT, KEY (shop, at, ts, t, y)",
		[]string{"at", "ts", "t", "y", "id"}, func(t *rapid.T) string {
			return fmt.Sprintf("'2026-01-01 00:00:00.00000%d', '2026-03-29 02:30:00.%d', '%d:00:00.5', %d, NULL", rapid.IntRange(0, 2).Draw(t, "at"),
				rapid.IntRange(0, 2).Draw(t, "ts"), rapid.IntRange(-10, 10).Draw(t, "t"), rapid.SampledFrom([]int{0, 1901, 2026}).Draw(t, "y"))
		}},
	"short text and bytes": {"a CHAR(4) NOT NULL, b VARBINARY(8) NOT NULL, UNIQUE KEY (shop, a, b)", []string{"a", "b"}, func(t *rapid.T) string {
		return fmt.Sprintf("'%s', 0x%x", rapid.StringMatching(`[a-c ]{0,4}`).Draw(t, "a"), rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(t, "b"))
	}},
}

// TestRangesAndPagesVisitEveryRowOnceAndInOrder: whatever the rows, the size of ranges and pages and where visits stop.
func TestRangesAndPagesVisitEveryRowOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for _, shopType := range []string{"INT NOT NULL", "VARCHAR(20) NOT NULL"} {
		for name, layout := range layouts {
			t.Run(name+" of "+shopType, func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, "CREATE TABLE t (shop "+shopType+", n INT NOT NULL, hidden INT NOT NULL, "+layout.declared+")")
				spec := dataset.Spec{Name: "t", Table: "t", Shop: "shop", By: layout.by, Columns: []string{"n"},
					Key: "t:{shop}:{" + strings.Join(layout.by, "}:{") + "}", Where: "hidden < 8"}
				b := e.bind(t, spec)
				shop := 0
				rapid.Check(t, func(rt *rapid.T) {
					shop++
					e.fill(t, rt, shop, layout.by, layout.value)
					checkShop(t, rt, e, b, strconv.Itoa(shop))
					if rapid.IntRange(0, 3).Draw(rt, "first rows") == 0 {
						checkFirst(t, rt, e, b, strconv.Itoa(shop))
					}
				})
			})
		}
	}
}

// fill inserts the rows of one shop; those that are not unique are left out.
func (e *env) fill(t *testing.T, rt *rapid.T, shop int, by []string, value func(*rapid.T) string) {
	t.Helper()
	var rows []string
	for i := range rapid.IntRange(0, 40).Draw(rt, "rows") {
		rows = append(rows, fmt.Sprintf("(%d, %d, %d, %s)", shop, i, rapid.IntRange(0, 9).Draw(rt, "hidden"), value(rt)))
	}
	if len(rows) > 0 {
		e.exec(t, "INSERT IGNORE INTO t (shop, n, hidden, "+strings.Join(by, ", ")+") VALUES "+strings.Join(rows, ", "))
	}
}

func checkShop(t *testing.T, rt *rapid.T, e *env, b *Bound, shop string) {
	t.Helper()
	all := e.strings(t, "SELECT COUNT(*) FROM t WHERE shop = ?", shop)[0]
	want := e.strings(t, "SELECT n FROM t WHERE shop = ? AND hidden < 8 ORDER BY "+strings.Join(b.spec.By, ", "), shop)
	unit, size := rapid.IntRange(1, 15).Draw(rt, "unit"), rapid.IntRange(1, 12).Draw(rt, "page")

	var got []string
	total, from, ranges := int64(0), "", 0
	err := b.Split(t.Context(), shop, unit, 0, func(r Range) error {
		require.Equal(rt, from, r.From, "ranges meet")
		require.True(rt, ranges == 0 || from != "", "nothing comes after the open-ended range")
		require.True(rt, r.Rows > 0 || all == "0")
		require.LessOrEqual(rt, r.Rows, int64(unit))
		from, ranges, total = r.To, ranges+1, total+r.Rows
		got = append(got, readRange(t, rt, b, shop, r, size)...)
		return nil
	})
	require.NoError(rt, err)
	require.Empty(rt, from, "the last range is open-ended")
	require.Equal(rt, all, strconv.FormatInt(total, 10))
	require.Equal(rt, want, got)
}

// readRange reads a range in pages, some of which are stopped early.
func readRange(t *testing.T, rt *rapid.T, b *Bound, shop string, r Range, size int) (got []string) {
	t.Helper()
	for cursor, drained := r.From, false; !drained; {
		stopAt := rapid.IntRange(1, 2*size).Draw(rt, "stop")
		page, err := b.ReadPage(t.Context(), shop, cursor, r.To, size, visitor(func(row []sql.RawBytes) bool {
			got = append(got, string(row[0]))
			stopAt--
			return stopAt > 0
		}))
		require.NoError(rt, err)
		require.LessOrEqual(rt, page.Rows, size)
		require.True(rt, page.Done || page.Rows > 0, "a page makes progress")
		require.Equal(rt, page.Rows == 0, page.Last == "")
		cursor, drained = page.Last, page.Done
	}
	return got
}

func visitor(f func(row []sql.RawBytes) bool) Visit {
	return func(row []sql.RawBytes) (bool, error) { return f(row), nil }
}

func TestRowsThatArriveWhileAShopIsSplitAreInSomeRange(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable)
	for i := range 50 {
		e.exec(t, fmt.Sprintf("INSERT INTO shop_users (shop_id, user_id) VALUES (7, %d)", 100+10*i))
	}
	b := e.bind(t, usersSpec())
	late := []int{1, 105, 255, 333, 594, 599, 10_000}
	var ranges []Range
	require.NoError(t, b.Split(t.Context(), "7", 10, 0, func(r Range) error {
		ranges = append(ranges, r)
		if len(late) > 0 {
			e.exec(t, fmt.Sprintf("INSERT INTO shop_users (shop_id, user_id) VALUES (7, %d), (6, %d), (8, %d)", late[0], late[0], late[0]))
			late = late[1:]
		}
		return nil
	}))
	for _, n := range late {
		e.exec(t, fmt.Sprintf("INSERT INTO shop_users (shop_id, user_id) VALUES (7, %d)", n))
	}
	var got []string
	for _, r := range ranges {
		page, err := b.ReadPage(t.Context(), "7", r.From, r.To, 1000, visitor(func(row []sql.RawBytes) bool {
			got = append(got, string(row[0]))
			return true
		}))
		require.NoError(t, err)
		require.True(t, page.Done)
	}
	require.Equal(t, e.strings(t, "SELECT user_id FROM shop_users WHERE shop_id = 7 ORDER BY user_id"), got)
	require.Len(t, got, 57)
}

func TestSplitOfSizesAroundTheUnit(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable)
	for shop, rows := range []int{0, 1, 9, 10, 11, 20, 21} {
		for i := range rows {
			e.exec(t, fmt.Sprintf("INSERT INTO shop_users (shop_id, user_id) VALUES (%d, %d)", shop, i))
		}
	}
	b := e.bind(t, usersSpec())
	for shop, want := range map[string][]Range{
		"0": {{}},
		"1": {{Rows: 1}},
		"2": {{Rows: 9}},
		"3": {{Rows: 10}},
		"4": {{To: `["9"]`, Rows: 10}, {From: `["9"]`, Rows: 1}},
		"5": {{To: `["9"]`, Rows: 10}, {From: `["9"]`, Rows: 10}},
		"6": {{To: `["9"]`, Rows: 10}, {From: `["9"]`, To: `["19"]`, Rows: 10}, {From: `["19"]`, Rows: 1}},
	} {
		var got []Range
		require.NoError(t, b.Split(t.Context(), shop, 10, 0, func(r Range) error {
			got = append(got, r)
			return nil
		}))
		require.Equal(t, want, got, "shop %s", shop)
	}
	stop := errors.New("stop")
	require.ErrorIs(t, b.Split(t.Context(), "6", 1, 0, func(Range) error { return stop }), stop)

	var got []Range
	query := e.bind(t, qSpec("SELECT user_id FROM shop_users WHERE shop_id = :shop"))
	require.NoError(t, query.Split(t.Context(), "6", 10, 0, func(r Range) error {
		got = append(got, r)
		return nil
	}))
	require.Equal(t, []Range{{Rows: 21}}, got)
}

func TestAVisitThatFailsEndsThePageAtTheRowBefore(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable, "INSERT INTO shop_users (shop_id, user_id) VALUES (1, 1), (1, 2), (1, 3)")
	b := e.bind(t, usersSpec())
	broken := errors.New("broken")
	n := 0
	page, err := b.ReadPage(t.Context(), "1", "", "", 10, func(row []sql.RawBytes) (bool, error) {
		if n++; n == 3 {
			return true, broken
		}
		require.Equal(t, fmt.Sprintf(`["%d"]`, n), b.RowKey(row))
		return true, nil
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, Page{Rows: 2, Last: `["2"]`, Took: page.Took}, page)
}

func TestKeysCanBeReadAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE k (shop INT, id INT, code CHAR(3) NOT NULL, note TEXT, PRIMARY KEY (shop, id))",
		"INSERT INTO k VALUES (1, 1, 'a', 'x'), (1, 2, 'b', 'y'), (1, 3, 'c', NULL), (1, 4, 'd', 'z')")
	b := e.bind(t, dataset.Spec{Name: "k", Table: "k", Shop: "shop", By: []string{"id"}, Columns: []string{"note", "code"},
		Key: "k:{code}:{shop}:{id}", Where: "note IS NOT NULL"})
	var keys []string
	page, err := b.ReadKeys(t.Context(), "1", `["1"]`, `["4"]`, 9, visitor(func(row []sql.RawBytes) bool {
		require.Nil(t, row[0])
		key, err := b.Encoder().AppendKey(nil, "1", row)
		require.NoError(t, err)
		keys = append(keys, string(key))
		return true
	}))
	require.NoError(t, err)
	require.Equal(t, Page{Rows: 2, Last: `["4"]`, Done: true, Took: page.Took}, page)
	require.Equal(t, []string{"k:b:1:2", "k:d:1:4"}, keys)
}

func TestCursorsThatDoNotBelongAreRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable, "CREATE TABLE g (shop INT, guid BINARY(4), PRIMARY KEY (shop, guid))")
	users := e.bind(t, usersSpec())
	guids := e.bind(t, dataset.Spec{Name: "g", Table: "g", Shop: "shop", By: []string{"guid"}, Columns: []string{"guid"}, Key: "g:{shop}:{guid}"})
	for _, c := range []struct {
		bound  *Bound
		cursor string
	}{
		{users, "17"}, {users, `["1","2"]`}, {users, `[]`}, {users, `["1 OR 1=1"]`}, {users, `["x"]`}, {users, `[1]`}, {users, `["99999999999999999999"]`},
		{guids, `["abcd"]`}, {guids, `["0xzz"]`},
	} {
		for _, ends := range [][2]string{{c.cursor, ""}, {"", c.cursor}} {
			_, err := c.bound.ReadPage(t.Context(), "1", ends[0], ends[1], 10, nil)
			require.ErrorAs(t, err, new(*CursorError), c.cursor)
			require.True(t, Definitive(err))
		}
	}
	require.ErrorContains(t, users.ReadAll(t.Context(), "1", nil), "is read in pages")
	_, err := e.bind(t, qSpec("SELECT user_id FROM shop_users WHERE shop_id = :shop")).ReadPage(t.Context(), "1", "", "", 1, nil)
	require.ErrorContains(t, err, "is not read in pages")
}
