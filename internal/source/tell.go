package source

import (
	"database/sql"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// What is told of rows that changed: which datasets they belong to, and which rows they are.

// ReadsTable says whether a dataset is read from a table. An empty schema is any.
func (b *Bound) ReadsTable(schema, name string) bool {
	_, ok := b.tableNamed(schema, name)
	return ok
}

// tableNamed is what a table is called in a query, or "" in the table form.
func (b *Bound) tableNamed(schema, name string) (alias string, ok bool) {
	if b.table != nil {
		return "", b.src.same(b.table.Schema, b.table.Name, schema, name)
	}
	for _, t := range b.query.Tables {
		if b.src.same(t.Schema, t.Name, schema, name) {
			return t.Alias, true
		}
	}
	return "", false
}

// same compares a table of a declaration with one that a message names. Both may leave the schema out.
func (s *Source) same(schema, name, toldSchema, toldName string) bool {
	if schema == "" {
		schema = s.schema
	}
	return strings.EqualFold(name, toldName) && (schema == "" || toldSchema == "" || strings.EqualFold(schema, toldSchema))
}

// Tells are the columns of a table by which a changed row is found.
func (b *Bound) Tells(schema, table string) (columns []string) {
	alias, ok := b.tableNamed(schema, table)
	switch {
	case !ok:
		return nil
	case b.table == nil:
		for _, c := range b.query.ShopIsA {
			if c.Table == "" || strings.EqualFold(c.Table, alias) {
				columns = append(columns, c.Name)
			}
		}
	default:
		columns = append([]string{b.spec.Shop}, b.spec.By...)
	}
	for i := range b.width {
		if b.encoder.InKey(i) {
			columns = append(columns, b.encoder.Name(i))
		}
	}
	return columns
}

// Told is what was told of a row: the text of a column, and whether it was told and is not NULL.
type Told func(column string) (text string, ok bool)

// ShopTold is the shop that a row of a table belongs to; ok is false if what was told does not say.
func (b *Bound) ShopTold(schema, table string, told Told) (shop string, ok bool) {
	if b.table != nil {
		shop, ok = told(b.spec.Shop)
		return shop, ok && b.CheckShop(shop) == nil
	}
	alias, ok := b.tableNamed(schema, table)
	if !ok {
		return "", false
	}
	for _, c := range b.query.ShopIsA {
		if c.Table != "" && !strings.EqualFold(c.Table, alias) || c.Table == "" && len(b.query.Tables) > 1 {
			continue
		}
		if shop, ok := told(c.Name); ok && b.CheckShop(shop) == nil {
			return shop, true
		}
	}
	return "", false
}

// RowTold is the cursor of a row; ok is false if what was told does not say, or cannot be in the columns of `by`.
func (b *Bound) RowTold(told Told) (cursor string, ok bool) {
	if b.table == nil {
		return "", false
	}
	values := make([]sql.RawBytes, len(b.by))
	for i, c := range b.by {
		text, ok := told(c.Name)
		if !ok {
			return "", false
		}
		if values[i], ok = asKey(c, text); !ok {
			return "", false
		}
	}
	cursor, err := b.cursor(values)
	return cursor, err == nil
}

// asKey is a column's value as the database would write it.
func asKey(c Column, text string) (sql.RawBytes, bool) {
	switch c.Kind {
	case dataset.KindInt:
		_, reason := intArg(c, text)
		return sql.RawBytes(text), reason == ""
	case dataset.KindTime: // tools write times in forms of their own
		return sql.RawBytes(text), len(text) >= len("00:00:00") && strings.ContainsAny(text, ":-") && !strings.ContainsAny(text, "TZ")
	case dataset.KindDecimal:
		return sql.RawBytes(text), text != "" && strings.Trim(text, "-.0123456789") == ""
	case dataset.KindBinary:
		if digits, ok := strings.CutPrefix(text, "0x"); ok {
			raw, err := hex.DecodeString(digits)
			return raw, err == nil
		}
		return nil, false // base64 or raw: that cannot be told
	default:
		return sql.RawBytes(text), true
	}
}

// KeyTold is the key in the cache of a row of a shop; ok is false if what was told does not hold all of it.
func (b *Bound) KeyTold(shop string, told Told) (key string, ok bool) {
	row := make([]sql.RawBytes, b.width)
	for i := range row {
		if !b.encoder.InKey(i) {
			continue
		}
		text, ok := told(b.encoder.Name(i))
		if !ok {
			return "", false
		}
		row[i] = sql.RawBytes(text)
		if c := b.columnOf(b.encoder.Name(i)); c != nil && c.Kind == dataset.KindBinary {
			if raw, ok := asKey(*c, text); ok { // otherwise it was told as it is
				row[i] = raw
			}
		}
	}
	raw, err := b.encoder.AppendKey(nil, shop, row)
	return string(raw), err == nil
}

// columnOf is a column of the table form; nil: it is not known.
func (b *Bound) columnOf(name string) *Column {
	if b.table == nil {
		return nil
	}
	i := slices.IndexFunc(b.table.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return nil
	}
	return &b.table.Columns[i]
}

// CachedKey is the key in the cache of the row that a cursor names; ok is false if the key has more than the cursor holds.
func (b *Bound) CachedKey(shop, cursor string) (key string, ok bool) {
	if b.table == nil {
		return "", false
	}
	args, err := b.args(cursor)
	if err != nil || args == nil {
		return "", false
	}
	texts, err := cursorTexts(cursor)
	if err != nil {
		return "", false
	}
	return b.KeyTold(shop, func(column string) (string, bool) {
		if strings.EqualFold(column, b.spec.Shop) {
			return shop, true
		}
		i := slices.IndexFunc(b.by, func(c Column) bool { return strings.EqualFold(c.Name, column) })
		if i < 0 {
			return "", false
		}
		return texts[i], true
	})
}

// KeyBeyondRow says whether a row's key in the cache has columns that its cursor does not hold, so that a change of the row may
// give it another key.
func (b *Bound) KeyBeyondRow() bool {
	for i := range b.width {
		name := b.encoder.Name(i)
		if b.encoder.InKey(i) && !strings.EqualFold(name, b.spec.Shop) &&
			!slices.ContainsFunc(b.by, func(c Column) bool { return strings.EqualFold(c.Name, name) }) {
			return true
		}
	}
	return false
}

// Tables are the names of the tables that a dataset is read from.
func (b *Bound) Tables() (names []string) {
	if b.table != nil {
		return []string{b.table.Name}
	}
	for _, t := range b.query.Tables {
		names = append(names, t.Name)
	}
	return names
}
