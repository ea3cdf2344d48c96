package dataset

import (
	"database/sql"
	"slices"
	"strings"
	"sync"
)

// Encoder turns a dataset's rows into keys and values. It is planned once per dataset and used for every row, without
// allocating; it may be used by several goroutines at once.
//
// A row holds the visible columns first, in the order of the declaration or the query, and then any that only the key
// needs. A method that fails returns dst as it was, and a *RowError.
type Encoder struct {
	spec    Spec
	cols    []Column
	visible int
	labels  []string // `{"id":`, `,"name":` …, one per visible column
	key     []slot
	field   []slot
	version int // of the visible columns; -1: rows are not compared
	order   string
	guards  []guard   // one per column; nil: none is protected
	macs    sync.Pool // of *mac
}

// slot is one piece of a template, resolved.
type slot struct {
	text   string
	column int // in the row; or one of the two below
}

const (
	slotText = -1
	slotShop = -2
)

// Compile plans the encoding of rows that consist of cols, of which the first visible ones are part of the value.
// Its errors are *SpecError.
func Compile(spec Spec, cols []Column, visible int) (*Encoder, error) {
	e := &Encoder{spec: spec, cols: slices.Clone(cols), visible: visible}
	seen := map[string]bool{}
	for i, c := range e.cols[:visible] {
		if seen[c.Name] {
			return nil, spec.Err("query", "give one of them another name with AS", "returns two columns called %s", c.Name)
		}
		seen[c.Name] = true
		e.labels = append(e.labels, label(i, c.Name))
	}
	for _, name := range spec.JSON {
		if err := e.nest(name); err != nil {
			return nil, err
		}
	}
	if err := e.findVersion(); err != nil {
		return nil, err
	}
	if err := e.protect(); err != nil {
		return nil, err
	}
	var err error
	if e.key, err = e.resolve("key", spec.Key); err != nil {
		return nil, err
	}
	if spec.Field != "" {
		e.field, err = e.resolve("field", spec.Field)
	}
	return e, err
}

// label is what stands before the value of visible column i.
func label(i int, name string) string {
	dst := []byte{','}
	if i == 0 {
		dst[0] = '{'
	}
	dst, _ = appendString(dst, []byte(strings.ToValidUTF8(name, "\uFFFD")))
	return string(append(dst, ':'))
}

// nest marks a column that the declaration calls JSON.
func (e *Encoder) nest(name string) error {
	i := e.find(name)
	if i < 0 {
		return e.spec.Err("json", "name one of "+strings.Join(e.Columns(), ", "), "there is no column %s", name)
	}
	if k := e.cols[i].Kind; k != KindText && k != KindJSON {
		return e.spec.Err("json", "leave it out here", "column %s is %s, not text", name, e.cols[i].Type)
	}
	e.cols[i].Kind = KindJSON
	return nil
}

func (e *Encoder) find(name string) int {
	return slices.IndexFunc(e.cols, func(c Column) bool { return c.Name == name })
}

func (e *Encoder) resolve(field, template string) ([]slot, error) {
	pieces, err := parseTemplate(template)
	if err != nil {
		return nil, e.spec.Err(field, "", "%v", err)
	}
	slots := make([]slot, len(pieces))
	for i, p := range pieces {
		switch p.name {
		case "":
			slots[i] = slot{text: p.text, column: slotText}
		case shopName:
			slots[i] = slot{column: slotShop}
		default:
			n := e.find(p.name)
			if n < 0 {
				return nil, e.spec.Err(field, "use {shop} or one of "+strings.Join(e.Columns(), ", "), "there is no column %s", p.name)
			}
			slots[i] = slot{column: n}
		}
	}
	return slots, nil
}

// PerRow says whether the key contains a column, so that every row has a key of its own.
func (e *Encoder) PerRow() bool {
	return slices.ContainsFunc(e.key, func(s slot) bool { return s.column >= 0 })
}

// InKey says whether the key contains column i of the row.
func (e *Encoder) InKey(i int) bool {
	return slices.ContainsFunc(e.key, func(s slot) bool { return s.column == i })
}

// Name is the name of column i of the row.
func (e *Encoder) Name(i int) string { return e.cols[i].Name }

// Columns are the names of the visible columns.
func (e *Encoder) Columns() []string {
	names := make([]string, e.visible)
	for i := range names {
		names[i] = e.cols[i].Name
	}
	return names
}

// AppendKey appends the row's key. A nil row will do if PerRow is false.
func (e *Encoder) AppendKey(dst []byte, shop string, row []sql.RawBytes) ([]byte, error) {
	return e.append(dst, e.key, shop, row)
}

// AppendField appends the row's field in a hash that all rows share.
func (e *Encoder) AppendField(dst []byte, shop string, row []sql.RawBytes) ([]byte, error) {
	return e.append(dst, e.field, shop, row)
}

func (e *Encoder) append(dst []byte, slots []slot, shop string, row []sql.RawBytes) ([]byte, error) {
	start := len(dst)
	for _, s := range slots {
		switch s.column {
		case slotText:
			dst = append(dst, s.text...)
		case slotShop:
			dst = append(dst, shop...)
		default:
			raw := row[s.column]
			if raw == nil {
				return dst[:start], e.rowError(s.column, "is NULL, and part of the key")
			}
			var reason string
			if dst, reason = e.appendPlain(dst, s.column, raw); reason != "" {
				return dst[:start], e.rowError(s.column, reason)
			}
		}
	}
	return dst, nil
}

// AppendObject appends the visible columns as a JSON object, in their order.
func (e *Encoder) AppendObject(dst []byte, row []sql.RawBytes) ([]byte, error) {
	if e.guards != nil {
		return e.appendGuardedObject(dst, row)
	}
	start := len(dst)
	for i, label := range e.labels {
		dst = append(dst, label...)
		raw := row[i]
		if raw == nil {
			dst = append(dst, "null"...)
			continue
		}
		var reason string
		if dst, reason = appendJSON(dst, e.cols[i].Kind, raw); reason != "" {
			return dst[:start], e.rowError(i, reason)
		}
	}
	return append(dst, '}'), nil
}

// AppendText appends visible column i as it stands in a hash. Of a NULL, and of a column that is dropped, nothing is
// appended, and ok is false: the hash has no such field.
func (e *Encoder) AppendText(dst []byte, i int, row []sql.RawBytes) (_ []byte, ok bool, err error) {
	start, raw, how := len(dst), row[i], e.how(i)
	if how == masked {
		return append(dst, e.guards[i].text...), true, nil
	}
	if raw == nil || how == dropped {
		return dst, false, nil
	}
	dst, reason := e.appendPlain(dst, i, raw)
	if reason != "" {
		return dst[:start], false, e.rowError(i, reason)
	}
	return dst, true, nil
}

func (e *Encoder) rowError(column int, reason string) error {
	return &RowError{Column: e.cols[column].Name, Reason: reason}
}
