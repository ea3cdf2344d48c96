package binlog

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Table is a table as it was when the rows behind it were written.
type Table struct {
	Schema string
	Name   string
	Names  []string // of its columns; nil: the server does not say (binlog_row_metadata=FULL)
	types  []byte
	meta   []uint16
}

// Width is how many columns it has.
func (t *Table) Width() int { return len(t.types) }

// mostTables bounds how many are remembered.
const mostTables = 10_000

// tableMap reads a table map: an id, flags, schema and name (length, text, 0), the columns' types and what belongs to them,
// which of them may be NULL, and more that is optional.
func (s *Stream) tableMap(body []byte) error {
	r := reader{body}
	id := r.uint(6)
	r.take(2)
	t := &Table{Schema: r.name(), Name: r.name()}
	n := r.length()
	t.types = slices.Clone(r.take(n))
	meta := reader{r.take(r.length())}
	t.meta = make([]uint16, len(t.types))
	for i, kind := range t.types {
		switch metaBytes(kind) {
		case 1:
			t.meta[i] = uint16(meta.uint(1))
		case 2:
			if raw := meta.take(2); raw != nil {
				t.meta[i] = binary.LittleEndian.Uint16(raw)
			}
		}
		if meta.bytes == nil {
			return errMalformed
		}
	}
	r.take((n + 7) / 8)
	if r.bytes == nil {
		return errMalformed
	}
	t.Names = columnNames(r, n)
	if len(s.tables) >= mostTables {
		clear(s.tables)
	}
	s.tables[id] = t
	return nil
}

// columnNames looks for the names among what is optional: a type, a length, and that many bytes.
func columnNames(r reader, columns int) []string {
	const names = 4
	for len(r.bytes) > 0 {
		kind := r.uint(1)
		field := reader{r.take(r.length())}
		if kind != names {
			continue
		}
		var all []string
		for len(field.bytes) > 0 {
			all = append(all, string(field.take(field.length())))
		}
		if len(all) == columns && field.bytes != nil {
			return all
		}
	}
	return nil
}

// reader takes pieces off the front. What is not there makes it nil, for good.
type reader struct{ bytes []byte }

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.bytes) || r.bytes == nil {
		r.bytes = nil
		return nil
	}
	out := r.bytes[:n:n]
	r.bytes = r.bytes[n:]
	return out
}

func (r *reader) uint(n int) (v uint64) {
	for i, b := range r.take(n) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

// length reads a number in the protocol's packed form.
func (r *reader) length() int {
	first := r.uint(1)
	switch {
	case first < 251:
		return int(first)
	case first == 252:
		return int(r.uint(2))
	case first == 253:
		return int(r.uint(3))
	}
	r.bytes = nil // no length here is as great
	return 0
}

// packed reads a number as MySQL writes those of newer events: as many bytes follow the first as it ends in bits that are set, and these
// and the one that is not are no part of the number.
func (r *reader) packed() uint64 {
	first := byte(r.uint(1))
	more := bits.TrailingZeros8(^first)
	if more == 8 {
		return r.uint(8)
	}
	return uint64(first)>>(more+1) | r.uint(more)<<(7-more)
}

// name reads a length, a text and a 0.
func (r *reader) name() string {
	text := string(r.take(int(r.uint(1))))
	r.take(1)
	return text
}
