package guard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPodsAreBusyThatTakeMuchLongerThanTheirServers(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		served, had, trip time.Duration
		pages             int
		want              float64
	}{
		"they keep up":                     {2 * ms, 3 * ms, 0, 10, 1.5},
		"they do not":                      {2 * ms, 20 * ms, 0, 10, 10},
		"the way is no work":               {3 * ms, 5 * ms, 1 * ms, 10, 2},
		"the way was shorter than thought": {1 * ms, 4 * ms, 5 * ms, 100, 4},
		"too little was seen":              {1 * ms, 50 * ms, 0, 4, 0},
		"the server's time is not known":   {5 * ms, 5 * ms, 0, 10, 0},
		"no page":                          {0, 0, 0, 0, 0},
	} {
		var b Busy
		for range c.pages {
			b = b.Page(c.served, c.had, c.trip)
		}
		require.InDelta(t, c.want, b.Times(), 1e-9, name)
	}
}

func TestWhatPodsSayIsNoWordOnServers(t *testing.T) {
	t.Parallel()
	g := PodsBusy(8)
	g.Observe(20, t0)
	v := g.Judge(t0)
	require.Equal(t, Hold, v.Zone)
	well := Verdict{Zone: Grow, Signal: "canary"}
	require.Equal(t, Verdict{Zone: Grow, Factor: 1, Reason: "1 of 1 signals are well"}, Worst([]Verdict{v, well}))
	require.Equal(t, "no signal is watched", Worst([]Verdict{v}).Reason)
	require.Equal(t, Shrink, Worst([]Verdict{v, {Zone: Shrink, Factor: 0.5}}).Zone)
	require.Equal(t, "pods_busy 20.0 x its servers' time >= 8.0 x its servers' time", OfPods([]Verdict{well, v}))
	require.Empty(t, OfPods([]Verdict{well, PodsBusy(8).Judge(t0)}), "nothing was seen")
	require.Empty(t, OfPods([]Verdict{g.Judge(t0.Add(time.Minute))}), "nothing is loaded any more")
	for times, near := range map[float64]bool{2.6: false, 2.7: true, 20: true} {
		g := PodsBusy(8)
		g.Observe(times, t0)
		require.Equal(t, near, NearOfPods([]Verdict{well, g.Judge(t0)}), "%v times", times)
	}
	off := PodsBusy(0)
	off.Observe(20, t0)
	require.Empty(t, OfPods([]Verdict{off.Judge(t0)}))
}
