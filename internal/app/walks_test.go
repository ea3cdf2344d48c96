package app

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/source"
)

// walked is a source whose index is walked along, and what its guard and its users say.
type walked struct {
	*walks
	zone   atomic.Int32
	others atomic.Bool
	told   atomic.Int32 // strides for plans
	ending chan struct{}
}

func newWalked(pods, slots int) *walked {
	x := &walked{ending: make(chan struct{})}
	x.others.Store(true)
	p := &pages{
		bounds: pace.Pages{Target: 250 * time.Microsecond}, start: 200, pagers: map[readAt]*sized{}, of: map[string]string{"users": "main", "orders": "main", "items": "far"},
		trips: map[string][]time.Duration{"main": {50 * time.Microsecond}},
		zone:  func() guard.Zone { return guard.Zone(x.zone.Load()) }, alone: func(string) bool { return !x.others.Load() },
	}
	x.walks = &walks{pages: p, most: 10_000, walked: func() { x.told.Add(1) }, width: func() (int, int) { return pods, slots }, ending: x.ending, strides: map[string]pace.Pager{}, turns: map[string]chan struct{}{}, owed: map[string]time.Duration{}}
	return x
}

// pass walks along entries that take so long each, and says how long the strides were.
func pass(t *testing.T, walk source.Walk, entries int64, each time.Duration) (strides []int64) {
	t.Helper()
	for left := entries; left > 0; {
		require.NoError(t, walk(t.Context(), left, func(n int64) (time.Duration, error) {
			require.LessOrEqual(t, n, left)
			left -= n
			strides = append(strides, n)
			return 50*time.Microsecond + time.Duration(n)*each, nil // the way, and the entries
		}))
	}
	return strides
}

func TestStridesTakeAsLongAsPages(t *testing.T) {
	t.Parallel()
	x := newWalked(1, 1)
	require.Len(t, pass(t, x.asked("items"), 200, 100), 1)
	require.Zero(t, x.told.Load(), "nothing is planned")
	require.Len(t, pass(t, x.planned("items"), 200, 100), 1)
	require.EqualValues(t, 1, x.told.Load())
	for _, c := range []struct {
		each time.Duration
		want int64
	}{{100, 2500}, {time.Microsecond / 5, 1250}, {10 * time.Microsecond, walkLeast}, {1, 10_000}} {
		pass(t, x.planned("users"), 300_000, c.each)
		last := pass(t, x.asked("users"), c.want, c.each)
		require.Len(t, last, 1, "%d ns an entry: %v", c.each, last)
		last = pass(t, x.planned("users"), 2*c.want+2, c.each)
		require.Len(t, last, 3, "%d ns an entry: %v", c.each, last)
		require.InDelta(t, last[0], last[2], 2, "as many each")
	}
	// Where pages are large strides are no shorter than they are.
	x.pages.pagers[readAt{"users", ""}] = &sized{pager: pace.Pager{Rows: 2000}}
	pass(t, x.planned("users"), 300_000, 10*time.Microsecond)
	require.Equal(t, []int64{4000, 4000}, pass(t, x.planned("users"), 8000, 10*time.Microsecond))
	delete(x.pages.pagers, readAt{"users", ""})

	x.others.Store(false)
	pass(t, x.planned("users"), 300_000, 2*time.Microsecond)
	require.Equal(t, []int64{5000, 5000}, pass(t, x.planned("users"), 10_000, 2*time.Microsecond), "nobody feels them")
	x.others.Store(true)
	pass(t, x.planned("users"), 5000, 2*time.Microsecond)
	require.Len(t, pass(t, x.planned("users"), 2500, 2*time.Microsecond), 3)
	require.Len(t, pass(t, x.planned("orders"), 500, 100), 1, "another dataset begins anew")
}

func TestOneStrideAtATimeInAllPods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newWalked(8, 3)
		const took = 10 * time.Millisecond
		var at, most atomic.Int32
		step := func(int64) (time.Duration, error) {
			most.Store(max(most.Load(), at.Add(1)))
			time.Sleep(took)
			at.Add(-1)
			return took, nil
		}
		began := time.Now()
		var walkers sync.WaitGroup
		for _, dataset := range []string{"users", "orders", "orders"} {
			walkers.Go(func() { _ = x.planned(dataset)(t.Context(), 100, step) })
		}
		walkers.Go(func() { // at another source, and for announcements
			for range 3 {
				require.NoError(t, x.planned("items")(t.Context(), 100, func(int64) (time.Duration, error) { return 0, nil }))
				require.NoError(t, x.asked("users")(t.Context(), 100, func(int64) (time.Duration, error) { return time.Second, nil }), "an announcement is answered")
			}
			require.Zero(t, time.Since(began))
		})
		walkers.Wait()
		require.EqualValues(t, 1, most.Load())
		require.Equal(t, 3*4*took, time.Since(began), "two of eight pods have a turn at a time")

		// A turn for every three slots: nobody rests where there are as many turns as pods.
		for slots, want := range map[int]time.Duration{0: took, 6: took, 7: took / 3, 10: 0, 100: 0} {
			w := newWalked(4, slots)
			began = time.Now()
			for range 3 {
				require.NoError(t, w.planned("users")(t.Context(), 100, func(int64) (time.Duration, error) { return took, nil }))
			}
			require.InDelta(t, 3*want, time.Since(began), float64(walkRest), "%d slots", slots)
		}
		began = time.Now()
		short := func(int64) (time.Duration, error) { return time.Millisecond, nil }
		require.NoError(t, x.planned("users")(t.Context(), 100, short))
		require.Zero(t, time.Since(began), "a rest that is too short for a timer is put off")
		require.NoError(t, x.planned("users")(t.Context(), 100, short))
		require.Equal(t, 6*time.Millisecond, time.Since(began))

		began = time.Now()
		require.NoError(t, x.planned("users")(t.Context(), 100, func(int64) (time.Duration, error) { return time.Hour, nil }))
		require.Equal(t, walkRestMost, time.Since(began))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, x.planned("users")(gone, 100, func(int64) (time.Duration, error) { return time.Hour, nil }), context.Canceled)
		failed := errors.New("gone away")
		require.ErrorIs(t, x.planned("users")(t.Context(), 100, func(int64) (time.Duration, error) { return 0, failed }), failed)
	})
}

func TestNoPlanIsMadeWhileTheGuardSaysStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newWalked(1, 1)
		asked := 0
		step := func(int64) (time.Duration, error) { asked++; return time.Microsecond, nil }
		x.zone.Store(int32(guard.Shrink))
		require.Empty(t, x.held())
		require.NoError(t, x.planned("users")(t.Context(), 100, step))
		x.zone.Store(int32(guard.Stop))
		require.NotEmpty(t, x.held())
		require.NoError(t, x.asked("users")(t.Context(), 100, step), "an announcement is answered")
		require.Equal(t, 2, asked)

		began := time.Now()
		err := x.planned("users")(t.Context(), 100, step)
		require.ErrorIs(t, err, plan.ErrHeld)
		require.ErrorContains(t, err, "the guard says stop")
		require.Equal(t, walkHold, time.Since(began))
		time.AfterFunc(time.Second, func() { x.zone.Store(int32(guard.Hold)) })
		require.NoError(t, x.planned("users")(t.Context(), 100, step))
		require.Equal(t, 3, asked)

		x.zone.Store(int32(guard.Stop))
		time.AfterFunc(time.Second, func() { close(x.ending) })
		began = time.Now()
		require.ErrorIs(t, x.planned("users")(t.Context(), 100, step), plan.ErrHeld)
		require.InDelta(t, time.Second, time.Since(began), float64(walkStep))
		require.Equal(t, 3, asked)
	})
}
