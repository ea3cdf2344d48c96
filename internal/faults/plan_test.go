package faults

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// event is one fault of an evening.
type event struct {
	at, length time.Duration
	fault      fault
	target     string // "pod0" to "pod2", "queue", "cache" or "db": one fault at a time each
	pick       uint64 // what the fault decides by
}

// At most so many faults at a time, and so many pods that cannot work.
const (
	mostAtOnce = 3
	mostPods   = 2
)

// planOf is an evening's faults, from its seed alone. Every kind comes before one comes again; offset keeps the evenings of one
// series from beginning with the same.
func planOf(seed uint64, n int, length time.Duration, kinds []fault) []event {
	rng := rand.New(rand.NewPCG(seed, 3))
	var bag []fault
	busy := map[string]time.Duration{}
	var plan []event
	gap := length / time.Duration(n)
	for i := range n {
		at := time.Duration(i)*gap + time.Duration(rng.Int64N(int64(gap))) + time.Second
		if len(bag) == 0 {
			bag = slices.Clone(kinds)
			rng.Shuffle(len(bag), func(i, j int) { bag[i], bag[j] = bag[j], bag[i] })
		}
		k := slices.IndexFunc(bag, func(f fault) bool { return !f.early || at < length/3 })
		if k < 0 {
			bag, k = slices.Clone(kinds), 0
		}
		f := bag[k]
		bag = slices.Delete(bag, k, k+1)
		e := event{fault: f, pick: rng.Uint64(), length: f.least + time.Duration(rng.Int64N(int64(f.most-f.least)+1))}
		e.target = f.on
		if f.on == "pod" {
			e.target = []string{"pod0", "pod1", "pod2"}[rng.IntN(places)]
		}
		e.at = fit(at, e, busy, plan)
		busy[e.target] = e.at + e.length + settleTime
		plan = append(plan, e)
	}
	slices.SortStableFunc(plan, func(a, b event) int { return int(a.at - b.at) })
	return plan
}

// settleTime lies between two faults of one target.
const settleTime = 1500 * time.Millisecond

// fit is the first moment from at on when the target and the bounds allow the event.
func fit(at time.Duration, e event, busy map[string]time.Duration, plan []event) time.Duration {
	for ; ; at += 200 * time.Millisecond {
		now, pods := 0, 0
		for _, other := range plan {
			if other.at < at+e.length && at < other.at+other.length {
				now++
				if strings.HasPrefix(other.target, "pod") {
					pods++
				}
			}
		}
		if busy[e.target] <= at && now < mostAtOnce && (pods < mostPods || !strings.HasPrefix(e.target, "pod")) {
			return at
		}
	}
}

func TestAPlanKeepsItsBoundsAndFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	shape := func(plan []event) (out []event) {
		for _, e := range plan {
			out = append(out, event{at: e.at, length: e.length, target: e.target, pick: e.pick, fault: fault{name: e.fault.name}})
		}
		return out
	}
	seen := map[string]bool{}
	for seed := range uint64(50) {
		plan := planOf(seed, 20, 45*time.Second, allFaults)
		require.Len(t, plan, 20)
		require.Equal(t, shape(plan), shape(planOf(seed, 20, 45*time.Second, allFaults)))
		for i, e := range plan {
			seen[e.fault.name] = true
			now := 0
			for _, other := range plan {
				if other.at <= e.at && e.at < other.at+other.length {
					now++
				}
			}
			require.LessOrEqual(t, now, mostAtOnce)
			for _, later := range plan[i+1:] {
				if later.target == e.target {
					require.GreaterOrEqual(t, later.at, e.at+e.length)
				}
			}
		}
	}
	require.Len(t, seen, len(allFaults), "every kind comes")
	require.NotEqual(t, shape(planOf(1, 20, 45*time.Second, allFaults)), shape(planOf(2, 20, 45*time.Second, allFaults)))
}
