package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// distance is a way to a server on which everything takes a while longer, in both directions, however much of it is under
// way.
type distance struct {
	ctx    context.Context
	stop   context.CancelFunc
	listen net.Listener
	target string
	delay  time.Duration
	wg     sync.WaitGroup
}

func newDistance(ctx context.Context, target string, delay time.Duration) (*distance, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &distance{listen: l, target: target, delay: delay}
	d.ctx, d.stop = context.WithCancel(ctx)
	d.wg.Go(d.accept)
	return d, nil
}

func (d *distance) addr() string { return d.listen.Addr().String() }

func (d *distance) close() error {
	d.stop()
	err := d.listen.Close()
	d.wg.Wait()
	return err
}

func (d *distance) accept() {
	for {
		client, err := d.listen.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(d.ctx, "tcp", d.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		stop := context.AfterFunc(d.ctx, func() { _ = client.Close(); _ = server.Close() })
		d.wg.Go(func() {
			defer stop()
			var both sync.WaitGroup
			both.Go(func() { d.pass(client, server) })
			both.Go(func() { d.pass(server, client) })
			both.Wait()
		})
	}
}

// chunk is bytes and when they may arrive.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pass passes one direction on until it ends, and ends both.
func (d *distance) pass(from, to net.Conn) {
	under := make(chan chunk, 4096)
	free := make(chan []byte, 64)
	d.wg.Go(func() {
		defer func() { _ = from.Close(); _ = to.Close() }()
		sleeper()
		for c := range under {
			sleepUntil(c.due)
			if d.ctx.Err() != nil {
				return
			}
			if _, err := to.Write(c.bytes); err != nil {
				return
			}
			select {
			case free <- c.bytes[:cap(c.bytes)]:
			default:
			}
		}
	})
	defer close(under)
	for {
		var buf []byte
		select {
		case buf = <-free:
		default:
			buf = make([]byte, 64<<10)
		}
		n, err := from.Read(buf)
		if n > 0 {
			select {
			case under <- chunk{buf[:n], time.Now().Add(d.delay)}:
			case <-d.ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}
