package lease

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// terms is what a leader is called with, and runs for.
type terms struct {
	begun chan context.Context
	ended chan error // with the cause
}

func (ts terms) lead(ctx context.Context) {
	ts.begun <- ctx
	<-ctx.Done()
	ts.ended <- context.Cause(ctx)
}

// campaign starts a leader; stop ends it and waits.
func campaign(t *testing.T, l *Leader) (ts terms, stop func()) {
	t.Helper()
	ts = terms{make(chan context.Context, 100), make(chan error, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(ctx, ts.lead)
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(stop)
	return ts, stop
}

func fakeLeader(f *fakeLocks, token string) *Leader {
	return &Leader{locks: f, token: token, pod: token}
}

func TestATermLastsAsLongAsItIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		l := fakeLeader(f, "one")
		ts, stop := campaign(t, l)
		term := <-ts.begun
		other, stopOther := campaign(t, fakeLeader(f, "two"))
		time.Sleep(time.Hour)
		require.NoError(t, term.Err())
		require.Empty(t, other.begun)
		require.Greater(t, f.now().refused, 1000, "the other one tried all the time")

		stop()
		require.Equal(t, context.Canceled, <-ts.ended)
		start := time.Now()
		<-other.begun
		require.LessOrEqual(t, time.Since(start), campaignEvery, "the lock was given back")
		stopOther()
		require.Empty(t, f.now().holder)
	})
}

func TestATermEndsBeforeItsLockDoesWhenRedisIsLost(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*fakeLocks){
		"errors": func(f *fakeLocks) { f.fail = errDown },
		"hangs":  func(f *fakeLocks) { f.hang = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakeLocks{}
				l := fakeLeader(f, "one")
				ts, stop := campaign(t, l)
				<-ts.begun
				time.Sleep(time.Minute + time.Second)
				f.set(func() { cut(f) })
				require.ErrorIs(t, <-ts.ended, ErrTermOver)
				require.True(t, time.Now().Before(f.now().until), "the lock was still this leader's")
				require.LessOrEqual(t, time.Until(f.now().until), leaderTTL-trust(leaderTTL))
				synctest.Wait()
				f.set(func() { f.fail, f.hang = nil, false })
				<-ts.begun
				stop()
			})
		})
	}
}

func TestARenewalThatFailsOnceIsNoLoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		ts, stop := campaign(t, fakeLeader(f, "one"))
		term := <-ts.begun
		for range 20 {
			f.set(func() { f.fail = errDown })
			time.Sleep(leaderRenew + leaderRetry + time.Millisecond)
			f.set(func() { f.fail = nil })
			time.Sleep(leaderRetry)
		}
		require.NoError(t, term.Err())
		stop()
	})
}

func TestAStolenOrFlushedLockEndsTheTermAtTheNextRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		ts, stop := campaign(t, fakeLeader(f, "one"))
		<-ts.begun
		f.set(func() { f.holder = "two" })
		start := time.Now()
		require.ErrorIs(t, <-ts.ended, ErrTermOver)
		require.LessOrEqual(t, time.Since(start), leaderRenew)
		require.Equal(t, "two", f.now().holder, "another's lock is not released")
		f.set(func() { f.holder = "" })
		<-ts.begun
		stop()
	})
}

func TestALeaderThatReturnsGivesTheTermUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		ctx, cancel := context.WithCancel(t.Context())
		called := 0
		start := time.Now()
		fakeLeader(f, "one").Run(ctx, func(context.Context) {
			if called++; called == 4 {
				cancel()
			}
		})
		require.Equal(t, 4, called)
		require.GreaterOrEqual(t, time.Since(start), 3*campaignEvery, "and does not spin")
		require.Empty(t, f.now().holder)
	})
}

func TestOneOfManyLeadsAndTheNextFollows(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	var leading, most atomic.Int32
	lead := func(begun chan<- int, i int) func(context.Context) {
		return func(term context.Context) {
			if n := leading.Add(1); n > most.Load() {
				most.Store(n)
			}
			begun <- i
			<-term.Done()
			leading.Add(-1)
		}
	}
	begun := make(chan int, 100)
	stops := make([]func(), 3)
	for i := range stops {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			NewLeader(client, "same-name").Run(ctx, lead(begun, i))
		}()
		stops[i] = func() { cancel(); <-done }
	}
	for range stops {
		i := <-begun
		value := client.Get(t.Context(), redisconn.LeaderKey).Val()
		require.Contains(t, value, "same-name", "a person can read who leads")
		require.LessOrEqual(t, client.PTTL(t.Context(), redisconn.LeaderKey).Val(), leaderTTL)
		stops[i]()
	}
	require.Equal(t, int32(1), most.Load())
	require.Zero(t, client.Exists(t.Context(), redisconn.LeaderKey).Val())
}

func TestStoppingBesideAFrozenRedisIsBounded(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	ts, stop := campaign(t, NewLeader(open(t, server.URL), "pod"))
	<-ts.begun
	server.Freeze()
	start := time.Now()
	stop()
	require.Less(t, time.Since(start), 2*callTime+time.Second)
	server.Thaw()
}
