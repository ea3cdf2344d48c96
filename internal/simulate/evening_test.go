package simulate

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// shops is enough for a crowd; tests run under the race detector.
const shops = 60

func late(e Evening) (n int, most time.Duration) {
	for _, o := range e.Outcomes {
		if o.Late > lateEnough {
			n++
			most = max(most, o.Late)
		}
	}
	return n, most
}

func TestEveryEveningThatCanBeMetIsMet(t *testing.T) {
	t.Parallel()
	var sum Summary
	for seed := range uint64(4) {
		for _, load := range []float64{0.2, 0.6, 0.95} {
			for _, calm := range []bool{true, false} {
				s := Generate(seed, Shape{Shops: shops, Load: load, Calm: calm})
				feasible := s.Feasible()
				e := Play(s)
				n, most := late(e)
				if feasible {
					require.Zero(t, n, "seed %d load %v calm %v: late by %s", seed, load, calm, most)
				}
				require.LessOrEqual(t, e.Reversals, e.Changes+TurnBound, "seed %d load %v calm %v", seed, load, calm)
				sum.Add(e, feasible)
			}
		}
	}
	require.Equal(t, 24, sum.Evenings)
	require.GreaterOrEqual(t, sum.Feasible, 20, "the generator makes evenings that can be met")
	require.Zero(t, sum.MissedFeasible)
	require.Less(t, sum.HarmSeconds/float64(sum.Evenings), 30.0)
}

func TestAnEveningThatCannotBeMetIsKnownAtIntake(t *testing.T) {
	t.Parallel()
	var sum Summary
	for seed := range uint64(4) {
		s := Generate(seed, Shape{Shops: shops, Load: 1.3, LateShare: 1e-9, Calm: seed%2 == 0})
		require.False(t, s.Feasible())
		e := Play(s)
		sum.Add(e, false)
		for _, o := range e.Outcomes {
			if o.AtIntake.State != pace.Infeasible || o.Late == 0 {
				continue
			}
			said := -o.AtIntake.Margin
			require.InDelta(t, o.Late.Minutes(), said.Minutes(), 10+0.5*o.Late.Minutes(), "%s: it is said by how much", o.Run)
			require.NotEmpty(t, o.AtIntake.Remedy)
		}
	}
	require.Greater(t, sum.Late, shops/10)
	require.GreaterOrEqual(t, sum.VerdictPrecision, 0.95)
	require.GreaterOrEqual(t, sum.VerdictRecall, 0.95)
	require.GreaterOrEqual(t, sum.OwnPrecision, 0.95)
	require.GreaterOrEqual(t, sum.OwnRecall, 0.95)
	require.Equal(t, sum.Late, sum.Warned, "all of them were announced before they were late")
}

func TestTheSameSeedIsTheSameEvening(t *testing.T) {
	t.Parallel()
	a, b := Play(Generate(7, Shape{Shops: 40})), Play(Generate(7, Shape{Shops: 40}))
	require.Equal(t, a.Outcomes, b.Outcomes)
	require.Equal(t, a.Points, b.Points)
	require.NotEqual(t, a.Outcomes, Play(Generate(8, Shape{Shops: 40})).Outcomes)
}

// one is a scenario of few broadcasts, of a thousand slot seconds to a million rows.
func one(broadcasts ...Broadcast) Scenario {
	begin := time.Date(2026, 3, 14, 18, 0, 0, 0, time.UTC)
	s := Scenario{
		Seed: 1, Begin: begin, End: begin.Add(6 * time.Hour), Width: config.Width{Min: 1, Max: 64, MaxPerPod: 16}, Pods: 2,
		UnitRows: 10_000, RowSeconds: [2]float64{1e-3, 1e-3}, Knee: 20, Noise: 0.03, Broadcasts: broadcasts,
	}
	s.believe(1)
	return s
}

func due(run string, after time.Duration, rows int64) Broadcast {
	begin := time.Date(2026, 3, 14, 18, 0, 0, 0, time.UTC)
	return Broadcast{Run: run, Announced: begin, Earliest: begin, Deadline: begin.Add(after), Rows: [2]int64{rows}}
}

func TestAStopHoldsUntilTheSignalsAreBack(t *testing.T) {
	t.Parallel()
	s := one(due("a", 90*time.Minute, 50_000_000))
	from, to := s.Begin.Add(40*time.Minute), s.Begin.Add(45*time.Minute)
	s.Live = func(time.Time) float64 { return 4 }
	s.Faults = []Fault{{From: from, To: to, Slow: 0.005}}
	e := Play(s)
	worked, paused := 0, 0
	for _, p := range e.Points {
		if p.At.After(from.Add(10*time.Second)) && p.At.Before(to) {
			if p.Paused {
				paused++
			} else if p.Width > 2 {
				worked++
			}
		}
	}
	require.Greater(t, paused, 100, "of 145 ticks; in between it is tried whether the stop is over")
	require.Zero(t, worked)
	n, most := late(e)
	require.Zero(t, n, "and it catches up: %s", most)
}

func TestASurgeOfTheLiveLoadMakesTheWarmingGiveWay(t *testing.T) {
	t.Parallel()
	s := one(due("a", 2*time.Hour, 75_000_000))
	from, to := s.Begin.Add(30*time.Minute), s.Begin.Add(40*time.Minute)
	s.Live = func(time.Time) float64 { return 8 }
	s.Faults = []Fault{{From: from, To: to, Live: 2}}
	e := Play(s)
	before, least, after := 0, math.MaxInt, 0
	for _, p := range e.Points {
		switch {
		case p.At.Before(from):
			before = p.Width
		case p.At.Before(to):
			least = min(least, p.Width)
		default:
			after = max(after, p.Width)
		}
	}
	require.LessOrEqual(t, float64(least), 0.8*float64(before))
	require.GreaterOrEqual(t, float64(after), 0.8*float64(before), "it comes back")
	require.Less(t, e.Harm, 30.0, "a surge of ten minutes is felt for half a minute")
}

func TestPodsThatDieAndALeaderThatIsLostCostLittle(t *testing.T) {
	t.Parallel()
	s := one(due("a", time.Hour, 40_000_000))
	at := func(m int) time.Time { return s.Begin.Add(time.Duration(m) * time.Minute) }
	s.Faults = []Fault{{From: at(10), To: at(15), Pods: 1}, {From: at(20), To: at(21), NoLeader: true}, {From: at(30), To: at(31), Blind: true}}
	e := Play(s)
	n, most := late(e)
	require.Zero(t, n, "%s", most)
	for _, p := range e.Points {
		require.LessOrEqual(t, p.Width, 32)
		if p.At.After(at(10)) && p.At.Before(at(15)) {
			require.LessOrEqual(t, p.Width, 16, "one pod carries 16")
		}
		if p.At.After(at(20).Add(pace.Silence)) && p.At.Before(at(21)) {
			require.Equal(t, 2, p.Width, "nobody decides: width.min for each of two pods")
		}
	}
}

func TestTheLeastUrgentGivesWayToALateComer(t *testing.T) {
	t.Parallel()
	first, second := due("a", time.Hour, 20_000_000), due("b", 2*time.Hour, 80_000_000)
	third := due("c", 170*time.Minute, 100_000_000)
	urgent := due("u", 80*time.Minute, 24_000_000)
	urgent.Announced = urgent.Announced.Add(30 * time.Minute)
	s := one(first, second, third, urgent)
	s.Ceiling = 20
	e := Play(s)
	for i, o := range e.Outcomes[:2] {
		require.Less(t, o.Late, 5*time.Minute, "%d", i)
	}
	require.Zero(t, e.Outcomes[3].Late, "the urgent one is in time")
	require.GreaterOrEqual(t, e.Outcomes[2].Late, e.Outcomes[1].Late)
	require.False(t, e.Outcomes[2].Warned.IsZero())
	require.Less(t, e.Outcomes[2].Warned, e.Outcomes[2].Deadline)
}

// What is believed of the costs is wrong by a hundred. The law stays within its bounds, and learns.
func TestAnEstimateThatIsWrongByAHundredDoesNoHarm(t *testing.T) {
	t.Parallel()
	for _, wrong := range []float64{0.01, 100} {
		s := Generate(3, Shape{Shops: shops, Load: 0.4, CostError: wrong, Calm: true})
		e := Play(s)
		for _, p := range e.Points {
			require.LessOrEqual(t, p.Width, s.Width.Max)
			require.GreaterOrEqual(t, p.Width, 1)
		}
		n, _ := late(e)
		require.Zero(t, n, "costs believed %v times as high: a probe finds it out in time", wrong)
		require.Less(t, e.Harm, 60.0)
	}
}

func TestAThousandShopsAtTheSameMinute(t *testing.T) {
	t.Parallel()
	var all []Broadcast
	for i := range 1000 {
		all = append(all, due(runName(i), 2*time.Hour, 60_000))
	}
	s := one(all...)
	require.True(t, s.Feasible())
	n, most := late(Play(s))
	require.Zero(t, n, "%s", most)
}

func TestTheBoundIsWhatAClairvoyantNeeds(t *testing.T) {
	t.Parallel()
	for factor, feasible := range map[float64]bool{0.98: true, 1.05: false} {
		s := Generate(11, Shape{Shops: shops, Load: factor, Calm: true})
		require.InDelta(t, factor, peak(s.jobs(), s.capacityFloor()), 0.01)
		require.Equal(t, feasible, s.Feasible())
	}
}

func BenchmarkEvening(b *testing.B) {
	s := Generate(3, Shape{Load: 0.8})
	for b.Loop() {
		Play(s)
	}
}

// A pod that dies takes its units with it, and its share of the width until it is missed.
func TestWhatADeadPodHeldIsTakenOver(t *testing.T) {
	t.Parallel()
	s := one(due("a", time.Hour, 30_000_000))
	from := s.Begin.Add(40 * time.Minute)
	s.Faults = []Fault{{From: from, To: s.End, Pods: 1}}
	e := Play(s)
	before, dead, missed := 0, 0, 0
	for _, p := range e.Points {
		switch passed := p.At.Sub(from); {
		case passed < 0:
			before = p.Width
		case passed < missedAfter-pace.Tick:
			dead = p.Width
		case passed > takenOver && missed == 0:
			missed = p.Width
		}
	}
	require.InDelta(t, float64(before)/2, dead, 1, "half of the width is nobody's")
	require.Equal(t, min(before, 16), missed, "and then the other pod's, as far as it carries it")
	require.Zero(t, e.Outcomes[0].Late)

	s.Faults = nil
	last := Play(s).Outcomes[0].Ready.Add(-5 * pace.Tick)
	s.Faults = []Fault{{From: last, To: s.End, Pods: 1}}
	require.False(t, Play(s).Outcomes[0].Ready.Before(last.Add(takenOver)), "it is not done before the dead pod's units are")
}

func TestSignalsThatCannotBeDoNoHarm(t *testing.T) {
	t.Parallel()
	for _, lie := range []float64{-1, math.NaN(), math.Inf(1)} {
		s := one(due("a", 90*time.Minute, 50_000_000))
		from, to := s.Begin.Add(20*time.Minute), s.Begin.Add(25*time.Minute)
		s.Faults = []Fault{{From: from, To: to, Lie: lie}}
		e := Play(s)
		require.Zero(t, e.Outcomes[0].Late, "%v", lie)
		before := 0
		for _, p := range e.Points {
			if p.At.Before(from) {
				before = p.Width
			} else if p.At.Before(to) {
				require.LessOrEqual(t, p.Width, before, "what is not known lets nothing grow")
			}
		}
	}
}

func TestEveryFourthEveningBeginsWithCostsThatAreBelievedWrongly(t *testing.T) {
	t.Parallel()
	wrong, most := 0, 0.0
	for i := range 100 {
		s := Series{Seed: 1, Shape: Shape{Shops: 3}}.Scenario(i)
		if !s.known() {
			wrong++
		}
		most = max(most, s.CostError, 1/s.CostError)
	}
	require.Equal(t, 25, wrong)
	require.Greater(t, most, 50.0)
	require.LessOrEqual(t, most, 100.0)

	sum := Summary{}
	late := []Outcome{{Late: time.Minute, AtLast: pace.Verdict{State: pace.Feasible}, AtIntake: pace.Verdict{State: pace.Feasible}}}
	sum.Add(Evening{Scenario: &Scenario{CostError: 50}, Outcomes: late}, false)
	require.InDelta(t, 1, sum.VerdictRecall, 0, "who knows the costs wrongly cannot judge")
	sum.Add(Evening{Scenario: &Scenario{CostError: 1}, Outcomes: late, Reversals: 20, Changes: 7}, false)
	require.Zero(t, sum.VerdictRecall)
	require.Zero(t, sum.OwnRecall)
	require.Equal(t, 2, sum.Late)
	require.Equal(t, 1, sum.Restless)
	require.Equal(t, 13, sum.Beyond)
}
