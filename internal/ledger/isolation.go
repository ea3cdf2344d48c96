package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// repeatable makes connections whose transactions are isolated as the ledger's statements expect, whatever the server's own setting:
// the gap that a locking read finds empty stays empty (Store.admitted). A setting of the DSN has other names in MySQL and MariaDB.
type repeatable struct{ driver.Connector }

func (r repeatable) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(errors.New("the database driver has no direct statements"), conn.Close())
	}
	if _, err := session.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", nil); err != nil {
		return nil, errors.Join(fmt.Errorf("set the isolation of transactions: %w", err), conn.Close())
	}
	return conn, nil
}
