package mysqlconn

import (
	"bytes"
	"database/sql"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestWhatOneWaitsForItselfIsNotTheAnswersTime(t *testing.T) {
	t.Parallel()
	conn, theirs := dialled(t)
	ours, ok := conn.(*buffered)
	require.True(t, ok)
	require.True(t, ours.timed())
	go func() { _, _ = io.Copy(theirs, theirs) }()
	// The kernel begins to stamp what comes a moment after the first socket has asked for it.
	require.Eventually(t, func() bool {
		_, err := ours.Write([]byte("abcd"))
		require.NoError(t, err)
		time.Sleep(300 * time.Millisecond) // as for want of a processor
		_, err = io.ReadFull(ours, make([]byte, 4))
		require.NoError(t, err)
		return !ours.arrived.IsZero()
	}, time.Minute, time.Millisecond)
	took := ours.arrived.Sub(ours.sent)
	require.Positive(t, took)
	require.Less(t, took, 200*time.Millisecond)

	sent := bytes.Repeat([]byte("0123456789abcdef"), readBuffer/4)
	go func() { _, _ = ours.Conn.Write(sent) }()
	got := make([]byte, len(sent))
	_, err := io.ReadFull(ours.Conn, got[:1]) // by another's hand
	require.NoError(t, err)
	_, err = io.ReadFull(ours, got[1:])
	require.NoError(t, err)
	require.Equal(t, sent, got)
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(-time.Second)))
	_, err = ours.Read(got)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, ours.SetReadDeadline(time.Time{}))
	require.NoError(t, theirs.Close())
	_, err = ours.Read(got)
	require.ErrorIs(t, err, io.EOF)
}

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
	ask := func(conn *sql.Conn) (time.Duration, bool) {
		answered := Timed(conn)
		rows, err := conn.QueryContext(t.Context(), "SELECT SLEEP(0.05)")
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.NoError(t, rows.Close())
		return answered()
	}
	timed := open(true)
	var took, longest time.Duration
	require.Eventually(t, func() (ok bool) {
		began := time.Now()
		took, ok = ask(timed)
		longest = time.Since(began)
		return ok
	}, time.Minute, time.Millisecond)
	require.GreaterOrEqual(t, took, 49*time.Millisecond)
	require.LessOrEqual(t, took, longest)
	_, ok := ask(open(false))
	require.False(t, ok, "nobody looked at that connection")
}
