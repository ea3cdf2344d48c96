package dataset

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strings"
)

// protection is what is done with a column that must not be cached as it is.
type protection int

const (
	shown   protection = iota
	dropped            // it is not written; a hash loses the field, should it have one
	masked             // a text is written instead, also of NULL
	hashed             // the HMAC-SHA256 of its text form is, in hexadecimal digits; NULL stays NULL
)

// guard is how one column of the row is protected.
type guard struct {
	how  protection
	text string // of a mask
	json string // the same, quoted
}

// protectedField is one of the three fields that protect columns.
type protectedField struct {
	name    string
	how     protection
	columns []string
}

func (s Spec) protectedFields() []protectedField {
	return []protectedField{{"drop", dropped, s.Drop}, {"mask", masked, slices.Sorted(maps.Keys(s.Mask))}, {"hash", hashed, s.Hash}}
}

// Protected are the columns whose values must not be told to anybody as they are. MySQL does not tell capitals from small
// letters in names, and neither may those who compare them.
func (s Spec) Protected() []string {
	var all []string
	for _, f := range s.protectedFields() {
		all = append(all, f.columns...)
	}
	return all
}

// protection checks `drop`, `mask` and `hash` as far as that can be seen without the database.
func (v *validator) protection() {
	s := v.spec
	seen := map[string]string{}
	for _, f := range s.protectedFields() {
		v.names(f.name, f.columns)
		for _, c := range f.columns {
			other := seen[strings.ToLower(c)]
			seen[strings.ToLower(c)] = f.name
			if other != "" && other != f.name {
				v.add(f.name, "choose one of the two", "names %s, and so does %s", c, other)
				continue
			}
			v.protects(f.name, f.how, c)
		}
	}
	if len(s.Columns) > 0 && !slices.ContainsFunc(s.Columns, func(c string) bool { return !namedIn(s.Drop, c) }) {
		v.add("drop", "keep at least one column", "leaves nothing to write")
	}
	if len(s.Hash) > 0 && s.HashKey == "" {
		v.add("hash", "set policy.hash_key_file or policy.hash_key", "needs a secret key")
	}
}

// protects checks one column: what names a row, tells its version or is kept in the ledger cannot be hidden.
func (v *validator) protects(field string, how protection, c string) {
	s := v.spec
	_, version := s.versionColumn()
	switch {
	case s.Table != "" && (strings.EqualFold(c, s.Shop) || namedIn(s.By, c)):
		v.add(field, "leave it out of columns, or split the shop by another column",
			"names %s, which tells rows apart: the ledger, the tasks and the keys hold its values", c)
	case how != hashed && v.inTemplate(c):
		v.add(field, "use hash, or take it out of the key and the field", "names %s, which is part of the key or the field", c)
	case s.Write == WriteNewer && strings.EqualFold(c, version):
		v.add(field, "compare another column", "names %s, which write: newer compares", c)
	case strings.EqualFold(c, s.ChangedAt):
		v.add(field, "leave it out of columns, or use another column there", "names %s, which is changed_at: the ledger holds its newest values", c)
	case namedIn(s.JSON, c):
		v.add(field, "leave it out in json", "names %s, and so does json", c)
	case how != dropped && s.Table != "" && !namedIn(s.Columns, c):
		v.add(field, "leave it out here, or use drop", "names %s, which is not among columns", c)
	}
}

// inTemplate says whether the key or the field holds a column.
func (v *validator) inTemplate(column string) bool {
	for _, template := range []string{v.spec.Key, v.spec.Field} {
		if pieces, err := parseTemplate(template); err == nil && namedIn(columnsOf(pieces), column) {
			return true
		}
	}
	return false
}

func namedIn(names []string, column string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, column) })
}

// protect plans what is done with the columns of `drop`, `mask` and `hash`. A name that no column has is refused, or a misspelt
// one would let its column slip through; in the table form `drop` may name what is not read at all.
func (e *Encoder) protect() error {
	if len(e.spec.Hash) > 0 && e.spec.HashKey == "" {
		return e.spec.Err("hash", "set policy.hash_key_file or policy.hash_key", "needs a secret key")
	}
	for _, f := range e.spec.protectedFields() {
		for _, name := range f.columns {
			if err := e.guard(f.name, f.how, name); err != nil {
				return err
			}
		}
	}
	if e.guards == nil {
		return nil
	}
	left := 0
	for i := range e.labels {
		if e.labels[i] = ""; e.guards[i].how != dropped {
			e.labels[i] = label(left, e.cols[i].Name)
			left++
		}
	}
	if left == 0 {
		return e.spec.Err("drop", "keep at least one column", "leaves nothing to write")
	}
	e.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, []byte(e.spec.HashKey))} }
	return nil
}

func (e *Encoder) guard(field string, how protection, name string) error {
	g := guard{how: how}
	if how == masked {
		g.text = e.spec.Mask[name]
		quoted, reason := appendString(nil, []byte(g.text))
		if reason != "" {
			return e.spec.Err(field, "write another text", "the text of %s %s", name, reason)
		}
		g.json = string(quoted)
	}
	found := false
	for i, c := range e.cols {
		if !strings.EqualFold(c.Name, name) {
			continue
		}
		if e.guards == nil {
			e.guards = make([]guard, len(e.cols))
		}
		e.guards[i], found = g, true
	}
	if !found && (how != dropped || !e.spec.Paged()) {
		return e.spec.Err(field, "name one of "+strings.Join(e.Columns(), ", "), "there is no column %s", name)
	}
	return nil
}

// how is the protection of column i of the row.
func (e *Encoder) how(i int) protection {
	if e.guards == nil {
		return shown
	}
	return e.guards[i].how
}

// Protected says whether column i of the row must not be told to anybody as it is.
func (e *Encoder) Protected(i int) bool { return e.how(i) != shown }

// Reads says whether the value of column i of the row matters to the encoder.
func (e *Encoder) Reads(i int) bool { return e.how(i) != dropped && e.how(i) != masked }

// Protects says whether any column is protected.
func (e *Encoder) Protects() bool { return e.guards != nil }

// mac is a keyed hash with its buffers, so that a row makes none.
type mac struct {
	hash.Hash
	text, sum []byte
}

// appendHashed appends the keyed hash of a value that is not NULL.
func (e *Encoder) appendHashed(dst []byte, column int, raw []byte) (_ []byte, reason string) {
	m := e.macs.Get().(*mac) //nolint:errcheck,forcetypeassert // New makes no other
	defer e.macs.Put(m)
	if m.text, reason = appendText(m.text[:0], e.cols[column].Kind, raw); reason != "" {
		return dst, reason
	}
	m.Reset()
	m.Write(m.text)
	m.sum = m.Sum(m.sum[:0])
	return hex.AppendEncode(dst, m.sum), ""
}

// appendGuardedObject is AppendObject where columns are protected.
func (e *Encoder) appendGuardedObject(dst []byte, row []sql.RawBytes) ([]byte, error) {
	start := len(dst)
	for i, label := range e.labels {
		g := &e.guards[i]
		if g.how == dropped {
			continue
		}
		dst = append(dst, label...)
		var reason string
		switch {
		case g.how == masked:
			dst = append(dst, g.json...)
		case row[i] == nil:
			dst = append(dst, "null"...)
		case g.how == hashed:
			dst = append(dst, '"')
			dst, reason = e.appendHashed(dst, i, row[i])
			dst = append(dst, '"')
		default:
			dst, reason = appendJSON(dst, e.cols[i].Kind, row[i])
		}
		if reason != "" {
			return dst[:start], e.rowError(i, reason)
		}
	}
	return append(dst, '}'), nil
}

// appendPlain appends a value that is not NULL as it stands in keys and hashes.
func (e *Encoder) appendPlain(dst []byte, column int, raw []byte) (_ []byte, reason string) {
	if e.how(column) == hashed {
		return e.appendHashed(dst, column, raw)
	}
	return appendText(dst, e.cols[column].Kind, raw)
}
