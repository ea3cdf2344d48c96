package cache

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Stream writes batches one after the other, the next before the last is answered. The commands are encoded here and sent
// over a connection of the stream's own, which go-redis has dialled and logged in, so that Redis never waits for a page and
// no command costs an allocation. One connection keeps them in their order, which the stamps rely on.
//
// What is not simply answered with success goes the Writer's way, behind the rest of its batch: commands that were refused,
// and keys that have to be looked at. So does all that the connection does not take, or does not answer: batches of other
// operations, all batches on a Redis Cluster, and those that were under way when the connection broke. They are written
// again in their order. Send and Wait may be called by one goroutine each.
type Stream struct {
	w    *Writer
	conn *wireConn // nil: there is none
	sent chan *sending

	mu       sync.Mutex
	deferred int  // batches sent that are written by Wait; while there is one, those behind it are too
	over     bool // a batch had to be written again: so are those behind it, and what follows is written by Wait
}

// sending is a batch that was sent and not waited for.
type sending struct {
	ctx      context.Context
	batch    *Batch
	expiry   Expiry
	deferred bool
}

// streams is how many batches a stream takes before the first is waited for.
const streams = 8

// Stream begins a stream. It must be closed.
func (w *Writer) Stream(ctx context.Context) *Stream {
	return &Stream{w: w, conn: w.direct.take(ctx), sent: make(chan *sending, streams)}
}

// Send begins to write a batch, which must not be touched until Wait has returned for it. The context is that of its
// writing, to the end. What goes wrong is said by Wait.
func (s *Stream) Send(ctx context.Context, b *Batch, e Expiry) {
	one := &sending{ctx: ctx, batch: b, expiry: e}
	s.mu.Lock()
	one.deferred = s.conn == nil || s.over || s.conn.broken() || s.deferred > 0 || !b.direct()
	if one.deferred {
		s.deferred++
	}
	s.mu.Unlock()
	if !one.deferred {
		s.conn.write(ctx, b, e) // an error breaks the connection, and Wait sees that
	}
	s.sent <- one
}

// Wait waits for the batch that was sent first of those not waited for. The error is as Writer.Write's.
func (s *Stream) Wait() error {
	one := <-s.sent
	if one.deferred {
		err := s.w.Write(one.ctx, one.batch, one.expiry)
		s.mu.Lock()
		s.deferred--
		s.mu.Unlock()
		return err
	}
	left, err := s.conn.read(one.ctx, one.batch)
	s.mu.Lock()
	s.over = s.over || err != nil || !left.stamped
	over := s.over
	s.mu.Unlock()
	if over {
		// Nothing is known of it, or its stamp was refused. What was sent behind it stands on its stamp, and would take one
		// that is not there for a loss: all of them are written again, in their order.
		return s.w.Write(one.ctx, one.batch, one.expiry)
	}
	return s.w.rest(one.ctx, one.batch, one.expiry, left)
}

// Close ends the stream. A connection on which nothing is open is kept for another stream.
func (s *Stream) Close() {
	if s.conn == nil {
		return
	}
	if len(s.sent) > 0 {
		s.conn.fail()
	}
	s.w.direct.put(s.conn)
}

// rest writes what a stream's answers have left to do: left are the commands that were not answered with success.
func (w *Writer) rest(ctx context.Context, b *Batch, e Expiry, left answers) error {
	for from := 0; from < len(left.open); from += PieceCommands {
		b.wire.column, b.wire.order = b.Version.Column, b.Version.Order
		b.wire.next()
		for _, o := range left.open[from:min(from+PieceCommands, len(left.open))] {
			if !o.found {
				b.wire.add(ctx, b, o.command, e)
			} else if cmd := b.wire.found(ctx, b, o.command, e); cmd != nil {
				b.wire.push(o.command, cmd)
			}
		}
		if len(b.wire.cmds) == 0 {
			continue
		}
		if err := w.exec(ctx, w.client.Pipeline(), b, 0, len(b.cmds), e, nil, false); err != nil {
			return err
		}
	}
	if b.Stamp == nil {
		return nil
	}
	if err := b.Stamp.compare(left.stamp); err != nil || len(left.open) == 0 {
		return err
	}
	return w.look(ctx, b)
}

// direct are the connections of a Writer's streams.
type direct struct {
	client *redis.Client // nil: there are none

	mu     sync.Mutex
	idle   []*wireConn
	closed bool
}

const (
	// idleTime is how long a connection may have been idle to be used again.
	idleTime = 30 * time.Second
	// idleMost is how many idle connections are kept.
	idleMost = 64
)

// take is an idle connection or a new one; nil if there can be none, or none now.
func (d *direct) take(ctx context.Context) *wireConn {
	if d.client == nil {
		return nil
	}
	d.mu.Lock()
	for len(d.idle) > 0 {
		c := d.idle[len(d.idle)-1]
		d.idle = d.idle[:len(d.idle)-1]
		if time.Since(c.used) < idleTime {
			d.mu.Unlock()
			return c
		}
		c.close()
	}
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return nil
	}
	c, err := dial(ctx, d.client)
	if err != nil {
		return nil // the Writer's own way says what is wrong
	}
	return c
}

func (d *direct) put(c *wireConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.used = time.Now()
	if c.broken() || d.closed || len(d.idle) >= idleMost {
		c.close()
		return
	}
	d.idle = append(d.idle, c)
}

// Close closes the connections of the Writer's streams, of which none may be begun any more. The client stays open.
func (w *Writer) Close() error {
	w.direct.mu.Lock()
	defer w.direct.mu.Unlock()
	w.direct.closed = true
	for _, c := range w.direct.idle {
		c.close()
	}
	w.direct.idle = nil
	return nil
}

// wireConn is a connection that go-redis has dialled and logged in, and that is written and read here.
type wireConn struct {
	client *redis.Client
	held   *redis.Conn // keeps the connection out of the client's hands
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	used   time.Time

	mu    sync.Mutex
	wrong bool // it is not known any more what stands on it
}

// errNoConn: the client has not dialled.
var errNoConn = errors.New("no connection was dialled")

// dial makes a connection as the client would, with its TLS, login and database.
func dial(ctx context.Context, like *redis.Client) (*wireConn, error) {
	opts := *like.Options()
	dialer := opts.Dialer
	var mu sync.Mutex
	c := &wireConn{}
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer(ctx, network, addr)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			c.conn = conn
		}
		return conn, err
	}
	opts.PoolSize, opts.MinIdleConns, opts.MaxIdleConns, opts.MaxActiveConns, opts.MaxRetries = 1, 0, 0, 1, -1
	opts.ConnMaxIdleTime, opts.ConnMaxLifetime = -1, 0
	c.client = redis.NewClient(&opts)
	c.held = c.client.Conn()
	err := c.held.Ping(ctx).Err()
	mu.Lock()
	defer mu.Unlock()
	if err == nil && c.conn == nil {
		err = errNoConn
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("open a connection to the cache: %w", err)
	}
	c.in = bufio.NewReaderSize(c.conn, readBuffer)
	return c, nil
}

func (c *wireConn) close() {
	_ = c.held.Close()
	_ = c.client.Close()
}

func (c *wireConn) broken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wrong
}

// fail gives the connection up, and whoever reads or writes it.
func (c *wireConn) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = true
	_ = c.conn.SetDeadline(time.Now())
}

// bound makes calls of a connection end with a context. stop must be called when they have.
func (c *wireConn) bound(ctx context.Context, set func(time.Time) error) (stop func() bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Time{}
	}
	if err := set(deadline); err != nil {
		return nil, err
	}
	return context.AfterFunc(ctx, c.fail), nil
}
