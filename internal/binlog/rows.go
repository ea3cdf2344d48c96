package binlog

import (
	"errors"

	"github.com/prewarm-go/prewarm/internal/change"
)

// rowsEvent is an event of rows that has not been taken apart.
type rowsEvent struct {
	op    string
	wide  bool // with the length of more data before the columns
	plain bool // as it can be read
	body  []byte
}

// ErrColumns: the columns are not those of the table, or its rows cannot be read.
var ErrColumns = errors.New("the rows do not have the columns that the table has now")

// rows finds an event's table.
func (s *Stream) rows(e *Event, kind byte, body []byte) error {
	r := reader{body}
	id := r.uint(6)
	r.take(2)
	if r.bytes == nil {
		return errMalformed
	}
	if e.Table = s.tables[id]; e.Table == nil {
		return nil // a marker of a transaction's last statement
	}
	e.Kind = Rows
	e.rows = rowsEvent{body: r.bytes, plain: true}
	switch {
	case kind >= typeWriteV2 && kind <= typeDeleteV2:
		e.rows.wide, e.rows.op = true, ops[kind-typeWriteV2]
	case kind >= typeWriteV1 && kind <= typeDeleteV1:
		e.rows.op = ops[kind-typeWriteV1]
	default:
		e.rows.plain = false
	}
	return nil
}

var ops = []string{change.Insert, change.Update, change.Delete}

// Changes hands over each row that changed, with those of its columns that are wanted. columns are the table's, in order. What
// the statement left out of an update's image after it is as it was before.
func (e Event) Changes(columns []Column, visit func(change.Change)) error {
	if !e.rows.plain || len(columns) != len(e.Table.types) {
		return ErrColumns
	}
	r := reader{e.rows.body}
	if e.rows.wide {
		r.take(int(r.uint(2)) - 2)
	}
	if r.length() != len(columns) {
		return ErrColumns
	}
	present := [2][]byte{r.take((len(columns) + 7) / 8)}
	if e.rows.op == change.Update {
		present[1] = r.take((len(columns) + 7) / 8)
	}
	for len(r.bytes) > 0 {
		c := change.Change{Database: e.Table.Schema, Table: e.Table.Name, Op: e.rows.op, At: e.At}
		first := e.Table.image(&r, present[0], columns)
		switch e.rows.op {
		case change.Insert:
			c.After = first
		case change.Delete:
			c.Before = first
		default:
			c.Before, c.After = first, e.Table.image(&r, present[1], columns)
			for name, v := range c.Before {
				if _, ok := c.After[name]; !ok && c.After != nil && !written(present[1], columns, name) {
					c.After[name] = v
				}
			}
		}
		if r.bytes == nil {
			return ErrColumns
		}
		visit(c)
	}
	if r.bytes == nil {
		return ErrColumns
	}
	return nil
}

func written(present []byte, columns []Column, name string) bool {
	for i, c := range columns {
		if c.Name == name {
			return has(present, i)
		}
	}
	return false
}

func has(bits []byte, i int) bool { return bits[i/8]>>(i%8)&1 == 1 }

// image reads one row: which of the columns that are there are NULL, and the values of the others.
func (t *Table) image(r *reader, present []byte, columns []Column) change.Row {
	count := 0
	for i := range columns {
		if r.bytes != nil && has(present, i) {
			count++
		}
	}
	null := r.take((count + 7) / 8)
	if r.bytes == nil {
		return nil
	}
	row := change.Row{}
	n := 0
	for i, c := range columns {
		if !has(present, i) {
			continue
		}
		n++
		if has(null, n-1) {
			if c.Wanted {
				row[c.Name] = nil
			}
			continue
		}
		raw := r.take(size(t.types[i], t.meta[i], r.bytes))
		if r.bytes == nil {
			return nil
		}
		if !c.Wanted {
			continue
		}
		if text, ok := text(t.types[i], t.meta[i], raw, c); ok {
			row[c.Name] = &text
		}
	}
	return row
}
