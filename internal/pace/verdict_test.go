package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVerdictsSayHowLateAndWhatHelps(t *testing.T) {
	t.Parallel()
	h := time.Hour
	heavy := Work{Run: "a", Deadline: in(h), Seconds: 2 * 36_000, Cautious: 2 * 36_000, Units: 1000}
	for name, c := range map[string]struct {
		work   Work
		limits Limits
		state  string
		late   time.Duration // at least
		remedy string
	}{
		"in time":      {work("a", 3*h, 3600), Limits{Ceiling: 10}, Feasible, -2 * h, ""},
		"pods":         {heavy, Limits{Ceiling: 10, Max: 64, Pods: 1, PerPod: 10}, Infeasible, h, "1 more pods, or a broadcast that starts 1h"},
		"max":          {heavy, Limits{Ceiling: 10, Max: 10, Pods: 2, PerPod: 10}, Infeasible, h, "width.max 20, if the database bears it, or a broadcast that starts 1h"},
		"the database": {heavy, Limits{Ceiling: 10, Max: 64, Pods: 3, PerPod: 10}, Infeasible, h, "; 20 slots would do, but the servers bear 10"},
		"one unit":     {Work{Run: "a", Deadline: in(h), Seconds: 7200, Units: 1, Longest: 7200}, Limits{Ceiling: 10}, Infeasible, h, "more slots do not help"},
		"overdue":      {work("a", -h, 3600), Limits{Ceiling: 10, Max: 10}, Infeasible, h, "later"},
		"the spread":   {Work{Run: "a", Deadline: in(h), Seconds: 30_000, Cautious: 50_000, Units: 1000}, Limits{Ceiling: 10, Max: 10}, AtRisk, -h, "width.max 14"},
	} {
		v := Judge(noon, []Work{c.work}, c.limits, Policy{})[0]
		require.Equal(t, c.state, v.State, "%s: %+v", name, v)
		require.GreaterOrEqual(t, -v.Margin, c.late, name)
		require.Equal(t, c.work.Deadline.Sub(v.Finish), v.Margin, name)
		require.Contains(t, v.Remedy, c.remedy, name)
		require.False(t, v.Finish95.Before(v.Finish), name)
	}
}

func TestTheLatenessOfAnEveningThatCannotBeMet(t *testing.T) {
	t.Parallel()
	// Each hour of ten slots is asked for twice.
	var works []Work
	for i := range 4 {
		works = append(works, Work{Run: fmt.Sprint(i), Deadline: in(time.Duration(i+1) * time.Hour), Seconds: 72_000, Cautious: 72_000})
	}
	for i, v := range Judge(noon, works, Limits{Ceiling: 10, Max: 10}, Policy{}) {
		require.Equal(t, Infeasible, v.State)
		require.InDelta(t, (time.Duration(i+1) * time.Hour).Seconds(), -v.Margin.Seconds(), 5, "run %d: the earliest deadline goes first", i)
	}
}

// What the least urgent work gives way to: an urgent one that comes late makes the last one late and no other.
func TestTheLeastUrgentGivesWay(t *testing.T) {
	t.Parallel()
	works := []Work{work("a", time.Hour, 9000), work("b", 2*time.Hour, 34_000), work("c", 3*time.Hour, 34_000)}
	limits := Limits{Ceiling: 10, Max: 10}
	states := func() (all []string) {
		for _, v := range Judge(noon, works, limits, Policy{Share: 1}) {
			all = append(all, v.State)
		}
		return all
	}
	require.Equal(t, []string{Feasible, Feasible, Feasible}, states())
	works = append(works, work("late-comer", time.Hour, 26_000))
	works[2].Seconds = 42_000
	got := states()
	require.Equal(t, Infeasible, got[2])
	require.Equal(t, []string{Feasible, Feasible}, []string{got[0], got[3]})
	require.NotEqual(t, Infeasible, got[1])
}

func TestFiveHundredBroadcastsAreJudgedAtOnce(t *testing.T) {
	t.Parallel()
	var works []Work
	for i := range 500 {
		due := time.Hour + time.Duration(i%12)*30*time.Minute
		works = append(works, Work{Run: fmt.Sprint(i), Deadline: in(due), Earliest: in(due - 3*time.Hour), Seconds: float64(i), Units: 1 + i/10})
	}
	began := time.Now()
	verdicts := Judge(noon, works, Limits{Ceiling: 20}, Policy{})
	require.Less(t, time.Since(began), 2*time.Second)
	require.Len(t, verdicts, 500)
}

// A list that is judged at noon is not all that will come.
func TestWhatIsCertainLeavesRoomForLateComers(t *testing.T) {
	t.Parallel()
	limits := Limits{Ceiling: 10, Max: 10}
	for seconds, want := range map[float64]string{20_000: Feasible, 30_000: AtRisk, 40_000: Infeasible} {
		v := Judge(noon, []Work{work("a", time.Hour, seconds)}, limits, Policy{})[0]
		require.Equal(t, want, v.State, "%v of 36,000 slot seconds: %s", seconds, v.Reason)
	}
	v := Judge(noon, []Work{work("a", time.Hour, 30_000)}, limits, Policy{Share: 1})[0]
	require.Equal(t, Feasible, v.State)
}
