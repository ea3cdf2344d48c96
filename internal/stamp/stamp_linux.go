package stamp

import (
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// receiver receives from a TCP socket with the kernel's stamps (SO_TIMESTAMPNS, socket(7) and Documentation/networking/timestamping.rst:
// a struct timespec of CLOCK_REALTIME when the packet was received).
type receiver struct {
	raw     syscall.RawConn
	control []byte
}

// timespec is bytes of a struct timespec where Go's int is as long.
const timespec = 16

func newReceiver(conn net.Conn) (r receiver, ok bool) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return r, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return r, false
	}
	var unable error
	if err := raw.Control(func(fd uintptr) { unable = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) }); err != nil || unable != nil {
		return r, false
	}
	return receiver{raw: raw, control: make([]byte, unix.CmsgSpace(timespec))}, true
}

// receive is Read, with the time when the newest of the bytes came; zero if the kernel does not say.
func (r *receiver) receive(p []byte) (n int, at time.Time, err error) {
	var told int
	var failed error
	err = r.raw.Read(func(fd uintptr) bool {
		for {
			n, told, _, _, failed = unix.Recvmsg(int(fd), p, r.control, 0)
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
	return n, stamp(r.control[:told]), nil
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
