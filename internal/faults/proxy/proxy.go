// Package proxy is a TCP proxy that breaks connections in the ways that networks do: late, cut, half open, silent. Each
// direction has a rule of its own, and rules can be changed while connections stand.
package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Rule is what happens to the bytes of one direction. The zero Rule passes them on.
type Rule struct {
	Delay   time.Duration // every chunk is passed on so much later
	Freeze  bool          // bytes are kept, and passed on when the rule changes
	Swallow bool          // bytes are lost: the peer is gone and the network has not said so
}

// Mode is what happens to a proxy's connections. The zero Mode passes everything on.
type Mode struct {
	Up, Down Rule // from the client to the server, and back
	Cut      bool // connections are reset, and new ones refused by a reset
}

// Proxy passes connections on to a server. It is safe for concurrent use.
type Proxy struct {
	ctx    context.Context // of the calls to the server
	target string
	tap    func(conn int64, up []byte)
	listen net.Listener

	mu      sync.Mutex
	mode    Mode
	changed chan struct{} // closed and replaced when mode changes
	links   map[*link]bool
	closed  bool

	last    atomic.Int64
	running sync.WaitGroup
}

// New listens on a loopback port for connections to target, which are made until ctx ends. tap, if not nil, sees what reached the server's side of the
// connection with the given number; it must not keep the bytes.
func New(ctx context.Context, target string, tap func(conn int64, up []byte)) (*Proxy, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, ctx: ctx, tap: tap, listen: l, changed: make(chan struct{}), links: map[*link]bool{}}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listen.Addr().String() }

// Set changes what happens to connections, those that stand included. A connection that has lost bytes is reset when
// it would pass bytes on again: what comes next would make no sense to its peer.
func (p *Proxy) Set(m Mode) {
	p.mu.Lock()
	p.mode = m
	close(p.changed)
	p.changed = make(chan struct{})
	var gone []*link
	for l := range p.links {
		if m.Cut || l.lost[up].Load() && !m.Up.Swallow || l.lost[down].Load() && !m.Down.Swallow {
			gone = append(gone, l)
		}
	}
	p.mu.Unlock()
	for _, l := range gone {
		l.reset()
	}
}

// Close resets all connections and stops listening.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listen.Close()
	p.Set(Mode{Cut: true})
	p.running.Wait()
	return err
}

func (p *Proxy) now() (Mode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.changed
}

func (p *Proxy) accept() {
	for {
		c, err := p.listen.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.running.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	l := &link{proxy: p, number: p.last.Add(1), gone: make(chan struct{})}
	l.ends[0] = client
	if m, _ := p.now(); m.Cut {
		l.reset()
		return
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	server, err := dialer.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		l.reset()
		return
	}
	l.ends[1] = server
	p.mu.Lock()
	cut := p.mode.Cut || p.closed
	p.links[l] = true
	p.mu.Unlock()
	if cut {
		l.reset()
	}
	var both sync.WaitGroup
	both.Go(func() { l.pass(up) })
	both.Go(func() { l.pass(down) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// The directions.
const (
	up = iota
	down
)

// link is one connection through the proxy.
type link struct {
	proxy  *Proxy
	number int64
	ends   [2]net.Conn // the client's and the server's
	lost   [2]atomic.Bool
	once   sync.Once
	gone   chan struct{}
}

// reset ends both sides at once, without a farewell.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.gone)
		for _, c := range l.ends {
			if t, ok := c.(*net.TCPConn); ok {
				_ = t.SetLinger(0)
				_ = t.Close()
			}
		}
	})
}

// pass moves one direction's bytes until either side ends.
func (l *link) pass(way int) {
	defer l.reset()
	from, to := l.ends[way], l.ends[1-way]
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && l.admit(way) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			if way == up && l.proxy.tap != nil {
				l.proxy.tap(l.number, buf[:n])
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				l.settle(way)
			}
			return
		}
	}
}

// admit says whether bytes that have arrived are passed on, when it is time to.
func (l *link) admit(way int) bool {
	arrived := time.Now()
	for {
		m, changed := l.proxy.now()
		rule := m.Up
		if way == down {
			rule = m.Down
		}
		var due <-chan time.Time
		switch left := time.Until(arrived.Add(rule.Delay)); {
		case rule.Swallow:
			l.lost[way].Store(true)
			return false
		case rule.Freeze:
		case left <= 0:
			return true
		default:
			due = time.After(left)
		}
		select {
		case <-l.gone:
			return false
		case <-due:
			return true
		case <-changed:
		}
	}
}

// settle holds a connection that one side has closed while nothing may pass: the other side must not hear of it either.
func (l *link) settle(way int) {
	l.admit(way)
	for l.lost[way].Load() {
		m, changed := l.proxy.now()
		if way == up && !m.Up.Swallow || way == down && !m.Down.Swallow {
			return
		}
		select {
		case <-l.gone:
			return
		case <-changed:
		}
	}
}
