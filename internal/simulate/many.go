package simulate

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Series is a number of evenings.
type Series struct {
	Evenings int
	Seed     uint64 // of the first; each next one has the next
	Shape    Shape  // Load 0: from light to hopeless, another for each evening; CostError 0: wrong by up to 100 either way in every fourth
}

// Scenario is the i-th evening.
func (s Series) Scenario(i int) Scenario {
	seed, shape := s.Seed+uint64(i), s.Shape //nolint:gosec // i counts from 0
	if shape.Load == 0 {
		shape.Load = anyLoad(seed)
	}
	if shape.CostError == 0 && seed%4 == 3 {
		shape.CostError = anyError(seed)
	}
	return Generate(seed, shape)
}

// Bounds of the need of evenings whose load is not given, as shares of what the database has left: about one in four
// cannot be met.
const (
	leastLoad = 0.2
	mostLoad  = 1.3
)

func anyLoad(seed uint64) float64 {
	r := rand.New(rand.NewPCG(seed, 0xd1b54a32d192ed03)) //nolint:gosec // a simulation must be repeatable
	return leastLoad + (mostLoad-leastLoad)*r.Float64()
}

// anyError is by what the costs of rows are believed to be more or less than they are.
func anyError(seed uint64) float64 {
	r := rand.New(rand.NewPCG(seed, 0xbf58476d1ce4e5b9)) //nolint:gosec // a simulation must be repeatable
	return math.Pow(100, 2*r.Float64()-1)
}

// Play plays all evenings, as many at once as there are cores, and sums them up. The first one is answered whole. played
// is called after each evening, one call at a time. The error is that the context has ended.
func (s Series) Play(ctx context.Context, played func()) (Summary, Evening, error) {
	var (
		mu    sync.Mutex
		sum   = Summary{MissedSeeds: []uint64{}}
		first Evening
	)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range s.Evenings {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			scenario := s.Scenario(i)
			e, feasible := Play(scenario), scenario.Feasible()
			mu.Lock()
			defer mu.Unlock()
			sum.Add(e, feasible)
			if i == 0 {
				first = e
			}
			played()
			return nil
		})
	}
	_ = g.Wait() // evenings do not fail
	slices.Sort(sum.MissedSeeds)
	return sum, first, context.Cause(ctx)
}
