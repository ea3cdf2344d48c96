package source

import (
	"context"
	"errors"
	"math"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// named is a table with the name that a query's columns are qualified with.
type named struct {
	alias string
	table *Table
}

func (b *Bound) bindQuery(ctx context.Context) error {
	var err error
	if b.query, err = dataset.ParseQuery(b.spec.Query); err != nil {
		return b.spec.Err("query", "", "%v", err)
	}
	tables, err := b.tablesOfQuery(ctx)
	if err != nil {
		return err
	}
	if err := b.resolveShop(tables); err != nil {
		return err
	}
	all := make([]*Table, len(tables))
	for i, t := range tables {
		all[i] = t.table
	}
	columns, err := b.src.dialect.Describe(ctx, b.src.db, b.query.With(b.src.dialect.Null(b.shops[0])), nil, all)
	if passing(err) {
		return b.errorf("describe the query", err)
	}
	if err != nil {
		return b.spec.Err("query", "run it by hand to see", "%v", err)
	}
	b.width = len(columns)
	if b.encoder, err = dataset.Compile(b.spec, plain(columns), len(columns)); err != nil {
		return err
	}
	if c := b.spec.ChangedAt; c != "" && !containsFold(b.encoder.Columns(), c) {
		return b.spec.Err("changed_at", suggest(c, b.encoder.Columns()), "the query returns no column %s", c)
	}
	return nil
}

// tablesOfQuery describes the tables that the query names. Names that are no tables (common table expressions, and what
// the parser took for a table) are left out; the database itself says if one is missing.
func (b *Bound) tablesOfQuery(ctx context.Context) ([]named, error) {
	var tables []named
	for _, ref := range b.query.Tables {
		t, err := b.src.dialect.Table(ctx, b.src.db, ref.Schema, ref.Name)
		if errors.Is(err, ErrNoTable) {
			continue
		}
		if err != nil {
			return nil, b.errorf("describe table "+ref.Name, err)
		}
		tables = append(tables, named{alias: ref.Alias, table: t})
	}
	return tables, nil
}

// resolveShop finds the type that shop ids must have.
func (b *Bound) resolveShop(tables []named) error {
	switch b.spec.ShopType {
	case dataset.ShopInteger:
		b.shops = []Column{{Column: dataset.Column{Name: "shop", Kind: dataset.KindInt}, Min: math.MinInt64, Max: math.MaxUint64}}
		return nil
	case dataset.ShopText:
		b.shops = []Column{{Column: dataset.Column{Name: "shop", Kind: dataset.KindText}}}
		return nil
	}
	for _, ref := range b.query.ShopIsA {
		for _, t := range tables {
			if c, ok := t.table.column(ref.Name); ok && (ref.Table == "" || strings.EqualFold(ref.Table, t.alias)) {
				b.addShop(t.table, c)
			}
		}
	}
	for _, c := range b.shops {
		if !isShop(c) || c.Kind != b.shops[0].Kind {
			b.shops = nil
			break
		}
	}
	if len(b.shops) == 0 {
		return b.spec.Err("shop_type", "add shop_type: integer, or shop_type: text",
			"the type of :shop cannot be told from the query")
	}
	return nil
}

func (b *Bound) addShop(t *Table, c Column) {
	b.shops = append(b.shops, c)
	if c.Kind == dataset.KindText {
		name := b.src.dialect.Quote(c.Name)
		b.spellings = append(b.spellings, "SELECT "+name+" FROM "+b.src.tableSQL(t)+" WHERE "+name+" = ? LIMIT 1")
	}
}

// passing says whether an error of a statement may pass, and so tells nothing about the declaration.
func passing(err error) bool { return err != nil && !Definitive(err) }
