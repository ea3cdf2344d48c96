package source

import (
	"context"
	"database/sql"
	"errors"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// ErrNoTable is what Dialect.Table returns for a table that does not exist.
var ErrNoTable = errors.New("no such table")

// ErrNotCounted is what Dialect.Examined returns where nobody counts.
var ErrNotCounted = errors.New("the database does not count the rows that it examines")

// Dialect is what differs between the databases that can be read from. It writes SQL and reads catalogues; what to
// read, and what to make of it, is decided once, in Bound.
//
// Values come back as database/sql hands them to sql.RawBytes: the database's text form, but raw bytes for
// dataset.KindBinary and dataset.KindBit. SQL NULL is a nil RawBytes.
type Dialect interface {
	// Quote makes an identifier of a name.
	Quote(name string) string

	// Table describes one table; schema "" is the connection's own. A table that does not exist is ErrNoTable.
	Table(ctx context.Context, db *sql.DB, schema, name string) (*Table, error)

	// TableNames lists the tables and views of a schema; "" is the connection's own. Only for messages.
	TableNames(ctx context.Context, db *sql.DB, schema string) ([]string, error)

	// Describe tells the columns that a query returns, without reading its rows if that can be had. tables are those
	// that the query names after FROM and JOIN and that exist; they may tell what the result does not (MariaDB's JSON).
	// A query that the database does not accept is an error.
	Describe(ctx context.Context, db *sql.DB, query string, args []any, tables []*Table) ([]Column, error)

	// Select is the expression that reads a column without losing anything of it in its text form: mostly its quoted
	// name.
	Select(c Column) string

	// Null is an SQL expression that is NULL and that the column can be compared with. It stands for the shop when a query
	// is described.
	Null(c Column) string

	// Scan writes the statement of an index range scan, and its arguments.
	Scan(s Scan) (query string, args []any)

	// Query is what is sent for an operator's query.
	Query(query string) string

	// Explain says how the database would run the statement that Scan writes for s. It must tell a scan that begins at
	// s.After from one that begins at the shop's first row.
	Explain(ctx context.Context, db *sql.DB, s Scan) (Plan, error)

	// Examined is how many rows a session has examined so far, those it dropped included. ErrNotCounted: the database does
	// not say.
	Examined(ctx context.Context, session *sql.Conn) (int64, error)

	// Now is the expression of the database's clock in whole microseconds since 1970 UTC.
	Now() string
}

// Table is a table of the database, as far as reading it in pages needs to know.
type Table struct {
	Schema  string // "" for the connection's own
	Name    string
	View    bool // views have no index of their own
	Columns []Column
	Indexes []Index
}

// Index is an index of a table.
type Index struct {
	Name   string
	Unique bool
	// Key holds the columns that it was declared with, and is what Unique speaks of. Empty if it is on an expression.
	Key []string
	// Order holds the columns that a scan of it is ordered by, ascending, from the first: Key up to the first part that is
	// a prefix of a column or descending, and then what the engine appends by itself (InnoDB: the primary key).
	// Empty if the index cannot be scanned in order (hash, full text) or is hidden from the optimizer.
	Order []string
}

// Column is a column of a table or of a query's result.
type Column struct {
	dataset.Column

	Min       int64  // KindInt: the least value that the type can hold
	Max       uint64 // KindInt: the greatest
	Length    int64  // KindText: at most this many characters; KindBinary: bytes; 0: not known
	Precision int    // KindDecimal: digits in all
	Scale     int    // KindDecimal: digits after the point
	Charset   string // KindText: the character set's name in MySQL; "": any text fits

	// Sortable: a value's text, bound back as an argument, compares in the index as the value itself does. So the column may be
	// in `by`. False for floats, ENUM, SET, BIT, JSON.
	Sortable bool
}

// Scan is a part of one shop's rows in index order:
//
//	SELECT Select FROM Table, using Index
//	WHERE Shop = ShopArg AND By > After AND By <= To AND By IN (Rows) AND (in any of Parts) AND (Where)
//	ORDER BY Shop, By LIMIT Limit OFFSET Offset
//
// By compares as a row, the first column first. The dialect chooses the form of the comparison that its database runs as
// a range on the index, beginning at After. Arguments are int64 or uint64 for KindInt, []byte for KindBinary, and string
// for all other kinds.
type Scan struct {
	Table *Table
	Index Index
	Shop  Column
	By    []Column

	Select  []string // expressions
	Total   bool     // how many rows there are, in place of Select
	ShopArg any
	After   []any   // one per By, or for the first of them only; nil: from the first row
	To      []any   // one per By; nil: to the last row
	Rows    [][]any // single rows, one value per By each; nil: all of the range
	Parts   []Span  // only rows of any of these; nil: all
	Down    bool    // from the last row to the first, both in their order and in what Limit and Offset count
	Where   string  // the operator's condition, SQL; it may end in a `--` comment; "": all rows
	Limit   int64   // 0: no limit
	Offset  int64
	Counted bool // Examined counts every row that is looked at, also those that a condition on the index drops
}

// Span is By > After AND By <= To AND Column >= Since.
type Span struct {
	After []any // one per By; nil: from the first row
	To    []any // one per By; nil: to the last row

	Column Column
	Since  any // nil: whatever the column holds
}

// Plan is how the database would run a scan.
type Plan struct {
	Range bool   // it reads the index from After on, in order, and nothing else
	Empty bool   // the database knows without reading that there are no rows, so it tells no plan
	Text  string // the database's own words, in one line
	Rows  int64  // about how many rows it would read; 0: it does not say
}
