package lease

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func fakeManager(f *fakeLocks) *Manager {
	return &Manager{locks: f, ttl: ttl, shared: map[string]*share{}}
}

func join(ctx context.Context, t *testing.T, m *Manager, run string) *Hold {
	t.Helper()
	h, err := m.Join(ctx, "1001", run, "b-1")
	require.NoError(t, err)
	return h
}

func TestAllSlotsOfARunShareOneRenewalASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		m := fakeManager(f)
		var holds []*Hold
		for range 8 {
			holds = append(holds, join(t.Context(), t, m, runA))
		}
		require.Equal(t, 1, f.now().calls, "one slot obtains, the others join")
		for range 100 { // 10 s of pages
			time.Sleep(100 * time.Millisecond)
			for _, h := range holds {
				require.NoError(t, h.Renew(t.Context()))
			}
		}
		require.Equal(t, 1+10, f.now().calls)
		for _, h := range holds {
			require.True(t, h.Valid())
			h.Leave()
			h.Leave()
			require.Error(t, h.Context().Err())
		}
		require.Empty(t, m.shared)
		require.Equal(t, runA, f.now().holder, "leaving gives nothing back")
	})
}

func TestALeaseIsTrustedFromTheStartOfTheRenewalLessAMargin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		h := join(t.Context(), t, fakeManager(f), runA)
		defer h.Leave()
		time.Sleep(time.Minute)
		require.NoError(t, h.Renew(t.Context()))
		f.set(func() { f.fail = errDown })
		time.Sleep(trust(ttl) - time.Millisecond)
		require.NoError(t, h.Renew(t.Context()), "a call that failed changes nothing while there is time")
		require.True(t, h.Valid())
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.False(t, h.Valid())
		require.ErrorIs(t, h.Renew(t.Context()), ErrLost)
		require.ErrorIs(t, context.Cause(h.Context()), ErrLost)
		require.ErrorIs(t, context.Cause(h.Context()), errDown, "and says why")
		require.True(t, time.Now().Before(f.now().until), "it was still the run's in Redis")
	})
}

func TestARenewalThatHangsHoldsOneSlotForItsTimeAndNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		m := fakeManager(f)
		one, two := join(t.Context(), t, m, runA), join(t.Context(), t, m, runA)
		defer one.Leave()
		defer two.Leave()
		time.Sleep(time.Minute)
		f.set(func() { f.hang = true })
		start := time.Now()
		done := make(chan error)
		go func() { done <- one.Renew(t.Context()) }()
		synctest.Wait()
		time.Sleep(renewEvery + time.Millisecond)
		require.NoError(t, two.Renew(t.Context()))
		require.Equal(t, 2, f.now().calls, "nobody asks while one does")
		require.NoError(t, <-done)
		require.Equal(t, callTime, time.Since(start))
		require.True(t, one.Valid())
	})
}

func TestALapsedOrFlushedLeaseIsTakenAgainIfItIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		h := join(t.Context(), t, fakeManager(f), runA)
		defer h.Leave()
		f.set(func() { f.holder = "" })
		time.Sleep(time.Minute)
		require.NoError(t, h.Renew(t.Context()))
		require.Equal(t, runA, f.now().holder)
		require.Equal(t, []string{"b-1", "b-1"}, f.now().metas)
		time.Sleep(ttl - time.Minute)
		require.True(t, h.Valid(), "and is trusted from then on")
	})
}

func TestALeaseThatAnotherRunTookIsLostForAllSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLocks{}
		m := fakeManager(f)
		one, two := join(t.Context(), t, m, runA), join(t.Context(), t, m, runA)
		time.Sleep(time.Minute)
		f.set(func() { f.holder = runB })
		require.ErrorIs(t, one.Renew(t.Context()), ErrLost)
		synctest.Wait()
		require.ErrorIs(t, context.Cause(one.Context()), ErrLost)
		require.ErrorIs(t, context.Cause(two.Context()), ErrLost)
		require.ErrorIs(t, two.Err(), ErrLost)
		require.Equal(t, runB, f.now().holder)
		calls := f.now().calls
		require.ErrorIs(t, two.Renew(t.Context()), ErrLost)
		require.Equal(t, calls, f.now().calls, "a lost lease asks no more")

		f.set(func() { f.holder = "" })
		three := join(t.Context(), t, m, runA) // before the losers have left
		one.Leave()
		two.Leave()
		require.True(t, three.Valid())
		require.Len(t, m.shared, 1)
		three.Leave()
		require.Empty(t, m.shared)
	})
}

func TestAHoldEndsWithItsOwnContextAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := fakeManager(&fakeLocks{})
		ctx, cancel := context.WithCancel(t.Context())
		one, two := join(ctx, t, m, runA), join(t.Context(), t, m, runA)
		cancel()
		synctest.Wait()
		require.ErrorIs(t, context.Cause(one.Context()), context.Canceled)
		one.Leave()
		require.NoError(t, two.Context().Err())
		require.NoError(t, two.Renew(ctx), "a stop is no loss")
		require.True(t, two.Valid())
		two.Leave()
	})
}

func TestShortLeasesKeepATenthBack(t *testing.T) {
	t.Parallel()
	require.Equal(t, 9*time.Second, trust(10*time.Second))
	require.Equal(t, ttl-maxMargin, trust(ttl))
}
