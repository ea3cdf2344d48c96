package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// Bind checks a dataset against the live database. What is wrong with the declaration is a *dataset.SpecError (several
// may be joined) that names the field and the remedy; other errors are the database's own.
func (s *Source) Bind(ctx context.Context, spec dataset.Spec) (*Bound, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	spec.Value = spec.WrittenAs()
	b := &Bound{src: s, spec: spec}
	bind := b.bindQuery
	if spec.Paged() {
		bind = b.bindTable
	}
	if err := bind(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Bound) bindTable(ctx context.Context) error {
	schema, name, ok := strings.Cut(b.spec.Table, ".")
	if !ok {
		schema, name = "", b.spec.Table
	}
	var err error
	b.table, err = b.src.dialect.Table(ctx, b.src.db, schema, name)
	if errors.Is(err, ErrNoTable) {
		return b.noTable(ctx, schema, name)
	}
	if err != nil {
		return b.errorf("describe the table", err)
	}
	if b.table.View {
		return b.spec.Err("table", "name the table behind it, or use the query form", "%s is a view, and has no index", name)
	}
	for _, step := range []func() error{b.resolveColumns, b.checkBy, b.checkUnique, b.chooseIndex, b.chooseChanged, b.checkWindow} {
		if err := step(); err != nil {
			return err
		}
	}
	return b.checkPlan(ctx)
}

func (b *Bound) noTable(ctx context.Context, schema, name string) error {
	names, err := b.src.dialect.TableNames(ctx, b.src.db, schema)
	if err != nil {
		return b.errorf("list the tables", err)
	}
	return b.spec.Err("table", suggest(name, names), "there is no table %s", b.spec.Table)
}

// resolveColumns finds all columns that the declaration names, and plans the row: `columns`, and then what of `by` is not
// among them.
func (b *Bound) resolveColumns() error {
	var err error
	if b.shop, err = b.find("shop", b.spec.Shop); err != nil {
		return err
	}
	if !isShop(b.shop) {
		return b.spec.Err("shop", "use an integer, CHAR or VARCHAR column", "column %s is %s", b.shop.Name, b.shop.Type)
	}
	b.shops = []Column{b.shop}
	var row []Column
	for _, name := range b.spec.Columns {
		c, err := b.find("columns", name)
		if err != nil {
			return err
		}
		row = append(row, c)
	}
	for _, name := range b.spec.By {
		c, err := b.find("by", name)
		if err != nil {
			return err
		}
		b.by = append(b.by, c)
		at := slices.IndexFunc(row, func(r Column) bool { return r.Name == c.Name })
		if at < 0 {
			at, row = len(row), append(row, c)
		}
		b.byAt = append(b.byAt, at)
	}
	if b.spec.ChangedAt != "" {
		if b.changed, err = b.find("changed_at", b.spec.ChangedAt); err != nil {
			return err
		}
	}
	b.width = len(row)
	if b.encoder, err = dataset.Compile(b.spec, plain(row), len(b.spec.Columns)); err != nil {
		return err
	}
	for _, name := range b.spec.Drop {
		if _, err := b.find("drop", name); err != nil {
			return err
		}
	}
	for i, c := range row {
		b.selects = append(b.selects, "NULL")
		if b.encoder.Reads(i) {
			b.selects[i] = b.src.dialect.Select(c)
		}
		b.keys = append(b.keys, "NULL")
		if b.encoder.InKey(i) {
			b.keys[i] = b.selects[i]
		}
	}
	return nil
}

// find finds a column of the table; it is called as the declaration calls it.
func (b *Bound) find(field, name string) (Column, error) {
	c, ok := b.table.column(name)
	if !ok {
		var names []string
		for _, c := range b.table.Columns {
			names = append(names, c.Name)
		}
		return Column{}, b.spec.Err(field, suggest(name, names), "table %s has no column %s", b.spec.Table, name)
	}
	c.Name = name
	return c, nil
}

// isShop says whether a column can hold shop ids.
func isShop(c Column) bool {
	return c.Sortable && (c.Kind == dataset.KindInt || c.Kind == dataset.KindText)
}

func plain(columns []Column) []dataset.Column {
	all := make([]dataset.Column, len(columns))
	for i, c := range columns {
		all[i] = c.Column
	}
	return all
}

// mostNames bounds the names that a message lists.
const mostNames = 20

// suggest is the remedy for a name that does not exist.
func suggest(name string, names []string) string {
	remedy := ""
	if near, ok := nearest(name, names); ok {
		remedy = "did you mean " + near + "? "
	}
	if len(names) == 0 {
		return remedy + "there are none, or the user may not see them"
	}
	if extra := len(names) - mostNames; extra > 0 {
		return fmt.Sprintf("%sthere are: %s and %d more", remedy, strings.Join(names[:mostNames], ", "), extra)
	}
	return remedy + "there are: " + strings.Join(names, ", ")
}

// nearest is the name with the fewest edits, if they are less than half of it.
func nearest(name string, names []string) (string, bool) {
	best, least := "", len(name)/2+1
	for _, n := range names {
		if d := edits(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best, best != ""
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
