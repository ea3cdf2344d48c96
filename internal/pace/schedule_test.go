package pace

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func startsOf(slots []Slot) []time.Duration {
	var all []time.Duration
	for _, s := range slots {
		all = append(all, s.Start.Sub(noon).Round(time.Second))
	}
	return all
}

func TestScheduleBeginsAsLateAsTheCrowdAllows(t *testing.T) {
	t.Parallel()
	h := time.Hour
	for name, c := range map[string]struct {
		works   []Work
		ceiling float64
		want    []time.Duration
	}{
		// The lowest level is 1 slot.
		"alone":              {[]Work{work("a", 2*h, 3600)}, 8, []time.Duration{h}},
		"one after another":  {[]Work{work("a", 2*h, 1800), work("b", 2*h, 1800)}, 8, []time.Duration{h, 90 * time.Minute}},
		"pushed to the fore": {[]Work{work("a", 2*h, 3600), work("b", 3*h, 7200)}, 8, []time.Duration{0, h}},
		"what does not fit begins as early as it may": {
			[]Work{{Run: "a", Deadline: in(2 * h), Earliest: in(h), Seconds: 36_000}}, 8, []time.Duration{h}},
		"overdue":         {[]Work{work("a", -h, 60)}, 8, []time.Duration{0}},
		"nothing left":    {[]Work{work("a", h, 0)}, 8, []time.Duration{h}},
		"one unit a slot": {[]Work{{Run: "a", Deadline: in(2 * h), Seconds: 3600, Units: 1}, work("b", time.Minute, 600)}, 200, []time.Duration{h, 6 * time.Second}},
		"the last unit":   {[]Work{{Run: "a", Deadline: in(2 * h), Seconds: 3600, Units: 4, Longest: 900}}, 8, []time.Duration{45 * time.Minute}},
	} {
		p := exact
		p.Keep = time.Nanosecond
		got := startsOf(Schedule(noon, c.works, c.ceiling, p))
		require.Len(t, got, len(c.want), name)
		for i := range got {
			require.InDelta(t, c.want[i].Seconds(), got[i].Seconds(), 2, "%s: %v", name, got)
		}
	}
}

func TestAStartThatIsGoodEnoughIsKept(t *testing.T) {
	t.Parallel()
	w := work("a", 3*time.Hour, 3600) // would begin at 14:00
	for start, kept := range map[time.Duration]bool{
		2*time.Hour - time.Second: true, 115 * time.Minute: true, 105 * time.Minute: false, 130 * time.Minute: false,
	} {
		w.Start = in(start)
		got := Schedule(noon, []Work{w}, 8, exact)[0]
		require.Equal(t, kept, !got.Moved, "%v", start)
		require.Equal(t, kept, got.Start.Equal(w.Start), "%v", start)
	}
	w.Start, w.Begun = in(-time.Hour), true
	require.False(t, Schedule(noon, []Work{w}, 8, exact)[0].Moved, "what has begun stays")
}

func TestAPlanThatMovesIsPutHalfWayAndStaysWhenCostsWaver(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genEvening(t)
		ceiling := rapid.Float64Range(20, 50).Draw(t, "ceiling")
		now, p := noon, exact
		p.Cushion = 30 * time.Minute // over which an evening is full, or is not
		for i, s := range Schedule(now, works, ceiling, p) {
			works[i].Start = s.Start
		}
		// What a row costs wavers by less than a minute of any run's time.
		moved := 0
		for range 5 {
			now = now.Add(10 * time.Second)
			for i := range works {
				works[i].Begun = !works[i].Start.After(now)
				works[i].Cautious = works[i].Seconds + rapid.Float64Range(0, 10).Draw(t, "more")
			}
			for i, s := range Schedule(now, works, ceiling, p) {
				if s.Moved {
					moved++
				}
				works[i].Start = s.Start
			}
		}
		require.LessOrEqual(t, moved, len(works), "a start moves once, if the level has made a step")
	})
}

func TestNoStartIsLaterThanTheCushionAllows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genEvening(t)
		p := Policy{Cushion: time.Duration(rapid.IntRange(1, 120).Draw(t, "cushion")) * time.Minute}
		for i, s := range Schedule(noon, works, rapid.Float64Range(1, 50).Draw(t, "ceiling"), p) {
			latest := later(later(works[i].Deadline.Add(-p.Cushion), works[i].Earliest), noon)
			require.False(t, s.Start.After(latest), "%s begins %s before its deadline", s.Run, works[i].Deadline.Sub(s.Start))
			require.False(t, s.Start.Before(works[i].Earliest))
		}
	})
}

// edf is the fluid schedule of the earliest deadline first at a fixed capacity, in steps; nobody finishes late, or how
// much was left at the worst deadline.
func edf(works []Work, capacity float64) (leftLate float64) {
	const dt = 5.0
	works = slices.Clone(works)
	slices.SortFunc(works, byDeadline)
	for t := 0.0; t < 5*3600; t += dt {
		budget := capacity * dt
		for i := range works {
			w := &works[i]
			if w.start(noon).Sub(noon).Seconds() > t {
				continue
			}
			used := min(w.Seconds, budget)
			w.Seconds -= used
			budget -= used
		}
		for i := range works {
			if works[i].Deadline.Sub(noon).Seconds() <= t+dt {
				leftLate = max(leftLate, works[i].Seconds)
			}
		}
	}
	return leftLate
}

func genEvening(t *rapid.T) []Work {
	works := make([]Work, rapid.IntRange(1, 25).Draw(t, "works"))
	for i := range works {
		due := time.Duration(rapid.IntRange(10, 240).Draw(t, "due")) * time.Minute
		works[i] = work(string(rune('a'+i)), due, rapid.Float64Range(1, 20_000).Draw(t, "seconds"))
		works[i].Earliest = in(max(due-time.Duration(rapid.IntRange(5, 180).Draw(t, "lead"))*time.Minute, 0))
	}
	return works
}

func TestPlannedStartsMeetEveryDeadlineThatCanBeMet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genEvening(t)
		p := exact
		p.Share = rapid.Float64Range(0.4, 1).Draw(t, "share")
		// The least capacity at which all can be met: the processor-demand bound over all intervals. A ceiling is 1 at least.
		least := 1.0
		for _, n := range needAll(noon, works, p) {
			least = max(least, n)
		}
		slots := Schedule(noon, works, least, p)
		early := slices.Clone(works)
		for i := range works {
			works[i].Start = slots[i].Start
			require.False(t, slots[i].Start.Before(works[i].Earliest), "nobody begins before he may")
		}
		// Steps and seconds that were cut cost a little.
		slack := 30 * least
		require.LessOrEqual(t, edf(early, least), slack, "the bound itself")
		require.LessOrEqual(t, edf(works, least), slack, "the plan")
	})
}

func TestThePlanIsLevelBelowTheShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genEvening(t)
		least := 0.0
		for _, n := range needAll(noon, works, exact) {
			least = max(least, n)
		}
		p := exact
		p.Share = 0.7
		ceiling := 1 + least/0.7*rapid.Float64Range(1.05, 5).Draw(t, "room")
		slots := Schedule(noon, works, ceiling, p)
		for i := range works {
			require.Less(t, slots[i].Short, 1e-3, "all fit")
			works[i].Earliest = slots[i].Start
		}
		// What begins after its start needs no more than the share, and no more than a step above the lowest level.
		for i, n := range needAll(noon, works, p) {
			due := works[i].Deadline.Sub(noon).Seconds()
			if due-works[i].Earliest.Sub(noon).Seconds() < 120 {
				continue // starts are whole seconds
			}
			require.LessOrEqual(t, n, 1.02*min(0.7*ceiling, max(levelStep*least, 1))+0.1)
		}
	})
}

func TestAPlanIsStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genEvening(t)
		ceiling := rapid.Float64Range(1, 50).Draw(t, "ceiling")
		for i, s := range Schedule(noon, works, ceiling, exact) {
			works[i].Start = s.Start
		}
		for _, s := range Schedule(noon, works, ceiling, exact) {
			require.False(t, s.Moved, "the same again moves nothing")
		}
		reversed := slices.Clone(works)
		slices.Reverse(reversed)
		again := Schedule(noon, reversed, ceiling, exact)
		slices.Reverse(again)
		require.Equal(t, Schedule(noon, works, ceiling, exact), again, "the order of the list does not matter")
	})
}

// 200 broadcasts spread over the evening, and one more.
func TestOneMoreBroadcastMovesFewStarts(t *testing.T) {
	t.Parallel()
	var works []Work
	for i := range 200 {
		due := time.Hour + time.Duration(i%10)*30*time.Minute
		works = append(works, Work{Run: string(rune('A'+i/26)) + string(rune('a'+i%26)), Deadline: in(due), Earliest: in(due - time.Hour),
			Seconds: 30 + float64(i*37%100)})
	}
	for i, s := range Schedule(noon, works, 40, Policy{}) {
		works[i].Start = s.Start
	}
	works = append(works, work("new", 3*time.Hour, 100))
	moved := 0
	for _, s := range Schedule(noon, works, 40, Policy{}) {
		if s.Moved {
			moved++
		}
	}
	require.LessOrEqual(t, moved, 20, "of 201, the new one counted")
	require.GreaterOrEqual(t, moved, 1)
}

func TestScheduleEndsForAnyInput(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genWorks(t, 20)
		works = append(works, Work{Run: "odd", Deadline: rapid.SampledFrom([]time.Time{{}, in(-1e6 * time.Hour), in(1e6 * time.Hour)}).Draw(t, "due"),
			Seconds: rapid.SampledFrom([]float64{1, 1e12, math.NaN(), math.Inf(1)}).Draw(t, "odd")})
		ceiling := rapid.SampledFrom([]float64{0, 1, 7, 1000}).Draw(t, "ceiling")
		for _, s := range Schedule(noon, works, ceiling, Policy{}) {
			require.False(t, s.Start.Before(noon) && s.Moved)
		}
		for _, v := range Judge(noon, works, Limits{Ceiling: int(ceiling)}, Policy{}) {
			require.NotEmpty(t, v.Reason)
			require.Contains(t, []string{Feasible, AtRisk, Infeasible}, v.State)
			require.Equal(t, v.State == Feasible, v.Remedy == "")
		}
	})
}

func TestAFullEveningBeginsAsEarlyAsItMay(t *testing.T) {
	t.Parallel()
	works := []Work{{Run: "a", Deadline: in(6 * time.Hour), Earliest: in(2 * time.Hour), Seconds: 4 * 3600, Units: 1000}} // an hour of each of 4 slots
	begins := func(ceiling float64) time.Duration {
		return startsOf(Schedule(noon, works, ceiling, Policy{Keep: 1, Margin: 1, Cushion: time.Minute, Level: 4}))[0]
	}
	last := 2 * time.Hour
	require.InDelta(t, last.Seconds(), begins(2).Seconds(), 5, "as early as it may")
	for ceiling := 2.0; ceiling < 10; ceiling += 0.05 {
		now := begins(ceiling)
		require.GreaterOrEqual(t, now, last-2*time.Second, "the more room there is, the later: ceiling %g", ceiling)
		require.LessOrEqual(t, now-last, 20*time.Minute, "no step: ceiling %g", ceiling)
		last = now
	}
	require.Greater(t, last, 3*time.Hour)
}
