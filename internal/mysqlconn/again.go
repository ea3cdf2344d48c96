package mysqlconn

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/go-sql-driver/mysql"
)

// preparedMost is how many statements a connection has prepared at most. The server has a limit for those of all its clients, 16,382 unless
// changed (max_prepared_stmt_count), which the live load needs too.
const preparedMost = 8

// Errors of a server that has lost what was prepared, as one behind a proxy may, or cannot keep it up with a table that changes.
const (
	noStatement  = 1243 // ER_UNKNOWN_STMT_HANDLER
	tableChanged = 1615 // ER_NEED_REPREPARE
)

// Again runs a statement that is run over and over with other arguments, on a connection as sql.Conn.Raw hands it out. When one that a Counting
// connector has made is asked for the same text twice in a row, the statement is prepared there: the server reads its text once, and sends numbers and
// times as they are. Where that is refused, it is run as ever.
func Again(ctx context.Context, conn driver.QueryerContext, query string, args []driver.NamedValue) (driver.Rows, error) {
	c, ok := conn.(*counting)
	if !ok || c.plain || len(args) == 0 || bytesAmong(args) {
		return conn.QueryContext(ctx, query, args)
	}
	s, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.QueryContext(ctx, query, args)
	}
	c.reads.Add(1)
	rows, err := s.QueryContext(ctx, args)
	if failed, ok := errors.AsType[*mysql.MySQLError](err); ok && (failed.Number == noStatement || failed.Number == tableChanged) {
		c.forget()
		c.plain = true
		return c.QueryContext(ctx, query, args)
	}
	return rows, err
}

// bytesAmong: bytes are sent as text of the connection's character set, and are no such text.
func bytesAmong(args []driver.NamedValue) bool {
	for _, arg := range args {
		if _, ok := arg.Value.([]byte); ok {
			return true
		}
	}
	return false
}

// statement is a prepared one; nil: it is not, or not yet, or the server will not.
func (c *counting) statement(ctx context.Context, query string) (driver.StmtQueryContext, error) {
	if s := c.prepared[query]; s != nil {
		return s, nil
	}
	if c.last != query {
		c.last = query
		return nil, nil //nolint:nilnil // as documented
	}
	if len(c.prepared) >= preparedMost {
		c.forget()
	}
	s, err := c.PrepareContext(ctx, query)
	if _, refused := errors.AsType[*mysql.MySQLError](err); refused {
		c.plain = true
		return nil, nil //nolint:nilnil // as documented; what is wrong with the statement itself is said when it is run
	}
	if err != nil {
		return nil, err
	}
	p, ok := s.(preparedStatement)
	if !ok {
		c.plain = true
		return nil, s.Close()
	}
	if c.prepared == nil {
		c.prepared = map[string]preparedStatement{}
	}
	c.prepared[query] = p
	return p, nil
}

// forget closes what is prepared. A connection that cannot is broken, and says so when it is used next.
func (c *counting) forget() {
	for _, s := range c.prepared {
		_ = s.Close()
	}
	clear(c.prepared)
}

type preparedStatement interface {
	driver.Stmt
	driver.StmtQueryContext
}
