package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

func TestSharesAreExactlyTheWidth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pods := make([]string, rapid.IntRange(1, 12).Draw(t, "pods"))
		for i := range pods {
			pods[i] = fmt.Sprint("pod-", i)
		}
		width, perPod := rapid.IntRange(-1, 100).Draw(t, "width"), rapid.IntRange(1, 40).Draw(t, "per pod")
		shares := Shares(width, rapid.Permutation(pods).Draw(t, "order"), perPod)
		require.Equal(t, Shares(width, pods, perPod), shares, "whatever the order")
		sum, least, most := 0, 1<<30, 0
		for _, p := range pods {
			sum += shares[p]
			least, most = min(least, shares[p]), max(most, shares[p])
		}
		require.Equal(t, min(max(width, 1), perPod*len(pods)), sum)
		require.LessOrEqual(t, most, perPod)
		require.LessOrEqual(t, most-least, 1)
	})
	require.Empty(t, Shares(5, nil, 3))
	require.Equal(t, map[string]int{"a": 5}, Shares(5, []string{"a", "a"}, 9))
}

func TestAPodThatHearsNothingFallsToTheLeast(t *testing.T) {
	t.Parallel()
	p := &Published{Pods: []string{"a", "b"}, Result: Result{Width: 9, Paused: true, Reason: "so"}}
	slots, paused, reason := Share(p, noon, noon.Add(Silence), "a", wide)
	require.Equal(t, 5, slots)
	require.True(t, paused)
	require.Equal(t, "so", reason)
	slots, paused, reason = Share(p, noon, noon.Add(Silence+1), "a", config.Width{Min: 2, Max: 9, MaxPerPod: 4})
	require.Equal(t, 2, slots)
	require.False(t, paused)
	require.Contains(t, reason, "nothing was heard")
	slots, _, _ = Share(nil, time.Time{}, noon, "a", config.Width{Min: 9, Max: 9, MaxPerPod: 4})
	require.Equal(t, 4, slots)
	slots, _, _ = Share(p, noon, noon, "new", wide)
	require.Zero(t, slots, "the leader does not know it yet")
}

func TestOfTwoLeadersTheNewerIsBelieved(t *testing.T) {
	t.Parallel()
	old := Published{Term: 4, At: noon.Add(time.Hour)}
	require.True(t, Published{Term: 5, At: noon}.Newer(old))
	require.False(t, old.Newer(Published{Term: 5, At: noon}))
	require.True(t, Published{Term: 4, At: noon.Add(2 * time.Hour)}.Newer(old))
}

func TestPodsAreWantedByTheNeedUnlessTheDatabaseBinds(t *testing.T) {
	t.Parallel()
	bounds := config.Width{Min: 1, Max: 64, MaxPerPod: 8}
	in := Input{Now: noon, Guard: green, Bounds: bounds, Pods: 2, Demand: Demand{Slots: 50}}
	s := State{}
	want := func() (n int) {
		var r Result
		s, r = Next(s, in)
		s, n = PodsWanted(s, in, r)
		in.Now = in.Now.Add(Tick)
		return n
	}
	for range 20 {
		require.Equal(t, 7, want(), "ceil(50/8), though two pods carry 16")
	}
	in.Guard = guard.Verdict{Zone: guard.Shrink, Factor: 0.8, Reason: "x"}
	for range 400 {
		want()
	}
	require.LessOrEqual(t, want(), 2, "more pods do not help")
	in.Guard, in.Demand.Slots = green, 0
	s = State{}
	require.Equal(t, 1, want())
	in.Demand.Slots = 30
	require.Equal(t, 4, want(), "more at once")
	in.Demand.Slots = 3
	require.Equal(t, 4, want())
	for range 298 {
		require.Equal(t, 4, want(), "fewer after ten minutes")
	}
	want()
	require.Equal(t, 1, want())
}

func TestBusyPodsWantMore(t *testing.T) {
	t.Parallel()
	in := Input{Now: noon, Guard: green, Bounds: config.Width{Min: 1, Max: 64, MaxPerPod: 32}, Pods: 2, Demand: Demand{Slots: 5}, Busy: "pods_busy 9 >= 8"}
	for _, c := range []struct {
		slots float64
		width int
		want  int
	}{{5, 4, 3}, {40, 4, 4}, {4, 4, 1}, {3, 4, 1}} {
		in.Demand.Slots = c.slots
		s, r := Next(State{Width: c.width}, in)
		_, n := PodsWanted(s, in, r)
		require.Equal(t, c.want, n, c)
	}
}
