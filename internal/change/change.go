// Package change owns what is told of rows that changed: prewarm's own form, and the messages of the change-data tools
// Debezium, Maxwell and Canal. It is pure. What a message says of a row is used to find the row, never to write it: what is
// cached is always read from the source again, so messages may come twice, late, and in any order.
package change

import (
	"errors"
	"time"
)

// Operations.
const (
	Insert  = "insert"
	Update  = "update"
	Delete  = "delete"
	Hide    = "hide"    // the row must not be seen any more; as Delete, it goes first
	Refresh = "refresh" // anything may have changed: of the row, or without a key of all of the shop's dataset
)

// Row is what columns hold, as text; nil is NULL. Columns that were not told are not in it.
type Row map[string]*string

// Change is one change, as it was told.
type Change struct {
	Dataset  string // a dataset's name; or
	Database string // the table's schema; empty: not told
	Table    string
	Shop     string // empty: it stands in the row
	Key      []string
	Op       string
	Before   Row // as much as was told
	After    Row
	Who      string
	At       time.Time // zero: not told
}

// About is what the sender called it by.
func (c Change) About() string {
	switch {
	case c.Dataset != "":
		return c.Dataset
	case c.Database != "":
		return c.Database + "." + c.Table
	}
	return c.Table
}

// Urgent: what was there must be out of the cache before anything else is brought into it.
func (c Change) Urgent() bool { return c.Op == Delete || c.Op == Hide }

// ErrMalformed: a document cannot be read as changes.
var ErrMalformed = errors.New("malformed changes")

// ErrNotRows: a message is not about rows, such as a table's definition or a transaction's end.
var ErrNotRows = errors.New("is not about rows")
