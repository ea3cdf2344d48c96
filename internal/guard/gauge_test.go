package guard

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
)

var t0 = time.Date(2026, 3, 14, 19, 0, 0, 0, time.UTC)

func load() *Gauge {
	return &Gauge{Name: "load", Limits: Limits{Hold: 10, Shrink: 20, Stop: 50}}
}

func TestAValueIsInTheZoneOfItsThreshold(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]struct {
		zone   Zone
		reason string
	}{
		0:    {Grow, "load 0 < 10"},
		9.9:  {Grow, "load 9.9 < 10"},
		10:   {Hold, "load 10 >= 10"},
		20:   {Shrink, "load 20 >= 20"},
		49.9: {Shrink, "load 49.9 >= 20"},
		50:   {Stop, "load 50 >= 50"},
		1e9:  {Stop, "load 1e+09 >= 50"},
	} {
		g := load()
		g.Observe(value, t0)
		v := g.Judge(t0)
		require.Equal(t, want.zone, v.Zone, "%v", value)
		require.Equal(t, want.reason, v.Reason)
		require.Equal(t, "load", v.Signal)
	}
}

func TestAShrinkGoesBackToWhereTheSignalHolds(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]float64{20: 0.5, 25: 0.4, 49: MinFactor, 20.1: 10 / 20.1} {
		g := load()
		g.Observe(value, t0)
		require.InDelta(t, max(want, MinFactor), g.Judge(t0).Factor, 0.01, "%v", value)
	}
	g := &Gauge{Name: "x", Limits: Limits{Hold: 10, Shrink: 10.5}}
	g.Observe(10.6, t0)
	require.InEpsilon(t, MaxFactor, g.Judge(t0).Factor, 1e-9)
}

func TestAZoneIsLeftWhenTheValueIsATenthBetter(t *testing.T) {
	t.Parallel()
	g := load()
	at := t0
	step := func(value float64) Verdict {
		at = at.Add(time.Second)
		g.Observe(value, at)
		return g.Judge(at)
	}
	require.Equal(t, Stop, step(50).Zone)
	v := step(46)
	require.Equal(t, Stop, v.Zone)
	require.Equal(t, "load 46 >= 45 (90 % of 50)", v.Reason)
	require.Equal(t, Shrink, step(44).Zone)
	require.Equal(t, Hold, step(17).Zone)
	require.Equal(t, Hold, step(9.5).Zone)
	require.Equal(t, Grow, step(8.9).Zone)
	require.Equal(t, Grow, step(9.5).Zone, "and entered at the threshold itself")
}

func TestWhatIsNotKnownHolds(t *testing.T) {
	t.Parallel()
	for name, blind := range map[string]func(g *Gauge) time.Time{
		"never read": func(*Gauge) time.Time { return t0 },
		"old":        func(g *Gauge) time.Time { g.Observe(1, t0); return t0.Add(DefaultStale + 1) },
		"failed":     func(g *Gauge) time.Time { g.Observe(1, t0); g.Fail(errors.New("no route")); return t0 },
		"NaN":        func(g *Gauge) time.Time { g.Observe(1, t0); g.Observe(math.NaN(), t0); return t0 },
		"infinite":   func(g *Gauge) time.Time { g.Observe(1, t0); g.Observe(math.Inf(1), t0); return t0 },
		"negative":   func(g *Gauge) time.Time { g.Observe(1, t0); g.Observe(-1, t0); return t0 },
		"zero":       func(g *Gauge) time.Time { g.Above0 = true; g.Observe(1, t0); g.Observe(0, t0); return t0 },
		"old, and was shrinking": func(g *Gauge) time.Time {
			g.Observe(30, t0)
			return t0.Add(time.Minute)
		},
	} {
		g := load()
		v := g.Judge(blind(g))
		require.Equal(t, Hold, v.Zone, name)
		require.True(t, v.Blind, name)
		require.Contains(t, v.Reason, "load")
	}
}

func TestAStopThatGoesSilentStaysAStop(t *testing.T) {
	t.Parallel()
	theirs, ours := load(), load()
	ours.Own = true
	theirs.Observe(60, t0)
	ours.Observe(60, t0)
	require.Equal(t, Stop, theirs.Judge(t0.Add(time.Hour)).Zone)
	require.Equal(t, Stop, ours.Judge(t0.Add(Release)).Zone)
	require.Equal(t, Grow, ours.Judge(t0.Add(Release+1)).Zone, "nothing would ever be measured again")
}

func TestNothingBadIsEverCalledWell(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := load()
		g.Own, g.Above0 = rapid.Bool().Draw(t, "own"), rapid.Bool().Draw(t, "above 0")
		g.Limits.Smooth = rapid.Float64Range(0, 1).Draw(t, "smooth")
		at := t0
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "gap")) * time.Second)
			value := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 100), rapid.Just(math.NaN())).Draw(t, "value")
			g.Observe(value, at)
			v := g.Judge(at)
			require.NotEmpty(t, v.Reason)
			require.GreaterOrEqual(t, v.Factor, MinFactor)
			require.LessOrEqual(t, v.Factor, 1.0)
			seen, when := g.Value()
			if v.Zone == Grow && (!g.Own || !v.Blind) {
				require.Less(t, seen, g.Limits.Hold)
				require.LessOrEqual(t, at.Sub(when), DefaultStale)
				require.False(t, math.IsNaN(value) || value < 0, "the newest value was not one")
			}
			if !g.Own {
				require.NotEqual(t, Grow, g.Judge(at.Add(DefaultStale+1)).Zone)
			}
		}
	})
}

func TestTheWorstSignalSpeaks(t *testing.T) {
	t.Parallel()
	well := Verdict{Zone: Grow, Factor: 1, Signal: "a", Reason: "a"}
	blind := Verdict{Zone: Hold, Factor: 1, Signal: "b", Reason: "b", Blind: true}
	hold := Verdict{Zone: Hold, Factor: 1, Signal: "c", Reason: "c"}
	mild := Verdict{Zone: Shrink, Factor: 0.8, Signal: "d", Reason: "d"}
	sharp := Verdict{Zone: Shrink, Factor: 0.3, Signal: "e", Reason: "e"}
	stop := Verdict{Zone: Stop, Factor: 1, Signal: "f", Reason: "f"}
	require.Equal(t, Grow, Worst(nil).Zone)
	require.Equal(t, "2 of 2 signals are well", Worst([]Verdict{well, well}).Reason)
	require.Equal(t, blind, Worst([]Verdict{well, blind}))
	require.Equal(t, hold, Worst([]Verdict{blind, hold}))
	require.Equal(t, sharp, Worst([]Verdict{mild, hold, sharp}))
	require.Equal(t, stop, Worst([]Verdict{sharp, stop, mild}))
	crowd := Verdict{Zone: Stop, Factor: 1, Signal: "g", Reason: "g", Keep: true}
	require.Equal(t, stop, Worst([]Verdict{crowd, stop, mild}), "a stop that keeps the width is the milder")
}

func TestABaselineIsTheLevelOfAQuietServer(t *testing.T) {
	t.Parallel()
	g := PageTime("users", config.Defaults().Guard.PageTime)
	g.Own, g.Limits = false, Limits{Times: true, Hold: 1.25, Shrink: 1.5, Stop: 5, Smooth: 0.5}
	at := t0
	feed := func(value float64, n int) Verdict {
		for range n {
			at = at.Add(time.Second)
			g.Observe(value, at)
		}
		return g.Judge(at)
	}
	v := feed(1e-6, Learned-1)
	require.Equal(t, Hold, v.Zone, "it is being learned")
	require.True(t, v.Blind)
	require.Equal(t, Grow, feed(1e-6, 5).Zone)
	require.InEpsilon(t, 1e-6, g.Base.Value, 0.01)
	v = feed(1.4e-6, 10)
	require.Equal(t, Hold, v.Zone)
	require.Equal(t, "page_time{users} 1.4µs/row >= 1.25µs/row (1.25 x 1µs/row)", v.Reason)
	require.Equal(t, Hold, feed(1.4e-6, 36_000).Zone, "ten hours of what we make ourselves are not learned as normal")
	// Slowly, so that each step is within what holds: it is not learned either.
	for value := 1e-6; value < 3e-6; value *= 1.0002 {
		v = feed(value, 1)
	}
	require.Equal(t, Shrink, v.Zone)
	g.Quiet = true
	require.Equal(t, Grow, feed(3e-6, 3600).Zone, "what is slow without us is how it is")
	g.Quiet = false
	require.Equal(t, Grow, feed(1e-6, 3600).Zone)
	require.InEpsilon(t, 1e-6, g.Base.Value, 0.01, "and back")
	require.Equal(t, Stop, feed(20e-6, 10).Zone)
}

func TestTheFloorKeepsARatioOfNothingFromMeaningAnything(t *testing.T) {
	t.Parallel()
	g := RedisLatency("cache", config.Defaults().Guard.RedisLatency)
	g.Base = Baseline{Value: 50e-6, Samples: Learned}
	g.Observe(600e-6, t0)
	require.Equal(t, Grow, g.Judge(t0).Zone, "12 times the baseline, but less than a millisecond")
	g.Observe(0.5, t0)
	g.Observe(0.5, t0)
	require.Equal(t, Stop, g.Judge(t0).Zone)
}

func TestPerRowLeavesTheRoundTripOut(t *testing.T) {
	t.Parallel()
	require.InEpsilon(t, 1e-6, PerRow(1500*time.Microsecond, time.Millisecond, 500), 1e-9)
	require.InEpsilon(t, 1e-7, PerRow(time.Millisecond, 5*time.Millisecond, 500), 1e-9, "never nothing")
	require.True(t, math.IsNaN(PerRow(time.Millisecond, 0, 0)))
	small, large := PageCost(150*time.Microsecond, 0, 50), PageCost(1100*time.Microsecond, 0, 1000)
	require.InEpsilon(t, small, large, 1e-9, "a statement costs as much as a hundred rows")
	require.True(t, math.IsNaN(PageCost(time.Millisecond, 0, 0)))
}

func TestAReaderThatHangsHoldsOnlyItsOwnSignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w Watch
		hang := make(chan struct{})
		quick, slow := load(), load()
		quick.Name, slow.Name = "quick", "slow"
		w.Add(quick, func(context.Context) (float64, error) { return 1, nil })
		w.Add(slow, func(context.Context) (float64, error) { <-hang; return 1, nil })
		done := make(chan struct{})
		go func() { w.Sample(t.Context(), time.Now); close(done) }()
		synctest.Wait()
		time.Sleep(DefaultStale + time.Second)
		w.Sample(t.Context(), time.Now)
		verdicts := w.Judge(time.Now())
		require.Equal(t, Grow, verdicts[0].Zone)
		require.Equal(t, Hold, verdicts[1].Zone)
		close(hang)
		<-done
		require.Equal(t, Grow, w.Judge(time.Now())[1].Zone)
	})
}

func TestWhatOurOwnWorkMakesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	g := PageTime("users", config.Defaults().Guard.PageTime)
	require.Equal(t, Grow, g.Judge(t0).Zone, "nothing is loaded yet")
	g.Observe(1e-6, t0)
	v := g.Judge(t0)
	require.Equal(t, Hold, v.Zone)
	require.True(t, v.Blind, "its level is being learned")
	require.Equal(t, Grow, g.Judge(t0.Add(DefaultStale+1)).Zone, "nobody waits for a level that nothing tells")
	for i := range Learned {
		g.Observe(1e-6, t0.Add(time.Duration(i)*time.Second))
	}
	at := t0.Add(Learned * time.Second)
	for range 20 {
		g.Observe(8e-6, at)
	}
	require.Equal(t, Shrink, g.Judge(at).Zone)
	require.Equal(t, Grow, g.Judge(at.Add(DefaultStale+1)).Zone, "and it was loaded")
}

func TestLevelsAreKnownAgainAfterARestart(t *testing.T) {
	t.Parallel()
	var was, is Watch
	was.Add(RedisLatency("cache", config.Defaults().Guard.RedisLatency), nil)
	was.Add(RedisLatency("queue", config.Defaults().Guard.RedisLatency), nil)
	for i := range Learned {
		was.Observe("redis_latency{cache}", 0.004, t0.Add(time.Duration(i)*time.Second))
	}
	was.Observe("redis_latency{queue}", 0.004, t0)
	levels := was.Baselines()
	require.Len(t, levels, 1, "what is not known yet is not kept")
	was.Know(map[string]Baseline{"redis_latency{cache}": {Value: 1, Samples: Learned}, "redis_latency{queue}": {Value: 2, Samples: Learned}})
	require.InDelta(t, 0.004, was.Baselines()["redis_latency{cache}"].Value, 0.001, "what was learned since is better")
	require.InDelta(t, 2, was.Baselines()["redis_latency{queue}"].Value, 0.001)

	is.Know(levels)
	is.Add(RedisLatency("cache", config.Defaults().Guard.RedisLatency), nil) // later, as a dataset's
	is.Observe("redis_latency{cache}", 0.1, t0)
	require.Equal(t, Shrink, is.Judge(t0)[0].Zone)
	is.Fail("redis_latency{cache}", errors.New("gone"))
	require.Equal(t, Hold, is.Judge(t0)[0].Zone)
	require.True(t, is.Has("redis_latency{cache}"))
	require.False(t, is.Has("redis_latency{queue}"))
}

func TestALevelIsLearnedAlthoughEveryThirdReadingLies(t *testing.T) {
	t.Parallel()
	for _, lie := range []float64{1e-12, 1e300} {
		g := PageTime("users", config.Defaults().Guard.PageTime)
		at := t0
		for i := range 2 * Learned {
			at = at.Add(time.Second)
			value := 2e-6
			if i%3 == 0 {
				value = lie
			}
			g.Observe(value, at)
		}
		require.InEpsilon(t, 2e-6, g.Base.Value, 0.05, "%v", lie)
	}
}

func TestAReadingThatIsNoMeasureOfAnythingIsForgottenSoon(t *testing.T) {
	t.Parallel()
	g := Canary("main", config.Defaults().Guard.Canary)
	g.Base = Baseline{Value: 1e-3, Samples: Learned}
	g.Observe(1e-3, t0)
	g.Observe(math.MaxFloat64, t0.Add(time.Second))
	require.Equal(t, Shrink, g.Judge(t0.Add(time.Second)).Zone, "one is no emergency")
	for i := range 12 {
		g.Observe(1e-3, t0.Add(time.Duration(i+2)*time.Second))
	}
	require.Equal(t, Grow, g.Judge(t0.Add(14*time.Second)).Zone)
}

func TestOneSlowPageIsNoise(t *testing.T) {
	t.Parallel()
	at := t0
	g := PageTime("users", config.Defaults().Guard.PageTime)
	g.Base = Baseline{Value: 1e-6, Samples: Learned}
	for name, silence := range map[string]time.Duration{"while pages come": time.Second, "the first after a silence": time.Hour} {
		at = at.Add(silence)
		g.Observe(100e-6, at)
		require.Equal(t, Shrink, g.Judge(at).Zone, name)
		for range 15 {
			at = at.Add(time.Second)
			g.Observe(1e-6, at)
		}
		require.Equal(t, Grow, g.Judge(at).Zone, name)
	}
	for range 2 {
		at = at.Add(time.Second)
		g.Observe(100e-6, at)
	}
	require.Equal(t, Stop, g.Judge(at).Zone, "two are")
}

func TestRowsThatHaveBecomeDearerForGoodDoNotStopTheWorkForEver(t *testing.T) {
	t.Parallel()
	g := PageTime("users", config.Defaults().Guard.PageTime)
	g.Base, g.Quiet = Baseline{Value: 1e-6, Samples: Learned}, true
	at, stopped := t0, 0
	for at.Sub(t0) < 4*time.Hour {
		g.Observe(60e-6, at)
		if g.Judge(at).Zone != Stop { // and pages go on
			at = at.Add(time.Second)
			continue
		}
		stopped++
		at = at.Add(Release + time.Second) // one page
	}
	require.Equal(t, Grow, g.Judge(at.Add(-time.Second)).Zone)
	require.Greater(t, stopped, 60, "half an hour of trouble is still trouble")
}
