// Package stamp owns when the kernel received what came over a TCP connection. How long a server took to answer is then known without what
// this process waited for a processor before it looked: on a machine that is full of our own work that is most of what a clock would show.
package stamp

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is a connection that knows how long the answer to what was written last took. One goroutine at a time may read from it; others may write
// meanwhile, as TLS does when a connection is closed beside its reader.
type Conn struct {
	net.Conn
	from    receiver
	sent    atomic.Int64 // Unix time in ns; 0: nothing was written
	arrived atomic.Int64 // of the newest bytes; 0: not known
}

// New has a connection's bytes stamped; nil where the system does not do that, as on other systems than Linux and on sockets that are files.
func New(conn net.Conn) *Conn {
	from, ok := newReceiver(conn)
	if !ok {
		return nil
	}
	return &Conn{Conn: conn, from: from}
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.arrived.Store(0)
	c.sent.Store(time.Now().UnixNano())
	return c.Conn.Write(p)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, at, err := c.from.receive(p)
	if at.IsZero() {
		c.arrived.Store(0)
	} else {
		c.arrived.Store(at.UnixNano())
	}
	return n, err
}

// Took is the time from what was written last to the newest bytes that were read behind it; 0: it is not known, as nothing was written since
// the time given, nothing came, or the kernel, which begins to stamp a moment after it was asked to, has not said. Of nil nothing is known.
func (c *Conn) Took(since time.Time) time.Duration {
	if c == nil {
		return 0
	}
	sent, arrived := c.sent.Load(), c.arrived.Load()
	if arrived == 0 || sent == 0 || sent < since.UnixNano() {
		return 0
	}
	return max(time.Duration(arrived-sent), 0)
}

// SyscallConn implements syscall.Conn: drivers look whether a server has closed a connection that waits.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	of, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return of.SyscallConn()
}
