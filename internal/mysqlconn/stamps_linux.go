package mysqlconn

import (
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stamps receives from a TCP socket with the kernel's stamps (SO_TIMESTAMPNS, socket(7) and Documentation/networking/timestamping.rst:
// a struct timespec of CLOCK_REALTIME when the packet was received).
type stamps struct {
	raw     syscall.RawConn
	control []byte
}

// timespec is bytes of a struct timespec where Go's int is as long.
const timespec = 16

func newStamps(conn net.Conn) *stamps {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	var unable error
	if err := raw.Control(func(fd uintptr) { unable = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) }); err != nil || unable != nil {
		return nil
	}
	return &stamps{raw: raw, control: make([]byte, unix.CmsgSpace(timespec))}
}

// receive is Read, with the time when the newest of the bytes came; zero if the kernel does not say.
func (s *stamps) receive(p []byte) (n int, at time.Time, err error) {
	var told int
	var failed error
	err = s.raw.Read(func(fd uintptr) bool {
		for {
			n, told, _, _, failed = unix.Recvmsg(int(fd), p, s.control, 0)
			if failed != unix.EINTR {
				return failed != unix.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, time.Time{}, err
	case failed != nil:
		return 0, time.Time{}, failed
	case n == 0:
		return 0, time.Time{}, io.EOF
	}
	return n, stamp(s.control[:told]), nil
}

func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= timespec {
			seconds, nanos := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			return time.Unix(int64(seconds), int64(nanos)) //nolint:gosec // of the kernel
		}
	}
	return time.Time{}
}
