// Package sourcetest holds what every database that can be a source must do, whatever its dialect. It is for tests.
package sourcetest

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/stretchr/testify/require"
)

// Config is a database to try.
type Config struct {
	Open  func(t *testing.T) *source.Source // on an empty schema; the test does not close it
	Write *sql.DB                           // of the same schema

	// The database's names of types.
	Int, Text, Bytes string
}

const rowsOfShop = 100

// Run tries a dialect, through what is built on it.
func Run(t *testing.T, c Config) {
	t.Helper()
	src := c.Open(t)
	c.exec(t, fmt.Sprintf(`CREATE TABLE conform (shop %s NOT NULL, a %s NOT NULL, b %s NOT NULL, c %s NOT NULL, v %s, w %s,
		PRIMARY KEY (shop, a, b, c))`, c.Text, c.Int, c.Text, c.Bytes, c.Text, c.Int))
	c.exec(t, fmt.Sprintf("CREATE TABLE tail (id %s NOT NULL PRIMARY KEY, shop %s NOT NULL, v %s)", c.Int, c.Int, c.Text))
	c.exec(t, "CREATE INDEX tail_shop ON tail (shop)")
	for i := range rowsOfShop {
		for _, shop := range []string{"s'1", "s2"} {
			_, err := c.Write.ExecContext(t.Context(), "INSERT INTO conform VALUES (?, ?, ?, ?, ?, ?)",
				shop, i/20, fmt.Sprint("b", i/4%5), []byte{byte(i % 4), 0xFF}, nil, i)
			require.NoError(t, err)
		}
		_, err := c.Write.ExecContext(t.Context(), "INSERT INTO tail VALUES (?, ?, ?)", i, i%2, fmt.Sprintf("é\"%d", i))
		require.NoError(t, err)
	}
	t.Run("clock", func(t *testing.T) {
		now, err := src.Now(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), now, time.Minute)
	})
	t.Run("composite key", func(t *testing.T) { composite(t, src) })
	t.Run("primary key behind a secondary index", func(t *testing.T) { behind(t, src) })
	t.Run("single rows", func(t *testing.T) { single(t, src) })
	t.Run("first rows", func(t *testing.T) { first(t, src) })
	t.Run("query", func(t *testing.T) { query(t, src) })
	t.Run("refusals", func(t *testing.T) { refusals(t, src) })
}

func (c Config) exec(t *testing.T, statement string) {
	t.Helper()
	_, err := c.Write.ExecContext(t.Context(), statement)
	require.NoError(t, err, statement)
}

func conform() dataset.Spec {
	return dataset.Spec{Name: "conform", Table: "conform", Shop: "shop", By: []string{"a", "b", "c"}, Columns: []string{"w", "v", "b"},
		Key: "{shop}:{a}:{b}:{c}", Where: "w % 10 <> 3 -- and no more"}
}

func composite(t *testing.T, src *source.Source) {
	t.Helper()
	b, err := src.Bind(t.Context(), conform())
	require.NoError(t, err)
	for shop, want := range map[string]int64{"s'1": rowsOfShop, "s2": rowsOfShop, "s3": 0} {
		has, err := b.Has(t.Context(), shop)
		require.NoError(t, err)
		require.Equal(t, want > 0, has)
		n, err := b.Count(t.Context(), shop, 0)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	n, err := b.Count(t.Context(), "s2", 7)
	require.NoError(t, err)
	require.EqualValues(t, 7, n)

	var want []string
	for i := range rowsOfShop {
		if i%10 != 3 {
			want = append(want, fmt.Sprintf(`{"w":%d,"v":null,"b":"b%d"}`, i, i/4%5))
		}
	}
	for _, unit := range []int{1, 7, 50, 100, 1000} {
		require.Equal(t, want, read(t, b, "s'1", unit, 1+unit/3), "units of %d", unit)
	}
	report, err := b.PlanCheck(t.Context(), "s2")
	require.NoError(t, err)
	require.True(t, report.Range, report.Text)
}

func behind(t *testing.T, src *source.Source) {
	t.Helper()
	b, err := src.Bind(t.Context(), dataset.Spec{Name: "tail", Table: "tail", Shop: "shop", By: []string{"id"}, Columns: []string{"v"}, Key: "{shop}:{id}"})
	require.NoError(t, err)
	var want []string
	for i := 1; i < rowsOfShop; i += 2 {
		want = append(want, fmt.Sprintf(`{"v":"é\"%d"}`, i))
	}
	require.Equal(t, want, read(t, b, "1", 8, 3))
	require.Equal(t, []string(nil), read(t, b, "2", 8, 3))
}

func single(t *testing.T, src *source.Source) {
	t.Helper()
	b, err := src.Bind(t.Context(), conform())
	require.NoError(t, err)
	var keys, got []string
	object := func(into *[]string) source.Visit {
		return func(row []sql.RawBytes) (bool, error) {
			*into = append(*into, string(row[0]))
			if into == &got {
				keys = append(keys, b.RowKey(row))
			}
			return true, nil
		}
	}
	_, err = b.ReadPage(t.Context(), "s'1", "", "", 50, object(&got))
	require.NoError(t, err)
	var again []string
	require.NoError(t, b.ReadRows(t.Context(), "s'1", []string{keys[30], keys[2], `["0","b0","0xffff"]`, `["0","b0","0x03ff"]`}, object(&again)))
	require.Equal(t, []string{got[2], got[30]}, again, "rows that are not there, or that where leaves out, are not visited")
	require.NoError(t, b.ReadRows(t.Context(), "s'1", nil, object(&again)))
	require.Error(t, b.ReadRows(t.Context(), "s'1", []string{""}, object(&again)))
}

// first wants the first rows of either order, also of those that are looked up one by one.
func first(t *testing.T, src *source.Source) {
	t.Helper()
	var rows []string
	for i := range rowsOfShop {
		rows = append(rows, fmt.Sprintf(`["%d","b%d","0x0%dff"]`, i/20, i/4%5, i%4))
	}
	for order, want := range map[string][]string{dataset.OrderOldest: rows[:37], dataset.OrderNewest: rows[rowsOfShop-37:]} {
		spec := conform()
		spec.Order, spec.Where = order, ""
		b, err := src.Bind(t.Context(), spec)
		require.NoError(t, err)
		var part source.Part
		var got, single []string
		keys := func(into *[]string) source.Visit {
			return func(row []sql.RawBytes) (bool, error) {
				*into = append(*into, b.RowKey(row))
				return true, nil
			}
		}
		require.NoError(t, b.Split(t.Context(), "s2", 10, 37, func(r source.Range) error {
			if len(got) == 0 {
				part.From = r.From
			}
			part.To = r.To
			_, err := b.ReadPage(t.Context(), "s2", r.From, r.To, 100, keys(&got))
			return err
		}))
		require.Equal(t, want, got, order)
		kept, err := source.Only(b, []source.Part{part})
		require.NoError(t, err)
		require.NoError(t, kept.ReadRows(t.Context(), "s2", rows, keys(&single)))
		require.Equal(t, want, single, order)
	}
}

func query(t *testing.T, src *source.Source) {
	t.Helper()
	b, err := src.Bind(t.Context(), dataset.Spec{Name: "q", Query: "SELECT x.id, x.v FROM tail AS x WHERE x.shop = :shop AND x.id < 5 ORDER BY id DESC", Key: "{shop}", Value: "json_array"})
	require.NoError(t, err)
	require.Error(t, b.CheckShop("12abc"), "the shop is an integer")
	var got []string
	require.NoError(t, b.ReadAll(t.Context(), "1", func(row []sql.RawBytes) (bool, error) {
		out, err := b.Encoder().AppendObject(nil, row)
		got = append(got, string(out))
		return true, err
	}))
	require.Equal(t, []string{`{"id":3,"v":"é\"3"}`, `{"id":1,"v":"é\"1"}`}, got)
	has, err := b.Has(t.Context(), "2")
	require.NoError(t, err)
	require.False(t, has)
}

func refusals(t *testing.T, src *source.Source) {
	t.Helper()
	for want, change := range map[string]func(*dataset.Spec){
		"table: there is no table conforms; did you mean conform?": func(s *dataset.Spec) { s.Table = "conforms" },
		"columns: table conform has no column wv":                  func(s *dataset.Spec) { s.Columns = []string{"wv"} },
		"by: column v can be NULL":                                 func(s *dataset.Spec) { s.By, s.Key = []string{"v"}, "{shop}:{v}" },
		"by: no unique index":                                      func(s *dataset.Spec) { s.By, s.Key = []string{"a", "b"}, "{shop}:{a}:{b}" },
		"by: no index of table conform begins with (shop, b, a":    func(s *dataset.Spec) { s.By = []string{"b", "a", "c"} },
		"nothing": func(s *dataset.Spec) { s.Where = "nothing = 1" },
	} {
		s := conform()
		change(&s)
		_, err := src.Bind(t.Context(), s)
		require.ErrorContains(t, err, want)
	}
}

// read reads a shop in ranges and pages. Every third row ends its page.
func read(t *testing.T, b *source.Bound, shop string, unit, size int) (got []string) {
	t.Helper()
	require.NoError(t, b.Split(t.Context(), shop, unit, 0, func(r source.Range) error {
		for cursor, drained := r.From, false; !drained; {
			page, err := b.ReadPage(t.Context(), shop, cursor, r.To, size, func(row []sql.RawBytes) (bool, error) {
				out, err := b.Encoder().AppendObject(nil, row)
				got = append(got, string(out))
				return len(got)%3 != 0, err
			})
			if err != nil {
				return err
			}
			if page.Rows == 0 && !page.Done {
				return errors.New("a page made no progress")
			}
			cursor, drained = page.Last, page.Done
		}
		return nil
	}))
	return got
}
