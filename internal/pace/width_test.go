package pace

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

var (
	wide  = config.Width{Min: 1, Max: 64, MaxPerPod: 32}
	green = guard.Verdict{Zone: guard.Grow, Factor: 1, Reason: "2 of 2 signals are well"}
)

func zone(z guard.Zone, factor float64) guard.Verdict {
	return guard.Verdict{Zone: z, Factor: factor, Signal: "canary", Reason: "canary 9ms >= 4ms"}
}

// law runs the law tick by tick.
type law struct {
	now   time.Time
	state State
	input Input
	last  Result
}

func newLaw(slots float64) *law {
	return &law{now: noon, input: Input{Demand: Demand{Slots: slots, Reason: "so much is due"}, Guard: green, Bounds: wide, Pods: 2}}
}

func (l *law) run(ticks int) []int {
	var widths []int
	for range ticks {
		l.input.Now = l.now
		l.state, l.last = Next(l.state, l.input)
		widths = append(widths, l.last.Width)
		l.now = l.now.Add(Tick)
	}
	return widths
}

func TestTheWidthGrowsByAQuarter(t *testing.T) {
	t.Parallel()
	l := newLaw(30)
	require.Equal(t, []int{2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 30, 30}, l.run(15))
	require.Equal(t, "30: so much is due", l.last.Reason)
	l.state.Width = 5
	l.run(1)
	require.Equal(t, "6, growing to 30: so much is due", l.last.Reason)
}

func TestTheWidthIsClamped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slots  float64
		pods   int
		bounds config.Width
		width  int
		binds  string
		reason string
	}{
		"nothing to do": {0, 2, config.Width{Min: 3, Max: 64, MaxPerPod: 32}, 3, "", "3: "},
		"max":           {1000, 9, wide, 64, BindsMax, "64 is width.max, 1000 wanted"},
		"pods":          {1000, 1, wide, 32, BindsPods, "32 is what 1 pods carry"},
		"no pod known":  {1000, 0, wide, 32, BindsPods, "32 is what 1 pods carry"},
		"infinite":      {math.Inf(1), 9, wide, 64, BindsMax, "64 is width.max"},
		"no number":     {math.NaN(), 9, wide, 1, "", "1: "},
		"bad bounds":    {5, 1, config.Width{Min: -4, Max: -1, MaxPerPod: 0}, 1, BindsMax, "1 is width.max"},
	} {
		l := newLaw(c.slots)
		l.input.Pods, l.input.Bounds = c.pods, c.bounds
		l.run(40)
		require.Equal(t, c.width, l.last.Width, name)
		require.Contains(t, l.last.Reason, c.reason, name)
		require.Equal(t, c.binds != "", l.last.Bound, name)
		if c.binds != "" {
			require.Equal(t, c.binds, l.last.Binds, name)
		}
	}
}

func TestTheGuardShrinksAtOnceAndTheCeilingIsRemembered(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.run(30)
	l.input.Guard = zone(guard.Shrink, 0.5)
	require.Equal(t, []int{10, 10, 10}, l.run(3), "at once, and then it is given time to show")
	require.Contains(t, l.last.Reason, "10 is what the servers bear now, 20 wanted (so much is due): canary 9ms >= 4ms")
	require.Equal(t, []int{5}, l.run(1))
	l.input.Guard = zone(guard.Shrink, 0.2)
	require.Equal(t, []int{1}, l.run(1), "sharper: it is not waited for")
	l.input.Guard = green
	for _, w := range l.run(9) {
		require.Equal(t, 1, w, "calm must last")
	}
	require.Equal(t, BindsGuard, l.last.Binds)
	require.True(t, l.last.Bound)
}

func TestPodsThatHaveAllTheyCanDoGetNoMore(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.run(4)
	l.input.Busy = "pods_busy 9 >= 8"
	require.Equal(t, slices.Repeat([]int{5}, 100), l.run(100))
	require.True(t, l.last.Bound)
	require.Equal(t, BindsPods, l.last.Binds)
	require.Equal(t, "5 is what 2 pods carry, 20 wanted (so much is due): pods_busy 9 >= 8", l.last.Reason)
	require.Zero(t, l.state.Limit, "the servers have said nothing")
	l.input.Demand.Slots = 3
	l.run(200)
	require.Equal(t, 3, l.last.Width, "less is needed")
	require.False(t, l.last.Bound)
	l.input.Demand.Slots = 20
	l.input.Override = &Override{Pin: 12, Until: l.now.Add(time.Hour), Who: "ann", Why: "because"}
	l.run(20)
	require.Equal(t, 12, l.last.Width, "people may know better")
	l.input.Override, l.input.Busy = nil, ""
	require.Equal(t, []int{15, 18, 20}, l.run(3))
}

func TestHoldHolds(t *testing.T) {
	t.Parallel()
	l := newLaw(40)
	l.run(10)
	l.input.Guard = zone(guard.Hold, 1)
	for _, w := range l.run(100) {
		require.Equal(t, 15, w)
	}
	require.Contains(t, l.last.Reason, "canary 9ms >= 4ms")
	l.input.Guard = green
	require.Equal(t, []int{15, 15, 18, 22}, l.run(4), "what held is gone beyond when it has been well for a moment: nothing was cut")
	l.input.Guard = zone(guard.Shrink, 0.7)
	l.run(1)
	l.input.Guard = zone(guard.Hold, 1)
	l.run(10)
	l.input.Guard = green
	require.Equal(t, slices.Repeat([]int{15}, 9), l.run(9), "what was cut is not gone beyond at once")
	l.input.Guard = guard.Verdict{Zone: guard.Hold, Factor: 1, Blind: true}
	l.run(300)
	require.Equal(t, 15, l.state.Limit, "nothing is tried while nothing is seen")
	blind := newLaw(40)
	blind.run(10)
	blind.input.Guard = guard.Verdict{Zone: guard.Hold, Factor: 1, Blind: true, Reason: "canary was not read yet"}
	blind.run(5)
	require.Equal(t, 15, blind.last.Width)
	require.Equal(t, "15, not growing to 40: canary was not read yet", blind.last.Reason)
	blind.input.Guard = green
	require.Equal(t, []int{18}, blind.run(1), "nothing was learned from what was not known")
}

func TestStopPausesAndResumesCautiously(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.run(30)
	l.input.Guard = zone(guard.Stop, 1)
	require.Equal(t, []int{1, 1}, l.run(2))
	require.True(t, l.last.Paused)
	require.Equal(t, "stopped: canary 9ms >= 4ms", l.last.Reason)
	l.input.Guard = green
	l.run(1)
	require.False(t, l.last.Paused)
	require.Equal(t, 1, l.last.Width)
	widths := l.run(300)
	require.Equal(t, 19, widths[len(widths)-1], "and is near enough to what it needs within ten minutes")
	for i := 1; i < len(widths); i++ {
		require.LessOrEqual(t, widths[i]-widths[i-1], 2)
	}
}

func TestANeedThatWaversMovesNothing(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.run(30)
	for i := range 600 {
		l.input.Demand.Slots = 20 + 1*math.Sin(float64(i))
		require.Equal(t, []int{20}, l.run(1), "%s", l.last.Reason)
	}
	l.input.Demand.Slots = 20.8
	l.run(1)
	require.Equal(t, "20, near enough: so much is due", l.last.Reason)
}

func TestANeedThatFallsIsFollowedAfterAWhile(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.run(30)
	l.input.Demand.Slots = 15
	require.Equal(t, 20, l.run(149)[148])
	require.Equal(t, "20, down to 15 if the need stays low: so much is due", l.last.Reason)
	require.Equal(t, 15, l.run(3)[2])
	l.input.Demand.Slots = 0
	require.Equal(t, 15, l.run(29)[28])
	require.Equal(t, 1, l.run(3)[2])
	// Fewer pods carry less: that is no matter of patience.
	l = newLaw(60)
	l.run(40)
	l.input.Pods = 1
	require.Equal(t, []int{32}, l.run(1))
}

func TestAnOverrideIsObeyedUntilItEnds(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.input.Override = &Override{Pin: 6, Until: noon.Add(time.Minute), Who: "ann", Why: "release"}
	require.Equal(t, 6, l.run(30)[29])
	require.Equal(t, "6: pinned at 6; by hand until 12:01:00 by ann: release", l.last.Reason)
	require.Equal(t, 20, l.run(30)[29])
	require.NotContains(t, l.last.Reason, "ann")

	l.input.Override = &Override{Pin: 40, Until: noon.Add(time.Hour), Who: "ann", Why: "hurry"}
	l.input.Guard = zone(guard.Shrink, 0.5)
	require.Equal(t, []int{10}, l.run(1), "the guard is stronger than a pin")
	l.input.Guard = zone(guard.Stop, 1)
	l.run(1)
	require.True(t, l.last.Paused)

	l = newLaw(20)
	l.input.Override = &Override{Max: 4, Until: noon.Add(time.Hour), Who: "ann", Why: "sale"}
	require.Equal(t, 4, l.run(30)[29])
	held := newLaw(20)
	held.input.Bounds.Min, held.input.Guard = 2, zone(guard.Hold, 1)
	held.input.Override = &Override{Max: 1, Until: noon.Add(10 * time.Second), Who: "ann", Why: "sale"}
	require.Equal(t, []int{1, 1, 1, 1, 1, 2, 2}, held.run(7), "what the guard has left of a smaller minimum does not outlive it")
	l.input.Override = &Override{Min: 9, Pause: true, Until: noon.Add(time.Hour), Who: "ann", Why: "sale"}
	l.input.Demand.Slots = 0
	require.Equal(t, 9, l.run(200)[199])
	require.True(t, l.last.Paused)
	require.Contains(t, l.last.Reason, "paused; by hand until 13:00:00")
}

func TestAnOverrideSaysUntilWhenWhoAndWhy(t *testing.T) {
	t.Parallel()
	good := Override{Pin: 6, Until: noon.Add(time.Minute), Who: "ann", Why: "release"}
	require.NoError(t, good.Validate(noon, wide))
	for want, bad := range map[string]Override{
		"end":        {Pin: 6, Until: noon, Who: "ann", Why: "x"},
		"who":        {Pin: 6, Until: good.Until, Why: "x"},
		"why":        {Pin: 6, Until: good.Until, Who: "ann"},
		"sets":       {Until: good.Until, Who: "ann", Why: "x"},
		"below zero": {Pin: -1, Until: good.Until, Who: "ann", Why: "x"},
		"width.max":  {Pin: 65, Until: good.Until, Who: "ann", Why: "x"},
		"more than":  {Min: 9, Max: 8, Until: good.Until, Who: "ann", Why: "x"},
	} {
		require.ErrorContains(t, bad.Validate(noon, wide), want)
	}
}

// Whatever it is fed, the law stays within its bounds, grows by a quarter at most and never while the guard is worse
// than grow, and a reason names the width.
func TestTheLawStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLaw(0)
		l.input.Bounds = config.Width{
			Min: rapid.IntRange(-1, 10).Draw(t, "min"), Max: rapid.IntRange(0, 80).Draw(t, "max"), MaxPerPod: rapid.IntRange(0, 40).Draw(t, "per pod"),
		}
		l.state.Width = rapid.IntRange(-5, 200).Draw(t, "width")
		for range rapid.IntRange(1, 60).Draw(t, "ticks") {
			l.input.Pods = rapid.IntRange(0, 5).Draw(t, "pods")
			l.input.Demand.Slots = rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 100)).Draw(t, "need")
			l.input.Guard = zone(guard.Zone(rapid.IntRange(0, 3).Draw(t, "zone")), rapid.Float64().Draw(t, "factor"))
			w, _ := bounds(l.input)
			before := min(max(l.state.Width, w.Min), w.Max)
			jump := time.Duration(rapid.IntRange(-60, 600).Draw(t, "clock")) * time.Second
			l.now = l.now.Add(jump)
			l.run(1)
			r := l.last
			require.GreaterOrEqual(t, r.Width, 1)
			require.LessOrEqual(t, r.Width, w.Max)
			if r.Width < w.Min {
				require.Equal(t, max(l.input.Pods, 1)*w.MaxPerPod, r.Width, "only what the pods carry is less than min")
			}
			require.LessOrEqual(t, r.Width, max(before+before/4, before+1))
			if l.input.Guard.Zone != guard.Grow {
				require.LessOrEqual(t, r.Width, before)
			}
			require.Equal(t, l.input.Guard.Zone == guard.Stop, r.Paused)
			if !r.Paused {
				require.True(t, strings.HasPrefix(r.Reason, fmt.Sprint(r.Width)), r.Reason)
			}
		}
	})
}

// A server that answers by a curve of the width, with noise: the width finds its level and stays there. Every evening is
// two hours; the load of others changes a few times.
func TestTheWidthDoesNotSwing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		knee := rapid.Float64Range(5, 60).Draw(t, "knee")
		l := newLaw(rapid.Float64Range(1, 80).Draw(t, "need"))
		g := guard.PageTime("users", config.Defaults().Guard.PageTime)
		g.Base = guard.Baseline{Value: 1e-6, Samples: guard.Learned}
		noise := rapid.Custom(func(t *rapid.T) float64 { return rapid.Float64Range(0.97, 1.03).Draw(t, "n") })
		jitter := make([]float64, 32)
		for i := range jitter {
			jitter[i] = noise.Draw(t, "noise")
		}
		turns, dir, changes, live := 0, 0, rapid.IntRange(0, 3).Draw(t, "changes"), 0.0
		const ticks = 3600
		last := 1
		for i := range ticks {
			if changes > 0 && i%(ticks/(changes+1)) == 0 {
				live = knee * rapid.Float64Range(0, 0.8).Draw(t, "live")
			}
			slow := max(1, (live+float64(last))/knee)
			g.Quiet = last == 1
			g.Observe(1e-6*slow*jitter[i%len(jitter)], l.now)
			l.input.Guard = guard.Worst([]guard.Verdict{g.Judge(l.now)})
			w := l.run(1)[0]
			if d := w - last; d != 0 {
				if dir*d < 0 {
					turns++
				}
				dir = d
			}
			last = w
		}
		require.LessOrEqual(t, turns, 6+4*changes, "two hours, %d changes of load", changes)
	})
}

func TestAStopThatIsNotOurDoingKeepsTheWidth(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.run(30)
	l.input.Guard = zone(guard.Stop, 1)
	l.input.Guard.Keep = true
	require.Equal(t, []int{20, 20, 20}, l.run(3))
	require.True(t, l.last.Paused)
	l.input.Guard = green
	require.Equal(t, []int{20}, l.run(1))
	require.False(t, l.last.Paused)
	require.Equal(t, "20: so much is due", l.last.Reason, "nothing was learned about what the servers bear")

	l.input.Guard = guard.Verdict{Zone: guard.Stop, Factor: 1, Keep: true}
	l.run(1)
	l.input.Guard.Keep = false
	require.Equal(t, []int{1}, l.run(1), "and now it is too much as well")
	l.input.Guard.Keep = true
	require.Equal(t, []int{1}, l.run(1))
}

func TestACrowdTakesTheBlameForWhatWasFeltBeforeItWasSeen(t *testing.T) {
	t.Parallel()
	crowd := guard.Verdict{Zone: guard.Stop, Factor: 1, Keep: true}
	l := newLaw(20)
	l.run(30)
	was := l.state
	l.input.Guard = zone(guard.Shrink, 0.75)
	l.run(1)
	l.input.Guard = zone(guard.Shrink, 0.5)
	require.Less(t, l.run(1)[0], 12)
	l.input.Guard = crowd
	require.Equal(t, []int{20, 20}, l.run(2))
	require.True(t, l.last.Paused)
	l.input.Guard = green
	require.Equal(t, []int{20}, l.run(1), "it bears again what it bore")
	require.Equal(t, was.Limit, l.state.Limit)
	require.Equal(t, was.Knee, l.state.Knee)
	require.Equal(t, was.Failures, l.state.Failures)

	l.run(int(settle/Tick) + 1)
	l.input.Guard = zone(guard.Shrink, 0.5)
	l.run(1)
	l.input.Guard = green
	l.run(int(settle/Tick) + 1)
	shrunk := l.state.Width
	l.input.Guard = crowd
	require.Equal(t, []int{shrunk}, l.run(1), "that was long before")
	require.Positive(t, l.state.Limit)
	l.input.Guard = green
	l.run(1)
	require.Equal(t, shrunk, l.state.Limit, "and stays to blame when the crowd has gone")
}

func TestTheWakeOfACrowdIsNotBlamedOnTheWidth(t *testing.T) {
	t.Parallel()
	l := newLaw(20)
	l.run(30)
	was := l.state
	l.input.Guard = guard.Verdict{Zone: guard.Stop, Factor: 1, Keep: true}
	l.run(5)
	l.input.Guard = zone(guard.Shrink, 0.5)
	require.Equal(t, []int{10}, l.run(1), "it is cut all the same")
	l.input.Guard = zone(guard.Shrink, 0.2)
	require.Equal(t, []int{2}, l.run(1))
	l.input.Guard = green
	require.Equal(t, []int{3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 20}, l.run(11), "and grows again as it grew")
	require.Equal(t, was.Limit, l.state.Limit)
	require.Equal(t, was.Knee, l.state.Knee)

	l.input.Guard = zone(guard.Shrink, 0.5)
	l.run(1)
	l.input.Guard = green
	require.Equal(t, []int{10, 10, 10}, l.run(3), "that one is its own")
}

func TestAWidthThatIsKeptThroughACrowdStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	in := Input{Now: noon, Pods: 2, Bounds: config.Width{Min: 2, Max: 40, MaxPerPod: 16}, Guard: guard.Verdict{Zone: guard.Stop, Keep: true}}
	s := State{Width: 8, Shrunk: noon.Add(-time.Second), Before: Blame{Width: 30}}
	_, r := Next(s, in)
	require.Equal(t, 30, r.Width, "the crowd is to blame, and the width comes back")
	in.Pods = 1
	_, r = Next(s, in)
	require.Equal(t, 16, r.Width, "of the pods that are left")
	in.Override = &Override{Max: 6, Until: noon.Add(time.Minute)}
	_, r = Next(s, in)
	require.Equal(t, 6, r.Width)
	require.True(t, r.Paused)
}
