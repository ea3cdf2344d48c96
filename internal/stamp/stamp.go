// Package stamp owns when the kernel received what came over a TCP connection. How long a server took to answer is then known without what
// this process waited for a processor before it looked: on a machine that is full of our own work that is most of what a clock would show.
package stamp

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// Conn is a connection that knows how long the answer to what was written last took. It is for one goroutine at a time.
type Conn struct {
	net.Conn
	from    receiver
	sent    time.Time
	arrived time.Time // the newest bytes; zero: not known
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
	c.sent, c.arrived = time.Now(), time.Time{}
	return c.Conn.Write(p)
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (n int, err error) {
	n, c.arrived, err = c.from.receive(p)
	return n, err
}

// Took is the time from what was written last to the newest bytes that were read behind it; 0: it is not known, as nothing was written since
// the time given, nothing came, or the kernel, which begins to stamp a moment after it was asked to, has not said. Of nil nothing is known.
func (c *Conn) Took(since time.Time) time.Duration {
	if c == nil || c.arrived.IsZero() || c.sent.Before(since) {
		return 0
	}
	return max(c.arrived.Sub(c.sent), 0)
}

// SyscallConn implements syscall.Conn: drivers look whether a server has closed a connection that waits.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	of, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return of.SyscallConn()
}
