package mysqlconn

import (
	"database/sql"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestTheTimeOfAnAnswerIsTheServers(t *testing.T) {
	t.Parallel()
	open := func(buffer bool) *sql.Conn {
		dsn, err := mysql.ParseDSN(testenv.MySQL(t))
		require.NoError(t, err)
		if buffer {
			Buffered(dsn)
		}
		connector, err := mysql.NewConnector(dsn)
		require.NoError(t, err)
		db := sql.OpenDB(&Counting{Connector: connector, Reads: &atomic.Int64{}})
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		conn, err := db.Conn(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	ask := func(conn *sql.Conn) time.Duration {
		var answered func() time.Duration
		require.NoError(t, conn.Raw(func(driver any) error { answered = Timed(driver); return nil }))
		rows, err := conn.QueryContext(t.Context(), "SELECT SLEEP(0.05)")
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.NoError(t, rows.Close())
		return answered()
	}
	timed := open(true)
	var took, longest time.Duration
	require.Eventually(t, func() bool {
		began := time.Now()
		took = ask(timed)
		longest = time.Since(began)
		return took > 0
	}, time.Minute, time.Millisecond)
	require.GreaterOrEqual(t, took, 49*time.Millisecond)
	require.LessOrEqual(t, took, longest)
	require.Zero(t, ask(open(false)), "nobody looked at that connection")
}
