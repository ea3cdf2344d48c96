package source

import (
	"cmp"
	"slices"
	"strings"
)

// checkBy: a cursor over a column that can be NULL would skip rows, and one whose text does not compare as the column
// does would lose its place.
func (b *Bound) checkBy() error {
	for _, c := range b.by {
		if c.Nullable {
			return b.spec.Err("by", "use a column that is NOT NULL, or ALTER TABLE", "column %s can be NULL", c.Name)
		}
		if !c.Sortable {
			return b.spec.Err("by", "use integer, DECIMAL, date and time, CHAR, VARCHAR or BINARY columns",
				"column %s is %s, which cannot be paged by", c.Name, c.Type)
		}
	}
	return nil
}

// checkUnique: without a unique index two rows might share a cursor, and a page that ends between them loses one.
func (b *Bound) checkUnique() error {
	within := append([]string{b.spec.Shop}, b.spec.By...)
	if !b.uniqueBy(within) {
		return b.spec.Err("by", "add the columns that make a row unique, or CREATE UNIQUE INDEX "+b.indexSQL("_unique"),
			"no unique index of table %s says that (%s) is unique within a shop", b.spec.Table, strings.Join(b.spec.By, ", "))
	}
	inKey := b.spec.KeyHas("shop") || b.spec.KeyHas(b.spec.Shop)
	if !inKey && !b.uniqueBy(b.spec.By) {
		return b.spec.Err("key", "add {shop}",
			"lacks {shop}, and (%s) is unique within a shop only: shops would overwrite each other", strings.Join(b.spec.By, ", "))
	}
	return nil
}

// uniqueBy says whether a unique index proves that no two rows agree in all of the columns.
func (b *Bound) uniqueBy(columns []string) bool {
	return slices.ContainsFunc(b.table.Indexes, func(i Index) bool {
		return i.Unique && len(i.Key) > 0 && !slices.ContainsFunc(i.Key, func(c string) bool { return !containsFold(columns, c) })
	})
}

// chooseIndex takes an index that the rows of a shop can be read from in the order of `by`: the primary key if it is one,
// since it holds the rows themselves, else the shortest.
func (b *Bound) chooseIndex() error {
	order := append([]string{b.spec.Shop}, b.spec.By...)
	var fit []Index
	for _, i := range b.table.Indexes {
		if len(i.Order) >= len(order) && slices.EqualFunc(i.Order[:len(order)], order, strings.EqualFold) {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return b.spec.Err("by", "run CREATE INDEX "+b.indexSQL(""), "no index of table %s begins with (%s)",
			b.spec.Table, strings.Join(order, ", "))
	}
	b.index = slices.MinFunc(fit, func(x, y Index) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(len(x.Key), len(y.Key)), strings.Compare(x.Name, y.Name))
	})
	return nil
}

func rank(i Index) int {
	if i.Name == "PRIMARY" {
		return 0
	}
	return 1
}

// indexSQL is the rest of a CREATE INDEX that would do.
func (b *Bound) indexSQL(suffix string) string {
	quoted := []string{b.src.dialect.Quote(b.spec.Shop)}
	for _, c := range b.spec.By {
		quoted = append(quoted, b.src.dialect.Quote(c))
	}
	return b.src.dialect.Quote("prewarm_"+b.spec.Name+suffix) + " ON " + b.src.tableSQL(b.table) + " (" + strings.Join(quoted, ", ") + ")"
}

func (s *Source) tableSQL(t *Table) string {
	if t.Schema == "" {
		return s.dialect.Quote(t.Name)
	}
	return s.dialect.Quote(t.Schema) + "." + s.dialect.Quote(t.Name)
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}
