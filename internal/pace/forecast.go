package pace

import (
	"math"
	"slices"
	"time"
)

// forecastStep is how often the forecast asks the law again while nothing happens.
const forecastStep = 60.0

// runner is a work on the forward way; times are seconds from now.
type runner struct {
	at       int // in works
	start    float64
	left     float64
	parallel float64
}

// forecast is when each work is finished, in seconds from now, if slots follow the need up to the ceiling, the earliest
// deadline goes first, and works have the amounts that amount says. What cannot finish within a week is math.Inf.
func forecast(now time.Time, works []Work, ceiling, least float64, amount func(*Work) float64, p Policy) []float64 {
	const week = 7 * 24 * 3600
	finish := make([]float64, len(works))
	due := make([]float64, len(works))
	for i, w := range works {
		due[i] = w.Deadline.Sub(now).Seconds() - p.Margin.Seconds()
	}
	f := &future{open: openRunners(now, works, amount), due: due, finish: finish, policy: p}
	for _, r := range f.open {
		f.starts = append(f.starts, r.start)
	}
	slices.Sort(f.starts)
	for asked := math.Inf(-1); len(f.open) > 0 && f.t < week; {
		if f.t-asked >= forecastStep || !f.ran {
			bare, long := f.needed()
			f.width, asked = min(max(bare*p.Headroom, p.ahead(long, ceiling), least), ceiling), f.t
		}
		f.advance(asked + forecastStep - f.t)
	}
	for _, r := range f.open {
		finish[r.at] = math.Inf(1)
	}
	return finish
}

// future is the evening as it is foreseen.
type future struct {
	policy Policy
	t      float64 // seconds from now
	width  float64
	ran    bool      // something ran in the last step
	open   []runner  // by deadline
	starts []float64 // ascending
	due    []float64
	finish []float64
}

// advance goes to the next event, but no further than most.
func (f *future) advance(most float64) {
	for len(f.starts) > 0 && f.starts[0] <= f.t {
		f.starts = f.starts[1:]
	}
	step, rest := most, f.width
	for i := range f.open {
		if r := &f.open[i]; r.start <= f.t {
			rate := min(r.parallel, rest)
			step = min(step, r.left/rate)
			if rest -= rate; rest <= 0 {
				break
			}
		}
	}
	f.ran = rest < f.width
	if len(f.starts) > 0 {
		if !f.ran {
			step = math.Inf(1)
		}
		step = min(step, f.starts[0]-f.t)
	}
	f.work(max(step, 1e-6))
}

// work lets the slots work for a step.
func (f *future) work(step float64) {
	rest, done := f.width, false
	for i := range f.open {
		r := &f.open[i]
		if r.start > f.t {
			continue
		}
		rate := min(r.parallel, rest)
		r.left -= rate * step
		if r.left <= 1e-6*(1+rate) {
			r.left, done = 0, true
			f.finish[r.at] = f.t + step
		}
		if rest -= rate; rest <= 0 {
			break
		}
	}
	f.t += step
	if done {
		f.open = slices.DeleteFunc(f.open, func(r runner) bool { return r.left == 0 })
	}
}

// openRunners is the works in the order of their deadlines.
func openRunners(now time.Time, works []Work, amount func(*Work) float64) []runner {
	open := make([]runner, 0, len(works))
	for i, w := range works {
		r := runner{at: i, start: w.start(now).Sub(now).Seconds(), left: amount(&w), parallel: w.parallel()}
		if r.left > 0 {
			open = append(open, r)
		}
	}
	slices.SortFunc(open, func(a, b runner) int { return byDeadline(works[a.at], works[b.at]) })
	return open
}

// needed is Need's bare need, and that over Cushion or longer, on the forecast's own figures.
func (f *future) needed() (bare, long float64) {
	soonest, cushion := f.policy.Soonest.Seconds(), f.policy.Cushion.Seconds()
	sum := 0.0
	for i := range f.open {
		r := &f.open[i]
		due := f.due[r.at]
		sum += min(r.left, r.parallel*max(due-max(f.t, r.start), soonest))
		left := max(due-f.t, soonest)
		bare, long = max(bare, sum/left), max(long, sum/max(left, cushion))
	}
	return bare, long
}
