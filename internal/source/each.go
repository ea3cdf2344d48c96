package source

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/mysqlconn"
)

// visited is how the rows of a statement were visited.
type visited struct {
	stopped bool          // visit wanted no more
	took    time.Duration // until the system had all of the answer, by the kernel's clock; 0: it is not known
}

// each visits the rows of a statement. on is the connection to use; nil is any. again: its text comes again and again.
//
// The rows come from the driver itself: database/sql takes a lock for every row and finds out for every value what it is to
// be turned into: BenchmarkPage reads 7 to 34 % more rows without it.
func (b *Bound) each(ctx context.Context, on *sql.Conn, again bool, query string, args []any, visit Visit) (visited, error) {
	var err error
	v := visiting{width: b.width, check: b.asBound, visit: visit, again: again}
	if on != nil {
		err = v.on(ctx, on, query, args)
	} else {
		err = v.anywhere(ctx, b.src.db, query, args)
	}
	if v.failed != nil {
		return v.visited, v.failed
	}
	return v.visited, b.errorf("read rows", err)
}

// asBound refuses rows of a query whose columns have moved since it was bound, as those of SELECT * do when a table changes:
// columns are protected by their places.
func (b *Bound) asBound(columns []string) error {
	if b.query == nil || !b.encoder.Protects() || slices.Equal(columns, b.encoder.Columns()) {
		return nil
	}
	return b.spec.Err("query", "start prewarm anew, and name the columns instead of *", "returns other columns than when prewarm started")
}

// visiting is how far the rows of a statement have been visited.
type visiting struct {
	visited
	width  int
	check  func(columns []string) error
	visit  Visit
	again  bool  // the statement's text comes again and again
	any    bool  // there was a row
	failed error // visit's own
}

// anywhere uses a connection of the pool, and another one if the first turns out to be broken.
func (v *visiting) anywhere(ctx context.Context, db *sql.DB, query string, args []any) error {
	for again := true; ; again = false {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		err = v.on(ctx, conn, query, args)
		_ = conn.Close() // the statement is over
		if !errors.Is(err, driver.ErrBadConn) || v.any || !again {
			return err
		}
	}
}

func (v *visiting) on(ctx context.Context, conn *sql.Conn, query string, args []any) error {
	return conn.Raw(func(c any) error {
		answered := mysqlconn.Timed(c)
		rows, err := queryDriver(ctx, c, v.again, query, args)
		if err != nil {
			return err
		}
		err = errors.Join(v.rows(rows), rows.Close())
		v.took = answered()
		return err
	})
}

// errDriver: the statement cannot be run on the driver's own interface. Neither the MySQL driver with interpolated
// parameters nor the embedded one says so.
var errDriver = errors.New("the database driver has no direct queries")

func queryDriver(ctx context.Context, conn any, again bool, query string, args []any) (driver.Rows, error) {
	q, ok := conn.(driver.QueryerContext)
	if !ok {
		return nil, errDriver
	}
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
		var err error
		if checker, ok := conn.(driver.NamedValueChecker); ok {
			err = checker.CheckNamedValue(&values[i])
		} else {
			values[i].Value, err = driver.DefaultParameterConverter.ConvertValue(arg)
		}
		if err != nil {
			return nil, err
		}
	}
	var rows driver.Rows
	var err error
	if again && !strings.Contains(query, "/*+") { // MySQL heeds no resource group of a statement that was prepared
		rows, err = mysqlconn.Again(ctx, q, query, values)
	} else {
		rows, err = q.QueryContext(ctx, query, values)
	}
	if errors.Is(err, driver.ErrSkip) {
		return nil, errDriver
	}
	return rows, err
}

func (v *visiting) rows(rows driver.Rows) error {
	names := rows.Columns()
	if err := v.check(names); err != nil {
		return err
	}
	if n := len(names); n != v.width {
		return fmt.Errorf("the statement has %d columns, and %d were expected", n, v.width)
	}
	values, row, text := make([]driver.Value, v.width), make([]sql.RawBytes, v.width), make([]byte, 0, 256)
	for !v.stopped {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		v.any = true
		text = text[:0]
		for i, value := range values {
			row[i], text = rawBytes(text, value)
		}
		var more bool
		more, v.failed = v.visit(row)
		v.stopped = v.failed != nil || !more
	}
	return nil
}

// rawBytes is a value as database/sql would scan it into a sql.RawBytes. Those that are not bytes are appended to text.
func rawBytes(text []byte, value driver.Value) (sql.RawBytes, []byte) {
	from := len(text)
	switch v := value.(type) {
	case nil:
		return nil, text
	case []byte:
		return v, text
	case string:
		text = append(text, v...)
	case int64:
		text = strconv.AppendInt(text, v, 10)
	case uint64:
		text = strconv.AppendUint(text, v, 10)
	case float64:
		text = strconv.AppendFloat(text, v, 'g', -1, 64)
	case float32:
		text = strconv.AppendFloat(text, float64(v), 'g', -1, 32)
	case bool:
		text = strconv.AppendBool(text, v)
	case time.Time:
		text = v.AppendFormat(text, time.RFC3339Nano)
	default:
		text = fmt.Append(text, v)
	}
	return sql.RawBytes(text[from:len(text):len(text)]), text
}
