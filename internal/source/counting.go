package source

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
)

// Reads is how many statements that return rows this process has sent to the source, so that those of others can be told
// from the server's count.
func (s *Source) Reads() int64 {
	if s.reads == nil {
		return 0 // a source that was opened by the caller
	}
	return s.reads.Load()
}

// session is what the MySQL driver's connections can do.
type session interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// counting counts the queries of a connection.
type counting struct {
	session
	reads *atomic.Int64
}

func (c *counting) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.reads.Add(1)
	return c.session.QueryContext(ctx, query, args)
}
