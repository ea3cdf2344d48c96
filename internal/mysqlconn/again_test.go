package mysqlconn

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// onOne opens one connection to a server.
func onOne(t *testing.T, dsn string) (conn *sql.Conn, reads *atomic.Int64) {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	cfg.InterpolateParams = true
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	reads = &atomic.Int64{}
	db := sql.OpenDB(&Counting{Connector: connector, Reads: reads})
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	conn, err = db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn, reads
}

// again is the one value that a statement run by Again gives.
func again(t *testing.T, conn *sql.Conn, query string, arg any) (got string, err error) {
	t.Helper()
	err = conn.Raw(func(c any) error {
		rows, err := Again(t.Context(), c.(driver.QueryerContext), query, []driver.NamedValue{{Ordinal: 1, Value: arg}})
		if err != nil {
			return err
		}
		value := make([]driver.Value, 1)
		require.NoError(t, rows.Next(value))
		switch v := value[0].(type) {
		case []byte:
			got = string(v)
		default:
			got = fmt.Sprint(v)
		}
		require.ErrorIs(t, rows.Next(value), io.EOF)
		return rows.Close()
	})
	return got, err
}

// status is a counter of the session, or of the server.
func status(t *testing.T, conn *sql.Conn, of, name string) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRowContext(t.Context(), "SHOW "+of+" STATUS LIKE '"+name+"'").Scan(new(string), &n))
	return n
}

func TestAStatementThatComesTwiceInARowIsPrepared(t *testing.T) {
	t.Parallel()
	conn, reads := onOne(t, testenv.MySQL(t))
	selects, read := status(t, conn, "SESSION", "Com_select"), reads.Load()
	for i, executed := range []int{0, 1, 2, 3} {
		got, err := again(t, conn, "SELECT ? + 1", int64(i))
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(i+1), got)
		require.Equal(t, executed, status(t, conn, "SESSION", "Com_stmt_execute"))
		require.Equal(t, min(executed, 1), status(t, conn, "SESSION", "Com_stmt_prepare"))
	}
	require.Equal(t, 4, status(t, conn, "SESSION", "Com_select")-selects, "the server's count is of both kinds, and so is ours")
	require.EqualValues(t, 4, reads.Load()-read-9, "but for the nine that asked for a counter")

	for range 3 {
		got, err := again(t, conn, "SELECT HEX(?)", []byte{0xff, 0, 'a'})
		require.NoError(t, err)
		require.Equal(t, "FF0061", got)
	}
	require.Equal(t, 1, status(t, conn, "SESSION", "Com_stmt_prepare"), "bytes are no text")
}

func TestFewStatementsStayPrepared(t *testing.T) {
	t.Parallel()
	server := testenv.OwnMySQL(t)
	conn, _ := onOne(t, server.DSN)
	for n := range 5 * preparedMost {
		for i := range 3 {
			got, err := again(t, conn, fmt.Sprintf("SELECT ? + %d", n), int64(i))
			require.NoError(t, err)
			require.Equal(t, strconv.Itoa(n+i), got)
		}
		require.LessOrEqual(t, status(t, conn, "GLOBAL", "Prepared_stmt_count"), preparedMost)
	}
	require.Equal(t, 5*preparedMost, status(t, conn, "SESSION", "Com_stmt_prepare"))
	for range 2 {
		_, err := again(t, conn, "SELECT ? FROM no_such_table", int64(1))
		require.ErrorContains(t, err, "no_such_table", "also when it was to be prepared")
	}
}

func TestAServerThatPreparesNothingIsReadAllTheSame(t *testing.T) {
	t.Parallel()
	server := testenv.OwnMySQL(t)
	conn, _ := onOne(t, server.DSN)
	_, err := conn.ExecContext(t.Context(), "SET GLOBAL max_prepared_stmt_count = 0")
	require.NoError(t, err)
	for i := range 5 {
		got, err := again(t, conn, "SELECT ? + 1", int64(i))
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(i+1), got)
	}
	require.Zero(t, status(t, conn, "SESSION", "Com_stmt_execute"))
	require.NoError(t, conn.Raw(func(c any) error {
		require.True(t, c.(*counting).plain, "it is not asked again and again")
		return nil
	}))
}

// failing is a prepared statement that fails.
type failing struct {
	preparedStatement
	err    error
	closed *int
}

func (f failing) QueryContext(context.Context, []driver.NamedValue) (driver.Rows, error) {
	return nil, f.err
}

func (f failing) Close() error {
	*f.closed++
	return nil
}

func TestAStatementThatTheServerHasLostIsRunAsText(t *testing.T) {
	t.Parallel()
	for number, lost := range map[uint16]bool{noStatement: true, tableChanged: true, 1317: false} {
		conn, _ := onOne(t, testenv.MySQL(t))
		closed := 0
		require.NoError(t, conn.Raw(func(c any) error {
			c.(*counting).prepared = map[string]preparedStatement{"SELECT ? + 1": failing{err: &mysql.MySQLError{Number: number}, closed: &closed}}
			return nil
		}))
		got, err := again(t, conn, "SELECT ? + 1", int64(1))
		if !lost {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "2", got)
		require.Equal(t, 1, closed)
		_, err = again(t, conn, "SELECT ? + 1", int64(1))
		require.NoError(t, err)
		require.Zero(t, status(t, conn, "SESSION", "Com_stmt_execute"))
	}
}
