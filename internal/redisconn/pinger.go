package redisconn

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/stamp"
)

// Pinger measures how long a server, or each master of a cluster, takes to answer, over a connection of its own that is stamped by the
// kernel: what the caller's process waits for a processor is no part of it.
type Pinger struct {
	of redis.UniversalClient

	mu    sync.Mutex
	nodes map[string]*pinged // by address
}

// NewPinger is for the servers that a client leads to. The caller closes it.
func NewPinger(of redis.UniversalClient) *Pinger { return &Pinger{of: of, nodes: map[string]*pinged{}} }

// Ping says how long an answer took, in a cluster of the slowest master; 0: it is not known.
func (p *Pinger) Ping(ctx context.Context) (time.Duration, error) {
	switch of := p.of.(type) {
	case *redis.ClusterClient:
		return p.masters(ctx, of)
	case *redis.Client:
		return p.node(of).ping(ctx)
	}
	return 0, p.of.Ping(ctx).Err()
}

// masters asks all masters at once, and lets go of servers that are none any more.
func (p *Pinger) masters(ctx context.Context, of *redis.ClusterClient) (slowest time.Duration, err error) {
	var mu sync.Mutex
	known, seen := true, map[string]bool{}
	err = of.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		took, err := p.node(node).ping(ctx)
		mu.Lock()
		defer mu.Unlock()
		seen[node.Options().Addr] = true
		slowest, known = max(slowest, took), known && took > 0
		return err
	})
	if !known {
		slowest = 0
	}
	if err != nil {
		return 0, err
	}
	return slowest, p.keep(seen)
}

// Close closes the connections.
func (p *Pinger) Close() error { return p.keep(nil) }

// keep closes the connections to all servers but these.
func (p *Pinger) keep(these map[string]bool) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for addr, n := range p.nodes {
		if !these[addr] {
			err = errors.Join(err, n.client.Close())
			delete(p.nodes, addr)
		}
	}
	return err
}

func (p *Pinger) node(of *redis.Client) *pinged {
	p.mu.Lock()
	defer p.mu.Unlock()
	theirs := of.Options()
	n := p.nodes[theirs.Addr]
	if n == nil {
		opts := *theirs
		n = &pinged{secure: opts.TLSConfig}
		opts.PoolSize, opts.MinIdleConns, opts.Dialer = 1, 0, n.dial
		n.client = redis.NewClient(&opts)
		p.nodes[opts.Addr] = n
	}
	return n
}

// pinged is a server and the connection to it.
type pinged struct {
	client *redis.Client
	secure *tls.Config // nil: without TLS

	mu   sync.Mutex                 // of one PING
	conn atomic.Pointer[stamp.Conn] // the newest
}

func (n *pinged) ping(ctx context.Context) (time.Duration, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	began := time.Now()
	if err := n.client.Ping(ctx).Err(); err != nil {
		return 0, err
	}
	return n.conn.Load().Took(began), nil
}

// dial is go-redis' own, with the stamps below what TLS makes of the bytes. The client bounds the context by its DialTimeout.
func (n *pinged) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	stamped := stamp.New(conn)
	if stamped != nil {
		conn = stamped
	}
	n.conn.Store(stamped)
	if n.secure == nil {
		return conn, nil
	}
	secure := n.secure.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		secure.ServerName = cmp.Or(secure.ServerName, host)
	}
	over := tls.Client(conn, secure)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error is the news
		return nil, err
	}
	return over, nil
}
