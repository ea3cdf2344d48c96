package pace

import (
	"fmt"
	"time"
)

// Demand is how many slots the evening needs now.
type Demand struct {
	Slots    float64   `json:"slots"`    // with headroom; 0: nothing to do
	Bare     float64   `json:"bare"`     // without
	Long     float64   `json:"long"`     // without, over Policy.Cushion or longer
	Ahead    float64   `json:"ahead"`    // slots that the work is done with because the evening is full; less than Slots: it is not
	Run      string    `json:"run"`      // whose deadline binds; "" with nothing to do
	Deadline time.Time `json:"deadline"` // that binds
	Due      float64   `json:"due"`      // slot seconds due until then
	Backlog  float64   `json:"backlog"`  // slot seconds of all work
	Overdue  int       `json:"overdue"`  // runs whose deadline has passed
	Next     time.Time `json:"next"`     // when work may begin, if none may now
	Reason   string    `json:"reason"`   // one line, for people
}

// Need is pure: the least constant number of slots that does all work in time when the earliest deadline goes first. That
// is the processor-demand bound: with R_i slot seconds left and deadlines d_i,
//
//	max over k of sum(R_i : d_i <= d_k) / (d_k - now)
//
// (Baruah, Rosier and Howell, "Algorithms and complexity concerning the preemptive scheduling of periodic, real-time
// tasks on one processor", Real-Time Systems 2, 1990; that earliest deadline first reaches the bound is Liu and Layland's
// theorem, "Scheduling algorithms for multiprogramming in a hard-real-time environment", JACM 20, 1973.) The bound is for
// one processor that can be divided at will. Slots come close to it because a run is many units and a unit many pages;
// what is lost is at most one unit's length per run (Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl.
// Math. 17, 1969), which the margin covers.
//
// R_i is already slot seconds: rows times the measured cost of a row, the reciprocal of the work rate of one slot.
//
// Work that may not begin yet counts in full: what may run now must make room for it, and so the load is level. If
// nothing may begin within Ahead, the need is 0. A run is asked for at most as much as its units let it use until its
// deadline: more slots would not help it. What is due within Margin + Soonest, or overdue, is asked to be done in Soonest.
func Need(now time.Time, works []Work, p Policy) Demand {
	p = p.Fill()
	works = inOrder(works)
	var d Demand
	var sum float64
	var binding, long float64
	mayRun := false
	for i := range works {
		w := &works[i]
		amount := w.amount()
		if amount == 0 {
			continue
		}
		d.Backlog += amount
		until := w.Deadline.Sub(now)
		if until <= 0 {
			d.Overdue++
		}
		left := p.within(until)
		usable := left
		if start := w.start(now); start.After(now) {
			usable = p.within(w.Deadline.Sub(start))
			if start.After(now.Add(p.Ahead)) {
				if d.Next.IsZero() || start.Before(d.Next) {
					d.Next = start
				}
			} else {
				mayRun = true
			}
		} else {
			mayRun = true
		}
		sum += min(amount, w.parallel()*usable)
		long = max(long, sum/max(left, p.Cushion.Seconds()))
		if rate := sum / left; rate > binding {
			binding = rate
			d.Run, d.Deadline, d.Due = w.Run, w.Deadline, sum
		}
	}
	if mayRun {
		d.Next = time.Time{}
		d.Bare, d.Long, d.Slots = binding, long, binding*p.Headroom
	}
	d.Reason = d.explain(now, mayRun, p)
	return d
}

// On is pure: the demand on servers of which planning counts on so many slots; below 1 it is not known. An evening that is nearly full
// is worked off faster than its deadlines ask for.
func (d Demand) On(ceiling float64, p Policy) Demand {
	if d.Ahead = p.Fill().ahead(d.Long, ceiling); d.Ahead > d.Slots {
		d.Reason += fmt.Sprintf("; %.1f to keep room for late-comers below the %.0f that are counted on", d.Ahead, ceiling)
	}
	return d
}

// width is what the law follows.
func (d Demand) width() float64 { return max(d.Slots, d.Ahead) }

func (d Demand) explain(now time.Time, mayRun bool, p Policy) string {
	switch {
	case d.Run == "":
		return "nothing to do"
	case !mayRun:
		return fmt.Sprintf("nothing may begin before %s", clock(d.Next))
	}
	if !d.Deadline.After(now) {
		return fmt.Sprintf("%s of slot time are overdue, run %s since %s: %.1f slots", span(d.Due), d.Run, clock(d.Deadline), d.Slots)
	}
	return fmt.Sprintf("%s of slot time are due by %s (run %s), in %s: %.1f slots with a headroom of %.2f",
		span(d.Due), clock(d.Deadline), d.Run, span(p.within(d.Deadline.Sub(now))), d.Slots, p.Headroom)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < 10*time.Hour:
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0fh", d.Hours())
}
