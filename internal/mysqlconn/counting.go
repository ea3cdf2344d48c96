package mysqlconn

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"
)

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

// Counting is a connector whose connections count the statements that return rows, so that ours can be told from those of
// others in the server's count.
type Counting struct {
	driver.Connector
	Reads *atomic.Int64
}

// Connect implements driver.Connector.
func (c *Counting) Connect(ctx context.Context) (driver.Conn, error) {
	var d dialResult
	conn, err := c.Connector.Connect(context.WithValue(ctx, dialKey{}, &d))
	if err != nil {
		return nil, err
	}
	s, ok := conn.(session)
	if !ok {
		_ = conn.Close()
		return nil, errors.New("the driver's connections cannot do what database/sql uses")
	}
	return &counting{session: s, reads: c.Reads, conn: d.conn}, nil
}

type counting struct {
	session
	reads *atomic.Int64
	conn  *buffered // nil: it is another's

	prepared map[string]preparedStatement // by their texts
	last     string                       // what Again was asked for last, if it was not prepared
	plain    bool                         // nothing is prepared here
}

func (c *counting) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.reads.Add(1)
	return c.session.QueryContext(ctx, query, args)
}

// Server names the server behind a connection, so that two that lead to the same one can be told, whatever their addresses
// say.
func Server(ctx context.Context, db *sql.DB) (name string, err error) {
	err = db.QueryRowContext(ctx, "SELECT CONCAT_WS(' ', @@hostname, @@port, @@datadir)").Scan(&name)
	return name, err
}
