package pace

import (
	"cmp"
	"slices"
	"time"
)

// Work is what is left of one run. All amounts are seconds of one slot's time: rows weighted by what a row of their
// dataset costs, never tasks or units.
type Work struct {
	Run      string
	Earliest time.Time // it may not begin before; zero: at once
	Start    time.Time // when it is planned to begin; zero: not planned yet, at once
	Deadline time.Time
	Key      bool    // of a key account: of equal deadlines it goes first
	Probe    bool    // it begins as early as it may, to learn what rows cost today
	Begun    bool    // it is being worked on, so its start does not move any more
	Seconds  float64 // expected
	Cautious float64 // not exceeded with 95 % certainty; less than Seconds counts as Seconds
	Units    int     // left, and so the most slots that can work at it together; 0: not cut yet, no limit
	Longest  float64 // of the longest unit left: one unit cannot be divided among slots
}

// Part is rows of one dataset.
type Part struct {
	Dataset string
	Rows    int64
}

// Weigh is the slot time that parts cost by the rates learned: what is expected and what is not exceeded with 95 %
// certainty. The spreads of datasets are added as if they went wrong together: a slow database slows all.
func Weigh(parts []Part, rates map[string]Rate, now time.Time) (seconds, cautious float64) {
	for _, p := range parts {
		rows := float64(max(p.Rows, 0))
		mean, _ := rates[p.Dataset].Cost(now)
		seconds += rows * mean
		cautious += rows * rates[p.Dataset].Cautious(now)
	}
	return seconds, cautious
}

// leastLeft is the share of the estimate that an open unit is thought to have left at least: one that has outrun its
// estimate is not done before it says so.
const leastLeft = 20

// rowsLeft is how many rows an open unit has left.
func rowsLeft(estimated, done int64) int64 {
	return max(estimated-done, estimated/leastLeft, 1)
}

func (w *Work) amount() float64   { return clean(w.Seconds) }
func (w *Work) cautious() float64 { return max(clean(w.Cautious), w.amount()) }

// hopeful is not undercut with 95 % certainty: as far below what is expected as cautious is above.
func (w *Work) hopeful() float64 {
	if w.amount() == 0 {
		return 0
	}
	return w.amount() * w.amount() / w.cautious()
}

// clean: a sum that is not a number, or below zero, is no work. Infinite is more than any evening has.
func clean(v float64) float64 {
	const most = 1e9 // 30 years of one slot
	if !(v > 0) {
		return 0
	}
	return min(v, most)
}

// start is when the work may run, now at the earliest.
func (w *Work) start(now time.Time) time.Time {
	at := w.Start
	if w.Earliest.After(at) && !w.Begun {
		at = w.Earliest
	}
	if w.Begun || at.Before(now) {
		return now
	}
	return at
}

// parallel is how many slots can work at it.
func (w *Work) parallel() float64 {
	const unlimited = 1e6
	if w.Units <= 0 {
		return unlimited
	}
	return float64(w.Units)
}

func byDeadline(a, b Work) int {
	if c := a.Deadline.Compare(b.Deadline); c != 0 {
		return c
	}
	if a.Key != b.Key {
		if a.Key {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.Run, b.Run)
}

// inOrder is works by deadline; what is in order already, as it is from one tick to the next, is not copied.
func inOrder(works []Work) []Work {
	if slices.IsSortedFunc(works, byDeadline) {
		return works
	}
	works = slices.Clone(works)
	slices.SortFunc(works, byDeadline)
	return works
}
