//go:build !race

package model

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// The shops and their size: units of unitRows rows, which are two pages, the second of them short.
var shops = []string{"shopA", "shopB"}

const (
	unitsOfShop = 2
	unitRows    = 3
	pageRows    = 2
)

const shopRows = unitsOfShop * unitRows

// tables are the sources: the version of each row of each shop, and when it became what it is.
type tables struct {
	w    *world
	rows map[string]*[shopRows]row
	enc  *dataset.Encoder
}

type row struct {
	version int
	edits   []time.Time // of version i+2; the first version was always there
}

var spec = dataset.Spec{Name: "users", Table: "users", Shop: "shop", By: []string{"id"}, Columns: []string{"id", "v"}, Key: "{shop}:{id}", Value: dataset.ValueJSON}

func newTables(w *world) *tables {
	cols := []dataset.Column{{Name: "id", Kind: dataset.KindInt}, {Name: "v", Kind: dataset.KindInt}}
	enc, err := dataset.Compile(spec, cols, len(cols))
	if err != nil {
		panic(err)
	}
	t := &tables{w: w, rows: map[string]*[shopRows]row{}, enc: enc}
	for _, s := range shops {
		t.rows[s] = &[shopRows]row{}
		for i := range t.rows[s] {
			t.rows[s][i].version = 1
		}
	}
	return t
}

// edit is the application changing a row.
func (t *tables) edit(shop string, i int) {
	r := &t.rows[shop][i]
	r.version++
	r.edits = append(r.edits, time.Now())
}

// versions are those of all of a shop's rows now.
func (t *tables) versions(shop string) (v [shopRows]int) {
	for i, r := range t.rows[shop] {
		v[i] = r.version
	}
	return v
}

// unitsOf are the units of a shop.
func unitsOf() []ledger.Unit {
	units := make([]ledger.Unit, unitsOfShop)
	for i := range units {
		units[i] = ledger.Unit{Dataset: spec.Name, RowsEstimated: unitRows, From: cursor(i * unitRows), To: cursor((i + 1) * unitRows)}
	}
	units[0].From, units[unitsOfShop-1].To = "", ""
	return units
}

func cursor(id int) string { return fmt.Sprintf(`["%d"]`, id) }

// position is a cursor's row; "" is the beginning.
func position(cursor string) int {
	n, err := strconv.Atoi(strings.Trim(cursor, `["]`))
	if err != nil {
		return 0
	}
	return n
}

func keyOf(shop string, id int) string { return shop + ":" + strconv.Itoa(id) }

func versionOf(value string) int {
	_, v, _ := strings.Cut(value, `"v":`)
	n, err := strconv.Atoi(strings.TrimSuffix(v, "}"))
	if err != nil {
		panic("not a row: " + value)
	}
	return n
}

func (t *tables) Spec() dataset.Spec        { return spec }
func (t *tables) Encoder() *dataset.Encoder { return t.enc }

func (t *tables) Now(context.Context) (time.Time, error) { return time.Now(), nil }

func (t *tables) ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error) {
	var page source.Page
	from, end := position(after), shopRows
	if to != "" {
		end = position(to)
	}
	last := min(from+limit, end)
	var seen [shopRows]int
	err := t.w.gate(ctx, toSource, fmt.Sprintf("source: read rows %d to %d", from+1, last), func() { seen = t.versions(shop) })
	if err != nil {
		return page, err
	}
	for id := from + 1; id <= last; id++ {
		page.Rows, page.Last = page.Rows+1, cursor(id)
		row := []sql.RawBytes{strconv.AppendInt(nil, int64(id), 10), strconv.AppendInt(nil, int64(seen[id-1]), 10)}
		if _, err := visit(row); err != nil {
			return page, err
		}
	}
	page.Done = page.Rows < limit
	return page, nil
}

func (t *tables) ReadKeys(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error) {
	return t.ReadPage(ctx, shop, after, to, limit, visit)
}

func (t *tables) ReadAll(context.Context, string, source.Visit) error {
	panic("no dataset is read whole")
}

func (t *tables) Cursor(row []sql.RawBytes) (string, error) {
	id, err := strconv.Atoi(string(row[0]))
	return cursor(id), err
}

// What the intake asks.

func (t *tables) CheckShop(string) error                             { return nil }
func (t *tables) Known(context.Context, string) (bool, error)        { return true, nil }
func (t *tables) Rows(context.Context, string, int64) (int64, error) { return 1 << 20, nil }
func (t *tables) Estimate(context.Context, string) (map[string]int64, error) {
	return map[string]int64{spec.Name: 1 << 20}, nil
}

func (t *tables) MeasurePage(context.Context, string, string, string, int, source.Visit) (source.Page, int64, error) {
	panic("no page is measured")
}
