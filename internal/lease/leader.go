package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/bsm/redislock"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/redis/go-redis/v9"
)

// Times of the leader's lock. A leader that dies is replaced within leaderTTL + campaignEvery.
const (
	leaderTTL     = 10 * time.Second
	leaderRenew   = 3 * time.Second // so that one failed renewal is no loss
	leaderRetry   = time.Second     // after a renewal that failed for a reason that passes
	campaignEvery = time.Second
)

// ErrTermOver is the cause of a term's end, unless it was the end of Run.
var ErrTermOver = errors.New("this process no longer leads")

// Leader campaigns for the lock of the one process that leads.
type Leader struct {
	locks locks
	token string
	pod   string
}

// NewLeader is one process' candidate. pod is stored for people to read. The token is made up, so that two processes
// that were given the same name by mistake do not both lead.
func NewLeader(client redis.UniversalClient, pod string) *Leader {
	return &Leader{locks: newRedisLocks(client), token: rand.Text(), pod: pod}
}

// Run campaigns until ctx ends, and calls lead whenever this process leads, with a context that is cancelled when the
// term may no longer be trusted. lead must return soon after that; if it returns earlier, the term is given up. Run
// returns when lead has returned and the lock was given back.
func (l *Leader) Run(ctx context.Context, lead func(term context.Context)) {
	tick := time.NewTicker(campaignEvery)
	defer tick.Stop()
	for {
		start := time.Now()
		if held, err := l.obtain(ctx); err == nil {
			l.term(ctx, held, start, lead)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (l *Leader) obtain(ctx context.Context) (lock, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return l.locks.obtain(ctx, redisconn.LeaderKey, l.token, l.pod, leaderTTL)
}

// term leads once. The timer ends the term in time even while a renewal hangs.
func (l *Leader) term(ctx context.Context, held lock, start time.Time, lead func(context.Context)) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	timer := time.AfterFunc(time.Until(start.Add(trust(leaderTTL))), func() {
		end(fmt.Errorf("%w: its lock was not renewed in time", ErrTermOver))
	})
	defer timer.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		lead(ctx)
	}()
	l.renew(ctx, held, timer, done, end)
	<-done
	release(ctx, held)
}

// renew keeps the lock until the term ends.
func (l *Leader) renew(ctx context.Context, held lock, timer *time.Timer, done <-chan struct{}, end context.CancelCauseFunc) {
	next := time.NewTimer(leaderRenew)
	defer next.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-next.C:
		}
		start := time.Now()
		err := refresh(ctx, held)
		switch {
		case err == nil:
			timer.Reset(time.Until(start.Add(trust(leaderTTL))))
			next.Reset(leaderRenew)
		case errors.Is(err, redislock.ErrNotObtained):
			end(fmt.Errorf("%w: its lock is gone or another's", ErrTermOver))
		default:
			next.Reset(leaderRetry)
		}
	}
}

func refresh(ctx context.Context, held lock) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return held.Refresh(ctx, leaderTTL, nil)
}

// release gives the lock back, though ctx has ended. If that fails the lock lapses.
func release(ctx context.Context, held lock) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer cancel()
	_ = held.Release(ctx)
}
