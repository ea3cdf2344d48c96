package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bsm/redislock"
)

// share is one run's lease as this process has it, for all of its slots.
type share struct {
	m                       *Manager
	id, key, run, broadcast string
	refs                    int // guarded by m.mu

	ctx   context.Context // cancelled with its cause when the lease is lost
	lose  context.CancelCauseFunc
	timer *time.Timer // loses the lease when trust in it ends

	mu    sync.Mutex // guards what follows
	lock  lock
	until time.Time // trusted until then
	tried time.Time // when the last renewal began
	busy  bool      // a renewal is under way
	last  error     // of the last renewal, if it failed
}

// begin starts the trust in a lease that was obtained by a call begun at tried.
func (s *share) begin() {
	s.mu.Lock() // the timer may fire before it is assigned
	defer s.mu.Unlock()
	s.ctx, s.lose = context.WithCancelCause(context.Background())
	s.until = s.tried.Add(trust(s.m.ttl))
	s.timer = time.AfterFunc(time.Until(s.until), s.lapse)
}

// lapse loses the lease unless it was renewed while the timer fired.
func (s *share) lapse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := time.Until(s.until); left > 0 {
		s.timer.Reset(left)
		return
	}
	err := ErrLost
	if s.last != nil {
		err = fmt.Errorf("%w: it was last renewed too long ago: %w", ErrLost, s.last)
	}
	s.lose(err)
}

// err is nil as long as the lease may be relied on.
func (s *share) err() error {
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !time.Now().Before(s.until) {
		return ErrLost // the timer is about to say so
	}
	return nil
}

func (s *share) renewSoon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried = time.Time{}
}

// renew extends the lease, unless that was tried within the last second or is under way.
func (s *share) renew(ctx context.Context) error {
	if err := s.err(); err != nil {
		return err
	}
	start := time.Now()
	s.mu.Lock()
	if s.busy || start.Sub(s.tried) < renewEvery {
		s.mu.Unlock()
		return nil
	}
	s.busy, s.tried = true, start
	held := s.lock
	s.mu.Unlock()

	l, err := s.extend(ctx, held)

	s.mu.Lock()
	s.busy, s.last = false, err
	if err == nil {
		s.lock, s.until = l, start.Add(trust(s.m.ttl))
		if s.ctx.Err() == nil { // else everybody has left meanwhile
			s.timer.Reset(time.Until(s.until))
		}
	}
	s.mu.Unlock()
	if errors.Is(err, redislock.ErrNotObtained) {
		s.lose(fmt.Errorf("%w: another run has it", ErrLost))
	}
	return s.err()
}

// extend refreshes the lock, or takes it again if it lapsed or was flushed and nobody else has it.
func (s *share) extend(ctx context.Context, l lock) (lock, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err := l.Refresh(ctx, s.m.ttl, nil)
	if !errors.Is(err, redislock.ErrNotObtained) {
		return l, err
	}
	return s.m.locks.obtain(ctx, s.key, s.run, s.broadcast, s.m.ttl)
}

// hold counts another hold; m.mu is held.
func (s *share) hold(ctx context.Context) *Hold {
	s.refs++
	h := &Hold{share: s}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	h.detach = context.AfterFunc(s.ctx, func() { h.cancel(context.Cause(s.ctx)) })
	return h
}

func (s *share) leave() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return
	}
	s.timer.Stop()
	s.lose(context.Canceled)
	if s.m.shared[s.id] == s {
		delete(s.m.shared, s.id)
	}
}

// Hold is one slot's part in a run's lease.
type Hold struct {
	share  *share
	ctx    context.Context
	cancel context.CancelCauseFunc
	detach func() bool
	left   sync.Once
}

// Context is Join's, and is cancelled with a cause that is ErrLost when the lease is lost.
func (h *Hold) Context() context.Context { return h.ctx }

// Renew extends the lease; call it after each page. It asks Redis at most once a second for all slots of the run in
// this process. The error is ErrLost, or nil: a call that failed for a reason that passes is tried again by the next.
func (h *Hold) Renew(ctx context.Context) error { return h.share.renew(ctx) }

// Valid says whether the lease may be relied on now.
func (h *Hold) Valid() bool { return h.Err() == nil }

// Err is nil or ErrLost; context.Canceled after the run's last Hold of this process was left.
func (h *Hold) Err() error { return h.share.err() }

// Leave ends the slot's part and its context. The lease stays until it lapses or is released. Leaving twice is fine.
func (h *Hold) Leave() {
	h.left.Do(func() {
		h.detach()
		h.cancel(context.Canceled)
		h.share.leave()
	})
}
