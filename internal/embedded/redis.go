//go:build !noembed

package embedded

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
)

const (
	// minTick is how often the clock of a small server is pushed. A key expires early or late by up to one tick, so
	// leases should last at least ten times as long.
	minTick = 100 * time.Millisecond
	// tickShare bounds the clock's own work to about a twentieth of the server's time: a push sorts all keys (30 ms at
	// 100,000 keys, 0.5 s at 1,000,000), and a fixed tick of 100 ms brings a big server to a halt.
	tickShare = 20
)

// redis is one miniredis with a clock: by itself it never expires a key.
type redis struct {
	*miniredis.Miniredis
	stop   chan struct{}
	done   chan struct{}
	slack  atomic.Int64 // longest tick yet, nanoseconds
	ticked atomic.Int64 // when the last tick was, nanoseconds since 1970
}

// startRedis serves on a loopback port. (Not on in-memory pipes: a pipeline of 500 commands deadlocks on them.)
func startRedis() (*redis, error) {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start embedded redis: %w", err)
	}
	r := &redis{Miniredis: m, stop: make(chan struct{}), done: make(chan struct{})}
	go r.pushClock()
	return r, nil
}

func (r *redis) pushClock() {
	defer close(r.done)
	last, wait := time.Now(), minTick
	timer := time.NewTimer(wait)
	defer timer.Stop()
	r.ticked.Store(last.UnixNano())
	for {
		select {
		case <-r.stop:
			return
		case <-timer.C:
		}
		now := time.Now()
		elapsed := now.Sub(last)
		r.FastForward(elapsed)
		cost := time.Since(now)
		last, wait = now, max(minTick, tickShare*cost)
		r.ticked.Store(last.UnixNano())
		r.slack.Store(max(r.slack.Load(), int64(max(elapsed, wait)+cost)))
		timer.Reset(wait)
	}
}

// behind is how far the clock has been behind at most, this moment included: on a busy machine the next tick may be late.
func (r *redis) behind() time.Duration {
	longest := time.Duration(r.slack.Load())
	return max(longest, 2*time.Since(time.Unix(0, r.ticked.Load()))) + minTick
}

func (r *redis) url() string { return "redis://" + r.Addr() + "/0" }

func (r *redis) close() {
	close(r.stop)
	<-r.done
	r.Close()
}
