package pace

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func sample(rows int64, perRow float64) Sample {
	return Sample{Rows: rows, Bytes: 300 * rows, Time: time.Duration(perRow * float64(rows) * float64(time.Second))}
}

func learned(perRow float64, n int) Rate {
	var r Rate
	for range n {
		r = r.Learn(sample(10_000, perRow), noon)
	}
	return r
}

func TestTheFirstGuessIsCautious(t *testing.T) {
	t.Parallel()
	cost, spread := Rate{}.Cost(noon)
	require.InEpsilon(t, FirstCost, cost, 1e-9)
	require.InEpsilon(t, FirstSpread, spread, 1e-9)
	require.Greater(t, Rate{}.Cautious(noon), 2*FirstCost)
}

func TestARateLearnsAndItsSpreadNarrows(t *testing.T) {
	t.Parallel()
	last := math.Inf(1)
	for _, n := range []int{1, 4, 16, 64} {
		cost, spread := learned(2e-5, n).Cost(noon)
		require.InEpsilon(t, 2e-5, cost, 1e-6)
		require.Less(t, spread, last)
		last = spread
	}
	require.Less(t, last, 0.15)
}

func TestAnOutlierMovesTheRateLittle(t *testing.T) {
	t.Parallel()
	r := learned(2e-5, 64).Learn(sample(10_000, 1), noon)
	cost, _ := r.Cost(noon)
	require.Less(t, cost, 2e-5*1.06, "fifty thousand times as slow, once")
	r = learned(2e-5, 64).Learn(sample(1_000_000_000, 8e-5), noon)
	cost, _ = r.Cost(noon)
	require.Less(t, cost, 2e-5*1.25, "and a giant unit is still one piece of evidence")
}

func TestAGuessThatIsWrongByAHundredIsMended(t *testing.T) {
	t.Parallel()
	for wrong, most := range map[float64]int{2e-7: 160, 2e-3: 450} {
		r, n := learned(wrong, 64), 0
		for ; n < 1000; n++ {
			if cost, _ := r.Cost(noon); cost > 2e-5*0.8 && cost < 2e-5*1.25 {
				break
			}
			r = r.Learn(sample(10_000, 2e-5), noon)
		}
		require.LessOrEqual(t, n, most, "%v", wrong)
	}
}

func TestAnOldRateFadesIntoAGuessButKeepsItsCost(t *testing.T) {
	t.Parallel()
	r := learned(2e-5, 64)
	_, fresh := r.Cost(noon)
	later := noon.Add(60 * 24 * time.Hour)
	cost, old := r.Cost(later)
	require.InEpsilon(t, 2e-5, cost, 1e-6)
	require.Greater(t, old, 3*fresh)
}

func TestWhatCannotBeIsNotLearned(t *testing.T) {
	t.Parallel()
	r := learned(2e-5, 3)
	for _, s := range []Sample{{}, {Rows: 5}, {Rows: -1, Time: time.Second}, {Rows: 5, Time: -1}, {Rows: 5, Time: 1, Bytes: -1}} {
		require.Equal(t, r, r.Learn(s, noon))
	}
	for _, bad := range []Rate{
		{Samples: math.NaN()}, {Samples: 1, Rows: -1, Seconds: 1}, {Samples: 1, Rows: 1}, {Samples: 1, Seconds: math.Inf(1), Rows: 1},
	} {
		cost, spread := bad.Cost(noon)
		require.InEpsilon(t, FirstCost, cost, 1e-9)
		require.InEpsilon(t, FirstSpread, spread, 1e-9)
		require.Equal(t, r, r.Merge(bad))
	}
}

func genRate(t *rapid.T) Rate {
	var r Rate
	at := noon
	for range rapid.IntRange(0, 100).Draw(t, "samples") {
		at = at.Add(time.Duration(rapid.IntRange(0, 3600).Draw(t, "later")) * time.Second)
		r = r.Learn(sample(rapid.Int64Range(0, 1e6).Draw(t, "rows"), rapid.Float64Range(1e-7, 1).Draw(t, "cost")), at)
	}
	return r
}

func TestMergingIsTheSameEitherWayAndStaysBetween(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := genRate(t), genRate(t)
		require.Equal(t, a.Merge(b), b.Merge(a))
		now := noon.Add(100 * time.Hour)
		x, _ := a.Cost(now)
		y, _ := b.Cost(now)
		m, spread := a.Merge(b).Cost(now)
		require.Greater(t, m, 0.0)
		require.False(t, math.IsNaN(spread) || spread < 0)
		require.LessOrEqual(t, a.Merge(b).Samples, Memory+1e-9)
		if a.Samples > 0 && b.Samples > 0 {
			require.GreaterOrEqual(t, m, min(x, y)*(1-1e-9))
			require.LessOrEqual(t, m, max(x, y)*(1+1e-9))
		}
	})
}
