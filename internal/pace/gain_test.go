package pace

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// field is pods whose slots bring rows up to a number of them, while need asks for more.
type field struct {
	*law
	useful int     // slots that bring something
	noise  float64 // of what is done in a tick
	speed  float64 // of one slot
	rand   *rand.Rand
	trials int
	ended  int // of these, not broken off
	below  int // ticks with fewer slots than are useful
	widths map[int]int
}

// count is how many decisions it takes to know what slots do.
const count = int((gainSettle + gainSpan) / Tick)

// more is a width that a trial grows to.
func more(than int) int { return than + max((2*than+1)/3, 1) }

func newField(useful int) *field {
	f := &field{law: newLaw(40), useful: useful, speed: 1e6, rand: rand.New(rand.NewPCG(1, 2)), widths: map[int]int{}} //nolint:gosec // a test's noise
	f.input.Near, f.input.For = true, Tick
	return f
}

// full are pods with 40 slots, to which they have grown before they were busy.
func full(useful int) *field {
	f := newField(useful)
	f.input.Near = false
	f.run(20)
	f.input.Near = true
	return f
}

func (f *field) run(ticks int) {
	for range ticks {
		f.input.Done = f.speed * float64(min(max(f.state.Width, 1), f.useful)) * Tick.Seconds() * (1 + f.noise*(2*f.rand.Float64()-1))
		was, before := f.state.Gain.Trying, f.state.Gain
		f.law.run(1)
		if f.state.Gain.ended(before) {
			f.ended++
		}
		if f.state.Gain.Trying > 0 && was == 0 {
			f.trials++
		}
		if f.last.Width < f.useful {
			f.below++
		}
		f.widths[f.last.Width]++
	}
}

// while runs as long as something holds.
func (f *field) while(t *testing.T, holds func() bool) {
	t.Helper()
	for tick := 0; holds(); tick++ {
		require.Less(t, tick, 1800, "an hour: %s", f.last.Reason)
		f.run(1)
	}
}

func TestSlotsThatBringNothingAreTakenBack(t *testing.T) {
	t.Parallel()
	for _, useful := range []int{1, 2, 3, 5, 12, 30} {
		f := full(useful)
		require.Equal(t, 40, f.last.Width)
		f.noise = 0.1
		f.run(150) // five minutes: four trials a minute
		f.widths, f.below = map[int]int{}, 0
		f.run(900)
		near := 0
		for w, n := range f.widths {
			if w >= useful && w <= useful+useful/2+1 {
				near += n
			}
		}
		require.Greater(t, near, 500, "%d are useful, and the widths were %v", useful, f.widths)
		require.Less(t, f.below, 120, "%d are useful, and the widths were %v", useful, f.widths)
	}
}

func TestGrowthOnFullPodsEndsAtWhatIsUseful(t *testing.T) {
	t.Parallel()
	for _, useful := range []int{1, 2, 3, 5, 12, 30} {
		enough := 1
		for enough < useful {
			enough = min(more(enough), 40)
		}
		for seed := range uint64(20) {
			f := newField(useful)
			f.noise, f.rand = 0.1, rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's noise
			above, ends := 0, 0
			for tick := range 600 {
				if f.run(1); f.last.Width <= more(enough) {
					above = 0
				} else {
					above++
				}
				require.LessOrEqual(t, above, count, "%d are useful, and after %d ticks %s", useful, tick, f.last.Reason)
				if w := f.last.Width; tick >= 9*count && w >= useful && w <= more(enough) {
					ends++
				}
			}
			require.Greater(t, ends, (600-9*count)*8/10, "%d are useful, and the widths were %v", useful, f.widths)
		}
	}
}

func TestGrowthThatBringsRowsGoesOn(t *testing.T) {
	t.Parallel()
	f := newField(1000)
	for _, w := range []int{1, 2, 3, 5, 8, 13, 22, 37, 40} {
		f.widths = map[int]int{}
		f.run(count)
		require.Equal(t, map[int]int{w: count}, f.widths)
	}
	f = newField(1000)
	f.input.Spent = 2
	f.run(count + 1)
	require.InDelta(t, 1e-6, f.state.Gain.Cost, 1e-9, "2 s for 2 MB, at each of the decisions")
	f = newField(1000)
	f.noise = 0.1
	f.run(60)
	require.Equal(t, 40, f.last.Width, "two minutes")
	require.Zero(t, f.state.Gain.Enough)

	f = newField(1000)
	f.input.Near = false
	f.run(7) // the first of them tells whether the pods are busy
	f.input.Near = true
	f.run(count + 1)
	require.Equal(t, "4 for a moment, to see whether they do almost as much as 7: the pods are busy", f.last.Reason, "nobody knows")
	f.run(count)
	require.Equal(t, 7, f.last.Width)
	f.run(1)
	require.Equal(t, "12 for a moment, to see whether they do more than 7, 40 wanted (so much is due): the pods are busy", f.last.Reason, "it is known what 7 do")
}

func TestMoreThatBringNothingAreTakenBackWhateverTheGuardSays(t *testing.T) {
	t.Parallel()
	for _, z := range []guard.Zone{guard.Grow, guard.Hold} {
		f := newField(5)
		f.while(t, func() bool { return f.state.Gain.Trying != 8 })
		f.input.Guard = zone(z, 1)
		f.run(count - 1)
		require.Equal(t, "8 for a moment, to see whether they do more than 5, 40 wanted (so much is due): the pods are busy", f.last.Reason)
		f.run(1)
		require.Equal(t, "5, 40 wanted (so much is due): 8 did 1.00 times what 5 did, which was not worth it", f.last.Reason)
		f.widths = map[int]int{}
		f.run(int(gainAgain/Tick) - 1)
		require.Zero(t, f.widths[8], "for a minute")
		f.input.Guard = green
		f.run(count + 2)
		require.Equal(t, 8, f.last.Width)
	}
}

func TestATrialOfMoreThatIsBrokenOffGivesItsSlotsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		happens func(*field)
		width   int
	}{
		"shrink":     {func(f *field) { f.input.Guard = zone(guard.Shrink, 0.9) }, 5},
		"far shrink": {func(f *field) { f.input.Guard = zone(guard.Shrink, 0.5) }, 4},
		"stop":       {func(f *field) { f.input.Guard = guard.Verdict{Zone: guard.Stop, Keep: true} }, 5},
		"silence":    {func(f *field) { f.input.For = Silence + 1 }, 5},
		"need":       {func(f *field) { f.input.Demand.Slots = 5 }, 5},
		"bounds":     {func(f *field) { f.input.Bounds.Max = 7 }, 5},
		"per pod":    {func(f *field) { f.input.Bounds.MaxPerPod = 3 }, 6},
		"pods":       {func(f *field) { f.input.Pods = 3 }, 8}, // others carry it now
	} {
		f := newField(40)
		f.while(t, func() bool { return f.state.Gain.Trying != 8 })
		f.run(2)
		c.happens(f)
		before := f.state.Gain
		f.law.run(1)
		require.False(t, f.state.Gain.ended(before), name)
		require.Equal(t, c.width, f.last.Width, name)
		f.law.run(1)
		require.LessOrEqual(t, f.last.Width, max(c.width, 5), name)
		require.Zero(t, f.state.Gain.Trying, name)
		require.Zero(t, f.state.Gain.Enough, name)
		require.Equal(t, 3, f.ended, name) // 2, 3 and 5 slots
	}
	f := newField(40)
	f.while(t, func() bool { return f.state.Gain.Trying != 8 })
	f.input.Demand.Slots = 6
	f.run(count - 1)
	require.Equal(t, 8, f.state.Gain.Trying, "a need that wavers breaks nothing off")
}

// While shops are planned two slots do twice as much here, and afterwards no more than one.
func TestWhatIsDoneWhileShopsArePlannedDoesNotCount(t *testing.T) {
	t.Parallel()
	f := newField(2)
	f.input.Planning = true
	f.run(20)
	require.Equal(t, map[int]int{1: 20}, f.widths)
	require.Equal(t, "1 for now, 40 wanted (so much is due): the pods are busy, and what 1 do is counted before more are tried, when no shops are planned", f.last.Reason)
	f.input.Planning, f.useful = false, 1
	f.while(t, func() bool { return f.state.Gain.Trying != 2 })
	f.run(2)
	f.input.Planning, f.useful = true, 2
	f.run(20)
	require.Equal(t, 2, f.state.Gain.Trying, "it is not known yet")
	f.input.Planning, f.useful = false, 1
	f.while(t, func() bool { return f.state.Gain.Trying == 2 })
	require.Equal(t, 1, f.last.Width)
	require.Equal(t, 1, f.state.Gain.Enough)

	f = newField(40)
	f.run(count - 1)
	f.input.Planning = true
	f.run(3)
	require.Equal(t, 1, f.last.Width, "no trial begins")

	f = newField(40)
	for range 4 * count { // now and then
		f.run(1)
		f.input.Planning = !f.input.Planning
	}
	require.GreaterOrEqual(t, f.last.Width, 3)

	f = newField(40)
	f.input.Planning = true
	f.run(int(gainPlans/Tick) + 5*count)
	require.GreaterOrEqual(t, f.last.Width, 8, "after a minute they are a load like any other")
}

func TestWhatIsDoneBeforePodsAreBusyIsNoMeasure(t *testing.T) {
	t.Parallel()
	f := newField(1)
	f.input.Near, f.input.Demand.Slots, f.speed = false, 0, 0
	f.run(5 * count)
	require.Equal(t, 1, f.state.Gain.Base)
	f.input.Near, f.input.Demand.Slots, f.speed = true, 40, 1e6
	f.run(1)
	require.Equal(t, "1 for now, 40 wanted (so much is due): the pods are busy, and what 1 do is counted before more are tried", f.last.Reason)
	f.run(2 * count)
	require.Equal(t, 1, f.last.Width, "two have been tried")
	require.Equal(t, 2, f.state.Gain.Most)
	require.InDelta(t, 1, f.state.Gain.Tried, 1e-9)

	f = newField(1)
	for tick := range 3 * count { // busy now and then
		f.input.Near = tick%int(gainSpan/Tick) == 0
		f.run(1)
	}
	require.Equal(t, 2, f.state.Gain.Most, "what is counted is not counted anew each time")
}

func TestBeforeAnythingIsDoneTheWidthWaitsForIt(t *testing.T) {
	t.Parallel()
	const waits = "1 for now, 40 wanted (so much is due): the work has only begun, and whether it makes the pods busy is not known yet"
	for name, c := range map[string]struct {
		done  []float64 // a decision
		near  int       // the first with busy pods
		waits int       // decisions
		then  string
	}{
		"at once":           {[]float64{1, 1, 1}, 9, 1, "2, growing to 40: so much is due"},
		"after a while":     {[]float64{0, 1, 1}, 9, 2, "2, growing to 40: so much is due"},
		"rows are not told": {[]float64{0, 0, 0, 0}, 9, 3, "2, growing to 40: so much is due"},
		"and busy":          {[]float64{0, 0.1, 1}, 2, 2, "1 for now, 40 wanted (so much is due): the pods are busy, and what 1 do is counted before more are tried"},
		"and busy at once":  {[]float64{0, 1}, 1, 1, "1 for now, 40 wanted (so much is due): the pods are busy, and what 1 do is counted before more are tried"},
	} {
		l := newLaw(0)
		l.input.For = Tick
		l.run(60) // nothing to do
		l.input.Demand.Slots = 40
		for n := range c.waits {
			l.input.Done, l.input.Near = c.done[n], n >= c.near
			l.run(1)
			require.Equal(t, waits, l.last.Reason, name)
		}
		l.input.Done, l.input.Near = c.done[c.waits], c.waits >= c.near
		l.run(1)
		require.Equal(t, c.then, l.last.Reason, name)
	}
	l := newLaw(20)
	l.input.For, l.input.Done = Tick, 1
	l.run(20)
	l.input.Demand.Slots = 40
	l.run(1)
	require.Equal(t, 25, l.last.Width, "the need grows in the middle of work")

	l = newLaw(0)
	l.input.For = Tick
	l.run(10)
	l.input.Demand.Slots = 40
	l.run(1)
	l.now = l.now.Add(-time.Hour) // the clock is put back
	l.run(4)
	require.Equal(t, 2, l.last.Width)
}

// Slots of which each waits for plans leave the pods room for a while, which is over with the plans.
func TestPodsThatWereBusyBeforeShopsWerePlannedAreAskedStill(t *testing.T) {
	t.Parallel()
	f := newField(1)
	f.input.Planning = true
	f.run(5)
	f.input.Near = false
	f.run(20)
	f.input.Planning = false
	f.run(int(gainSpan/Tick) - 1)
	require.Equal(t, map[int]int{1: 25 + int(gainSpan/Tick) - 1}, f.widths, "they may be busy again")
	f.run(1)
	require.Equal(t, "2, growing to 40: so much is due", f.last.Reason)

	f = newField(1)
	f.input.Planning = true
	f.run(5)
	f.input.Near = false
	f.run(int((gainPlans+gainSpan)/Tick) - 6)
	require.Equal(t, 1, f.last.Width)
	f.run(1)
	require.Equal(t, "2, growing to 40: so much is due", f.last.Reason, "after a minute they are a load like any other")

	f = newField(1)
	f.input.Near, f.input.Planning = false, true
	f.run(2)
	require.Equal(t, "2, growing to 40: so much is due", f.last.Reason, "they have never been busy")
}

func TestWhereThereIsRoomGrowthDoesNotAsk(t *testing.T) {
	t.Parallel()
	f := newField(1000)
	f.while(t, func() bool { return f.state.Gain.Trying != 5 })
	f.input.Near = false
	f.run(int(gainSpan/Tick) - 1)
	require.Equal(t, 5, f.state.Gain.Trying, "they may be busy again")
	f.run(1)
	require.Equal(t, "6, growing to 40: so much is due", f.last.Reason)
	f.run(20)
	require.Equal(t, 40, f.last.Width)

	f = newField(5)
	f.while(t, func() bool { return f.state.Gain.Enough == 0 })
	f.input.Near = false // as 5 leave them room
	f.while(t, func() bool { return f.state.Gain.Trying == 0 })
	require.Equal(t, "8 for a moment, to see whether they do more than 5, 40 wanted (so much is due): 8 did 1.00 times what 5 did, which was not worth it", f.last.Reason)
	f.run(count)
	require.Equal(t, 5, f.last.Width)
	f.useful = 40
	f.while(t, func() bool { return f.state.Gain.Trying == 0 })
	f.run(count)
	require.Equal(t, 10, f.last.Width, "8 and then a quarter")
}

func TestWhatSlotsDidBeforeTheWidthWasAnotherIsCountedAnew(t *testing.T) {
	t.Parallel()
	f := newField(1000)
	f.input.Demand.Slots = 5
	f.run(5 * count)
	require.Equal(t, 5, f.state.Gain.Base)
	f.input.Near, f.input.Demand.Slots = false, 3
	f.while(t, func() bool { return f.last.Width > 3 })
	f.input.Demand.Slots = 40
	f.run(2)
	f.input.Near = true
	f.run(1)
	require.Equal(t, "5 for now, 40 wanted (so much is due): the pods are busy, and what 5 do is counted before more are tried", f.last.Reason)
}

func TestSlotsThatBringAlmostNothingAreNotWorthWhatLiveReadsFeelOfThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		did, took float64
		width     int
		reason    string
	}{
		{1.02, 0, 1, "1, 40 wanted (so much is due): 2 did 1.02 times what 1 did, which was not worth it"},
		{1.12, 1, 1, "1, 40 wanted (so much is due): 2 did 1.12 times what 1 did and a row took the servers 1.00 times as long, which was not worth it"},
		{1.18, 1, 2, ""},
		{1.18, 0, 2, ""},
		{1.25, 1.4, 1, "1, 40 wanted (so much is due): 2 did 1.25 times what 1 did and a row took the servers 1.40 times as long, which was not worth it"},
		{1.38, 1.4, 2, ""},
		{1.6, 1.4, 2, ""},
		{1.6, 2.5, 1, "1, 40 wanted (so much is due): 2 did 1.60 times what 1 did and a row took the servers 2.50 times as long, which was not worth it"},
	} {
		for _, from := range []int{1, 2} {
			f := newField(40)
			f.state.Width, f.input.Bounds.Max = from, 2
			for range 4 * count {
				f.input.Done, f.input.Spent = 1e6, min(c.took, 1)
				if f.state.Width > 1 {
					f.input.Done, f.input.Spent = c.did*1e6, c.did*c.took
				}
				f.law.run(1)
			}
			require.Equal(t, c.width, f.last.Width, "%+v, and it began with %d", c, from)
			if c.reason != "" {
				require.Equal(t, c.reason, f.last.Reason)
			}
		}
	}
}

// A second slot seemed to do 1.25 times of what one did as the machine was slow while one was counted; in the other case it really does.
func TestSlotsThatDoHardlyEnoughAreTriedWithoutAtOnce(t *testing.T) {
	t.Parallel()
	for again, width := range map[float64]int{1: 2, 1.2: 1} {
		f := newField(40)
		f.input.Bounds.Max = 2
		run := func(ticks int, rate float64) {
			f.input.Done = rate
			f.law.run(ticks)
		}
		run(count, 1e6)
		run(1, 1.25e6)
		require.Equal(t, "2 for a moment, to see whether they do more than 1, 40 wanted (so much is due): the pods are busy", f.last.Reason)
		run(count-1, 1.25e6)
		require.Equal(t, 2, f.last.Width)
		run(1, 1.25e6)
		require.Equal(t, "1 for a moment, to see whether they do almost as much as 2: the pods are busy", f.last.Reason)
		run(count, again*1e6)
		require.Equal(t, width, f.last.Width)
		f.widths = map[int]int{}
		f.speed = 1e6
		f.useful = width
		f.run(int(gainAgain/Tick) - 1)
		require.Equal(t, map[int]int{width: int(gainAgain/Tick) - 1}, f.widths, "for a minute")
	}
	f := newField(40)
	f.input.Bounds.Max = 2
	f.run(4 * count)
	require.Equal(t, 1, f.trials, "two that do twice as much are not in doubt")
}

func TestWhatMoreSlotsHaveToBring(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		some, more        int
		took, worth, sure float64
	}{
		{1, 2, 1, 1.15, 1.3},
		{2, 3, 1, 1.15, 1.3},
		{24, 40, 1, 1.15, 1.3},
		{5, 6, 1, 1.1, 1.2},
		{10, 11, 1, 1.05, 1.1},
		{37, 40, 1, 1.0405, 1.0811},
		{0, 1, 1, 1, 1},
		{1, 2, 0, 1.15, 1.3}, // not known
		{1, 2, 0.7, 1.15, 1.3},
		{1, 2, 1.4, 1.35, 1.5},
		{10, 11, 3, 2.05, 2.1},
	} {
		require.InDelta(t, c.worth, worth(c.some, c.more, c.took, 1), 1e-4, "%+v", c)
		require.InDelta(t, c.sure, worth(c.some, c.more, c.took, gainSure), 1e-4, "%+v", c)
	}
}

func TestTrialsThatFollowUponEachOtherDoNotLoseALittleEach(t *testing.T) {
	t.Parallel()
	for power, want := range map[float64]string{
		0.15: "24, 40 wanted (so much is due): 40 did 1.08 times what 24 did, which was not worth it", // and 1.17 times what 14 do
		0.1:  "14, 40 wanted (so much is due): 40 did 1.11 times what 14 did, which was not worth it", // and 1.17 times what 8 do
	} {
		f := full(1000)
		for tick := 0; f.state.Gain.Enough == 0 || f.state.Gain.Trying > 0; tick++ {
			require.Less(t, tick, 1800, "an hour")
			f.input.Done = 1e6 * math.Pow(float64(f.state.Width), power)
			f.law.run(1)
		}
		require.Equal(t, want, f.last.Reason)
	}
}

func TestTrialsOnFullPodsGetRarer(t *testing.T) {
	t.Parallel()
	f := newField(3)
	f.run(1800) // an hour
	require.InDelta(t, 20, f.trials, 5, "of more at 1, 2 and each 4 minutes, of fewer at 1, 2, 4, 8 and each 16")
	require.Greater(t, f.widths[3], 1500, "%v", f.widths)
	f.useful = 5
	f.while(t, func() bool { return f.state.Gain.Enough != 5 })
	require.Equal(t, gainAgain, f.state.Gain.Until.Sub(f.input.Now), "what was known is over")

	f = newField(1)
	f.run(1800)
	require.InDelta(t, 15, f.trials, 2, "of more")
}

func TestWhatIsEnoughStaysSoWhenFewerWereNeededMeanwhile(t *testing.T) {
	t.Parallel()
	for _, busy := range []string{"never", "for a moment", "always"} {
		f := newField(13)
		f.while(t, func() bool { return f.state.Gain.Until.Sub(f.now) < gainStands-Tick })
		require.Equal(t, 13, f.state.Gain.Enough)
		f.input.Demand.Slots, f.input.Near = 4, busy != "never"
		f.while(t, func() bool { return f.last.Width > 4 })
		f.run(count)
		f.input.Demand.Slots = 40
		f.run(2)
		if busy == "never" {
			require.Equal(t, "6, growing to 13: so much is due", f.last.Reason)
		} else {
			require.Equal(t, "7 for a moment, to see whether they do more than 4, 40 wanted (so much is due): the pods are busy", f.last.Reason)
		}
		if busy == "for a moment" {
			f.input.Near = false
			f.run(5)
			require.Equal(t, "8, growing to 13: so much is due", f.last.Reason)
		}
		f.run(3 * count)
		require.Equal(t, "13, 40 wanted (so much is due): 22 did 1.00 times what 13 did, which was not worth it", f.last.Reason)
	}

	f := newField(13)
	f.input.Near, f.state.Width = false, 5
	f.state.Gain = Gain{Enough: 5, Most: 8, Until: f.now.Add(time.Minute), Trying: 5, Base: 3, Rate: 3e6, Pods: 2, Width: 5}
	f.run(1)
	require.Zero(t, f.state.Gain.Trying, "there is room, and 5 are known to bring something")
}

func TestWhatAnOlderLeaderHasPublishedDoesNoHarm(t *testing.T) {
	t.Parallel()
	for _, gain := range []string{
		`{"trying":24,"above":40,"rate":1e6,"pods":2,"width":24}`, `{"enough":24,"most":24,"raised":true,"pods":2,"width":24}`, `{"pods":2,"width":24,"rate":1e6}`,
	} {
		f := newField(1000)
		f.state.Width = 24
		require.NoError(t, json.Unmarshal([]byte(gain), &f.state.Gain))
		f.run(1)
		require.Equal(t, 24, f.last.Width, gain)
		f.run(6 * count)
		require.Equal(t, 40, f.last.Width, gain)
	}
}

func TestSlotsThatBringRowsStay(t *testing.T) {
	t.Parallel()
	f := newField(1000)
	f.noise = 0.1
	f.run(60)
	f.widths, f.trials = map[int]int{}, 0
	f.run(1800) // an hour
	require.LessOrEqual(t, f.trials, 8, "after 1, 2, 4, 8 minutes and each 16")
	require.Greater(t, f.widths[40], 1700, "%v", f.widths)
}

func TestATrialIsOverWhenTheServersSayNoOrPeopleOrFewerAreNeeded(t *testing.T) {
	t.Parallel()
	trying := func() *field {
		f := full(3)
		f.while(t, func() bool { return f.state.Gain.Trying == 0 })
		return f
	}
	f := trying()
	require.Equal(t, "24 for a moment, to see whether they do almost as much as 40: the pods are busy", f.last.Reason)
	require.False(t, f.last.Bound)
	f.input.Guard = zone(guard.Shrink, 0.5)
	f.run(1)
	require.Equal(t, 12, f.last.Width)
	require.Zero(t, f.state.Gain.Trying)

	f = newField(3)
	f.state.Width = 2
	f.while(t, func() bool { return f.state.Gain.Trying == 0 })
	require.Equal(t, 1, f.last.Width)
	f.input.Guard = zone(guard.Shrink, 0.5)
	f.run(1)
	require.Zero(t, f.state.Gain.Trying, "though there is nothing to cut")

	f = trying()
	f.input.Busy = "pods_busy 9 >= 8"
	f.run(2)
	require.Equal(t, "24 for a moment, to see whether they do almost as much as 40: the pods are busy", f.last.Reason)

	f = trying()
	f.useful = 1 // they do less
	for f.state.Gain.Trying > 0 {
		f.input.Guard = guard.Verdict{Zone: guard.Hold, Factor: 1, Blind: true, Reason: "canary was not read yet"}
		f.run(1)
	}
	require.Equal(t, 24, f.last.Width, "nothing grows on what is not known")

	f = trying()
	f.input.For = Silence + 1
	f.run(1)
	require.Zero(t, f.state.Gain.Trying, "the leader was frozen: what was done tells nothing")

	f = trying()
	f.input.Override = &Override{Pin: 33, Until: f.now.Add(time.Hour), Who: "ann", Why: "because"}
	f.run(1)
	require.Equal(t, 30, f.last.Width, "on its way")

	f = trying()
	f.input.Demand.Slots = 20
	f.run(1)
	require.Zero(t, f.state.Gain.Trying)
	require.Equal(t, 24, f.last.Width, "a need that falls is followed slowly")

	f = trying()
	f.input.Pods++
	f.run(1)
	require.Equal(t, Gain{Pods: f.input.Pods, Near: f.input.Now, Wants: f.input.Now, Does: f.input.Now, Width: 24, Since: f.input.Now}, f.state.Gain)
}

func TestMorePodsMayCarryMore(t *testing.T) {
	t.Parallel()
	f := newField(2)
	f.run(100)
	require.Equal(t, 2, f.state.Gain.Enough)
	require.Equal(t, "2, 40 wanted (so much is due): 3 did 1.00 times what 2 did, which was not worth it", f.last.Reason)
	require.Equal(t, BindsPods, f.last.Binds)
	_, wanted := PodsWanted(f.state, f.input, f.last)
	require.Equal(t, 4, wanted)
	require.Equal(t, 2, Known(f.now, wide, 2, f.state, f.last).Ceiling, "and planning counts on no more")
	f.while(t, func() bool { return f.state.Gain.Trying <= 2 })
	require.Equal(t, "3 for a moment, to see whether they do more than 2, 40 wanted (so much is due): the pods are busy", f.last.Reason)
	require.Equal(t, 2, Known(f.now, wide, 2, f.state, f.last).Ceiling, "and does not yet")
	f.input.Pods, f.useful = 4, 40
	f.run(60)
	require.Equal(t, 40, f.last.Width)
}

func TestWhatIsEnoughIsNotLessThanAMinimumThatIsNew(t *testing.T) {
	t.Parallel()
	f := newField(2)
	f.run(100)
	require.Equal(t, 2, f.state.Gain.Enough)
	f.input.Bounds.Min = 4
	f.run(2)
	require.Equal(t, 4, f.last.Width)
	require.Equal(t, "4 for now, 40 wanted (so much is due): the pods are busy, and what 4 do is counted before more are tried", f.last.Reason)
	f.run(2 * count)
	require.Equal(t, "4, 40 wanted (so much is due): 7 did 1.00 times what 4 did, which was not worth it", f.last.Reason)

	for _, f := range []*field{newField(2), full(2)} { // more than 2, fewer than 5
		f.while(t, func() bool { return f.state.Gain.Trying != 3 })
		f.input.Bounds.Min = 4
		f.run(1)
		require.Zero(t, f.state.Gain.Trying)
		require.GreaterOrEqual(t, f.last.Width, 4)
	}
}

func TestNothingIsTriedWhereNothingIsKnownOrThereIsRoom(t *testing.T) {
	t.Parallel()
	f := newField(1)
	f.input.Near = false
	f.run(300)
	require.Equal(t, 40, f.last.Width)
	f.input.Near, f.input.For = true, 0
	f.law.run(300)
	require.Equal(t, 40, f.last.Width)
	f.input.For = Tick
	f.input.Bounds = config.Width{Min: 40, Max: 64, MaxPerPod: 32}
	f.run(300)
	require.Equal(t, 40, f.last.Width)
}
