package lease

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

func TestOneRunAtATimeWarmsAShop(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	one, two, ctx := New(client, ttl), New(client, ttl), t.Context() // two processes

	h := join(ctx, t, one, runA)
	defer h.Leave()
	_, err := two.Join(ctx, "1001", runB, "b-2")
	require.ErrorIs(t, err, ErrHeld)
	var held *HeldError
	require.ErrorAs(t, err, &held)
	require.Equal(t, HeldError{"1001", runA, "b-1"}, *held)
	require.ErrorContains(t, err, runA)
	_, err = one.Join(ctx, "1001", runB, "b-2")
	require.ErrorIs(t, err, ErrHeld, "in the same process too")

	same := join(ctx, t, two, runA)
	defer same.Leave()
	other, err := two.Join(ctx, "1002", runB, "b-2")
	require.NoError(t, err, "another shop is free")
	defer other.Leave()
	run, broadcast, err := two.Holder(ctx, "1001")
	require.NoError(t, err)
	require.Equal(t, []string{runA, "b-1"}, []string{run, broadcast})
	require.InDelta(t, ttl, client.PTTL(ctx, redisconn.LeaseKey("1001")).Val(), float64(time.Minute))
}

func TestReleaseNeedsNoHoldAndSparesOtherRuns(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	m, ctx := New(client, ttl), t.Context()
	join(ctx, t, m, runA).Leave()
	require.NoError(t, m.Release(ctx, "1001", runB))
	run, _, err := m.Holder(ctx, "1001")
	require.NoError(t, err)
	require.Equal(t, runA, run)
	for range 2 {
		require.NoError(t, New(client, ttl).Release(ctx, "1001", runA))
	}
	run, broadcast, err := m.Holder(ctx, "1001")
	require.NoError(t, err)
	require.Empty(t, run+broadcast)
	join(ctx, t, m, runB).Leave()
}

func TestAHoldThatIsStillAtWorkTakesAReleasedLeaseAgain(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	m, ctx := New(client, ttl), t.Context()
	h := join(ctx, t, m, runA)
	defer h.Leave()
	require.NoError(t, m.Release(ctx, "1001", runA))
	require.NoError(t, h.Renew(ctx), "at once, though the last renewal was less than a second ago")
	run, _, err := m.Holder(ctx, "1001")
	require.NoError(t, err)
	require.Equal(t, runA, run)

	require.NoError(t, m.Release(ctx, "1001", runA))
	b := join(ctx, t, New(client, ttl), runB)
	defer b.Leave()
	require.ErrorIs(t, h.Renew(ctx), ErrLost)
	<-h.Context().Done()
	require.ErrorIs(t, context.Cause(h.Context()), ErrLost)
	require.True(t, b.Valid())
}

func TestAFlushedLeaseIsTakenAgain(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	m, ctx := New(client, ttl), t.Context()
	h := join(ctx, t, m, runA)
	defer h.Leave()
	require.NoError(t, client.FlushDB(ctx).Err())
	h.share.renewSoon()
	require.NoError(t, h.Renew(ctx))
	run, broadcast, err := m.Holder(ctx, "1001")
	require.NoError(t, err)
	require.Equal(t, []string{runA, "b-1"}, []string{run, broadcast})
	require.Greater(t, client.PTTL(ctx, redisconn.LeaseKey("1001")).Val(), ttl-time.Minute)
}

func TestOfManyWhoContendOneRunGetsTheShop(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	managers := []*Manager{New(client, ttl), New(client, ttl)}
	runs := []string{runA, runB}
	var wg sync.WaitGroup
	holds, errs := make([]*Hold, 32), make([]error, 32)
	for i := range holds {
		wg.Go(func() { holds[i], errs[i] = managers[i%2].Join(t.Context(), "1001", runs[i/2%2], "b") })
	}
	wg.Wait()
	winner, _, err := managers[0].Holder(t.Context(), "1001")
	require.NoError(t, err)
	for i, h := range holds {
		if runs[i/2%2] != winner {
			require.ErrorIs(t, errs[i], ErrHeld)
			continue
		}
		require.NoError(t, errs[i])
		require.NoError(t, h.Renew(t.Context()))
		require.True(t, h.Valid())
		h.Leave()
	}
}

func TestAFrozenRedisNeitherHoldsASlotNorLosesTheLease(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	m := New(open(t, server.URL), ttl)
	h := join(t.Context(), t, m, runA)
	defer h.Leave()
	server.Freeze()
	h.share.renewSoon()
	start := time.Now()
	require.NoError(t, h.Renew(t.Context()))
	require.Less(t, time.Since(start), callTime+time.Second)
	require.True(t, h.Valid())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start = time.Now()
	_, err := m.Join(ctx, "1002", runB, "b")
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrHeld)
	require.Less(t, time.Since(start), time.Second)
	server.Thaw()
	h.share.renewSoon()
	require.NoError(t, h.Renew(t.Context()))
}

func TestTokensHaveOneLength(t *testing.T) {
	t.Parallel()
	m := New(open(t, testenv.Redis(t).URL), ttl)
	for _, run := range []string{"", "short", runA + "a"} {
		_, err := m.Join(t.Context(), "1001", run, "b")
		require.ErrorContains(t, err, "run id", run)
	}
}

func TestShopsOfAnyTextHaveLeasesOfTheirOwn(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	m := New(client, ttl)
	for _, shop := range []string{"1", "", "}", "{", "a b\n", "店"} {
		h, err := m.Join(t.Context(), shop, runA, "b")
		require.NoError(t, err)
		h.Leave()
	}
	require.Equal(t, int64(6), client.DBSize(t.Context()).Val())
}
