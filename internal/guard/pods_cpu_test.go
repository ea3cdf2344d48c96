package guard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPodsWhoseProcessorsAreFullShouldNotGetMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		used float64
		why  string
	}{{0.3, ""}, {0.84, ""}, {0.93, "pods_cpu 93.0% >= 85.0%"}, {1, "pods_cpu 100.0% >= 85.0%"}} {
		g := PodsCPU(0.85)
		g.Observe(c.used, t0)
		verdicts := []Verdict{g.Judge(t0)}
		require.Equal(t, c.why, OfPods(verdicts))
		require.Equal(t, c.why != "", NearOfPods(verdicts), "%v", c.used)
		require.Equal(t, Grow, Worst(verdicts).Zone, "it is no word on servers")
		require.Empty(t, OfPods([]Verdict{g.Judge(t0.Add(time.Minute))}), "nothing is loaded any more")
	}
	g := PodsCPU(0.85)
	g.Observe(0.9, t0)
	for n := range 20 { // somebody else works there for a moment
		g.Observe(0.8, t0.Add(time.Duration(n+1)*time.Second))
	}
	require.NotEmpty(t, OfPods([]Verdict{g.Judge(t0.Add(20 * time.Second))}), "no better by enough")
	off := PodsCPU(0)
	off.Observe(1, t0)
	require.Empty(t, OfPods([]Verdict{off.Judge(t0)}))
	require.False(t, NearOfPods([]Verdict{off.Judge(t0)}))
}
