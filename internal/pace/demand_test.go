package pace

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// exact has no margins, so that figures can be checked by hand.
var exact = Policy{Headroom: 1, Share: 1, Level: 1, Margin: 1, Soonest: time.Second, Ahead: time.Minute, Keep: 10 * time.Minute, Cushion: 1}

func in(d time.Duration) time.Time { return noon.Add(d) }

func work(run string, due time.Duration, seconds float64) Work {
	return Work{Run: run, Deadline: in(due), Seconds: seconds}
}

func TestNeedIsTheProcessorDemandBound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		works []Work
		slots float64
		run   string
	}{
		"nothing":                  {nil, 0, ""},
		"one":                      {[]Work{work("a", time.Hour, 7200)}, 2, "a"},
		"the later one binds":      {[]Work{work("a", time.Hour, 1800), work("b", 2*time.Hour, 3*7200-1800)}, 3, "b"},
		"the earlier one binds":    {[]Work{work("b", 10*time.Hour, 3600), work("a", time.Hour, 3*3600)}, 3, "a"},
		"they add up":              {[]Work{work("a", time.Hour, 3600), work("b", time.Hour, 3600)}, 2, "b"},
		"overdue, in a second":     {[]Work{work("a", -time.Hour, 5)}, 5, "a"},
		"done":                     {[]Work{work("a", time.Hour, 0)}, 0, ""},
		"no number":                {[]Work{work("a", time.Hour, math.NaN()), work("b", time.Hour, -1)}, 0, ""},
		"two units use two slots":  {[]Work{{Run: "a", Deadline: in(time.Hour), Seconds: 36_000, Units: 2}}, 2, "a"},
		"may not begin yet":        {[]Work{{Run: "a", Deadline: in(2 * time.Hour), Start: in(time.Hour), Seconds: 7200}}, 0, "a"},
		"begun before its start":   {[]Work{{Run: "a", Deadline: in(2 * time.Hour), Start: in(time.Hour), Seconds: 7200, Begun: true}}, 1, "a"},
		"makes room for the later": {[]Work{work("a", time.Hour, 1800), {Run: "b", Deadline: in(time.Hour), Start: in(30 * time.Minute), Seconds: 5400}}, 2, "b"},
	} {
		d := Need(noon, c.works, exact)
		require.InDelta(t, c.slots, d.Slots, 0.001, name)
		require.Equal(t, c.run, d.Run, name)
		require.NotEmpty(t, d.Reason, name)
	}
}

func TestNeedSaysWhy(t *testing.T) {
	t.Parallel()
	works := []Work{work("r1", time.Hour, 7200)}
	require.Equal(t, "2h0m0s of slot time are due by 13:00:00 (run r1), in 58m0s: 2.6 slots with a headroom of 1.25", Need(noon, works, Policy{}).Reason)
	works[0].Deadline = in(-time.Minute)
	require.Equal(t, "2h0m0s of slot time are overdue, run r1 since 11:59:00: 900.0 slots", Need(noon, works, Policy{}).Reason)
	works[0].Deadline, works[0].Earliest = in(5*time.Hour), in(2*time.Hour)
	d := Need(noon, works, Policy{})
	require.Equal(t, "nothing may begin before 14:00:00", d.Reason)
	require.Equal(t, in(2*time.Hour), d.Next)
	require.Equal(t, "nothing to do", Need(noon, nil, Policy{}).Reason)
}

func genWorks(t *rapid.T, most int) []Work {
	works := make([]Work, rapid.IntRange(0, most).Draw(t, "works"))
	for i := range works {
		due := time.Duration(rapid.IntRange(-600, 4*3600).Draw(t, "due")) * time.Second
		works[i] = Work{Run: fmt.Sprintf("r%03d", i), Deadline: in(due), Seconds: rapid.Float64Range(0, 5000).Draw(t, "seconds")}
		works[i].Cautious = works[i].Seconds * rapid.Float64Range(1, 1.5).Draw(t, "cautious")
		if rapid.Bool().Draw(t, "lead") {
			works[i].Earliest = in(due - time.Duration(rapid.IntRange(60, 3*3600).Draw(t, "earliest"))*time.Second)
		}
		if rapid.Bool().Draw(t, "cut") {
			works[i].Units = rapid.IntRange(1, 50).Draw(t, "units")
			works[i].Longest = works[i].Seconds / float64(works[i].Units)
		}
	}
	return works
}

// Against the formula as it stands in the books, in square time.
func TestNeedIsTheBoundForAnyWork(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genWorks(t, 12)
		for i := range works {
			works[i].Units, works[i].Earliest = 0, time.Time{}
		}
		want := 0.0
		for _, k := range works {
			sum := 0.0
			for _, w := range works {
				if !w.Deadline.After(k.Deadline) {
					sum += w.Seconds
				}
			}
			want = max(want, sum/max(k.Deadline.Sub(noon).Seconds(), 1))
		}
		require.InDelta(t, want, Need(noon, works, exact).Slots, 1e-6*(1+want))
	})
}

func TestMoreWorkNeverNeedsLess(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		works := genWorks(t, 12)
		more := append(genWorks(t, 3), works...)
		require.GreaterOrEqual(t, Need(noon, more, Policy{}).Bare+1e-9, Need(noon, works, Policy{}).Bare)
	})
}

func TestWeighCountsRowsByTheirCost(t *testing.T) {
	t.Parallel()
	dear := Rate{}
	for range 64 {
		dear = dear.Learn(Sample{Rows: 1000, Time: time.Second}, noon)
	}
	seconds, cautious := Weigh([]Part{{"dear", 5000}, {"new", 10_000}, {"new", -3}}, map[string]Rate{"dear": dear}, noon)
	require.InDelta(t, 5+1, seconds, 1e-9)
	require.Greater(t, cautious, seconds)
	require.EqualValues(t, 700, rowsLeft(1000, 300))
	require.EqualValues(t, 50, rowsLeft(1000, 5000), "one that has outrun its estimate is not done")
	require.EqualValues(t, 1, rowsLeft(0, 0))
}

func TestAFullEveningIsWorkedOffAhead(t *testing.T) {
	t.Parallel()
	works := []Work{work("a", 10*time.Hour, 8*9.9*3600)} // 8 slots until then
	d := Need(noon, works, Policy{Headroom: 1.25, Margin: 6 * time.Minute})
	require.InDelta(t, 8, d.Bare, 1e-9)
	for ceiling, slots := range map[float64]float64{
		0: 10, 64: 10, 8 / 0.21: 10, // nobody knows it; there is room; where it begins
		8 / 0.42: 8 / 0.42, 12: 12, 10: 10, // full: all of the ceiling
		8: 10, 2: 10, // it is needed whatever the ceiling is
		8 / 0.315: (0.2625 + 1) / 2 * 8 / 0.315, // half way
	} {
		on := d.On(ceiling, Policy{Headroom: 1.25})
		require.InDelta(t, slots, on.width(), 1e-6, "ceiling %g", ceiling)
		require.InDelta(t, 10, on.Slots, 1e-9, "what the deadlines ask for is the same")
	}
	require.Contains(t, d.On(12, Policy{}).Reason, "10.0 slots with a headroom of 1.25; 12.0 to keep room for late-comers below the 12 that are counted on")
	require.Equal(t, d, d.On(64, Policy{}), "an evening with room is as it was")
	moment := Need(noon, []Work{work("a", 3*time.Minute, 480)}, Policy{})
	require.InDelta(t, 8, moment.Bare, 1e-9)
	require.Equal(t, moment, moment.On(12, Policy{}), "what is urgent for a moment fills no evening")
}

func TestMoreToDoIsNeverFewerSlots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Headroom: rapid.Float64Range(1, 3).Draw(t, "headroom"), Share: rapid.Float64Range(0.01, 1).Draw(t, "share")}.Fill()
		ceiling := rapid.Float64Range(1, 100).Draw(t, "ceiling")
		long := rapid.Float64Range(0, 200).Draw(t, "long")
		slots := func(long float64) float64 { return max(long*p.Headroom, p.ahead(long, ceiling)) }
		require.LessOrEqual(t, p.ahead(long, ceiling), max(1, p.Headroom*p.Share*fullFrom)*ceiling*(1+1e-9), "not beyond the ceiling, but for what the headroom asks for")
		more := rapid.Float64Range(0, 0.01).Draw(t, "more")
		require.GreaterOrEqual(t, slots(long+more)+1e-9, slots(long))
		require.LessOrEqual(t, slots(long+more)-slots(long), more*p.Headroom+more/(p.Share*(fullTo-fullFrom))+1e-9, "no step")
	})
}
