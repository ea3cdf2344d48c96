package mysqlconn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// dialled is a connection made by Buffered, and its other end.
func dialled(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dsn := mysql.NewConfig()
	Buffered(dsn)
	ours, err = dsn.DialFunc(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	theirs, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

func TestABufferedConnectionReadsWhatWasSent(t *testing.T) {
	t.Parallel()
	ours, theirs := dialled(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 3*readBuffer/16+7)
	go func() { _, _ = theirs.Write(sent); _ = theirs.Close() }()
	var got []byte
	for p := make([]byte, 1000); ; {
		n, err := ours.Read(p)
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	require.Equal(t, sent, got)
}

func TestABufferedConnectionKeepsDeadlines(t *testing.T) {
	t.Parallel()
	ours, theirs := dialled(t)
	p := make([]byte, 4)
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(-time.Second)))
	_, err := ours.Read(p)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, ours.SetDeadline(time.Now().Add(-time.Second)))
	_, err = ours.Read(p)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = ours.Write(p)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, ours.SetDeadline(time.Time{}))
	_, err = theirs.Write([]byte("abcd"))
	require.NoError(t, err)
	_, err = io.ReadFull(ours, p)
	require.NoError(t, err)
	require.Equal(t, "abcd", string(p))
}

func TestTheDriverSeesWhatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	ours, theirs := dialled(t)
	raw, ok := ours.(syscall.Conn)
	require.True(t, ok)
	_, err := raw.SyscallConn()
	require.NoError(t, err)
	_, err = theirs.Write([]byte("abcd"))
	require.NoError(t, err)
	_, err = ours.Read(make([]byte, 1))
	require.NoError(t, err)
	_, err = raw.SyscallConn()
	require.ErrorIs(t, err, errUnread)
}
