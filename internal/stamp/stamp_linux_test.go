package stamp

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dialled is a stamped connection and its other end.
func dialled(t *testing.T) (ours *Conn, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	theirs, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = conn.Close(), theirs.Close() })
	ours = New(conn)
	require.NotNil(t, ours)
	return ours, theirs
}

func TestWhatOneWaitsForItselfIsNotTheAnswersTime(t *testing.T) {
	t.Parallel()
	ours, theirs := dialled(t)
	require.Zero(t, ours.Took(time.Time{}), "nothing was asked")
	go func() { _, _ = io.Copy(theirs, theirs) }()
	const slow = 300 * time.Millisecond
	began := time.Now()
	// The kernel begins to stamp what comes a moment after the first socket has asked for it.
	require.Eventually(t, func() bool {
		_, err := ours.Write([]byte("abcd"))
		require.NoError(t, err)
		require.Zero(t, ours.Took(began), "there is no answer")
		time.Sleep(slow) // as for want of a processor
		_, err = io.ReadFull(ours, make([]byte, 4))
		require.NoError(t, err)
		took := ours.Took(began)
		return took > 0 && took < slow/2 // once: the other end may have waited for a processor
	}, time.Minute, time.Millisecond)
	require.Zero(t, ours.Took(time.Now()), "nothing was asked since")
}

func TestAStampedConnectionReadsWhatWasSent(t *testing.T) {
	t.Parallel()
	ours, theirs := dialled(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() { _, _ = theirs.Write(sent) }()
	got := make([]byte, len(sent))
	_, err := io.ReadFull(ours, got)
	require.NoError(t, err)
	require.Equal(t, sent, got)
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(-time.Second)))
	_, err = ours.Read(got)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, ours.SetReadDeadline(time.Time{}))
	raw, err := ours.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(uintptr) {}))
	require.NoError(t, theirs.Close())
	_, err = ours.Read(got)
	require.ErrorIs(t, err, io.EOF)
}

func TestAConnectionIsWrittenToBesideItsReader(t *testing.T) { // of the race detector
	t.Parallel()
	ours, theirs := dialled(t)
	go func() { _, _ = io.Copy(theirs, theirs) }()
	const n = 1 << 12
	wrote := make(chan error, 1)
	go func() {
		var err error
		for range n {
			if _, err = ours.Write([]byte("x")); err != nil {
				break
			}
		}
		wrote <- err
	}()
	_, err := io.ReadFull(ours, make([]byte, n))
	require.NoError(t, err)
	require.NoError(t, <-wrote)
}

func TestWhatIsNoTCPIsNotStamped(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	require.Nil(t, New(ours))
	require.Zero(t, (*Conn)(nil).Took(time.Time{}))
}
