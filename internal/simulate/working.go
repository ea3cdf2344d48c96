package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/pace"
)

// inForce is the sum of what the pods make of what they heard.
func (e *evening) inForce(now time.Time, st state) (width int, paused bool) {
	pods := make([]string, max(st.thought, st.pods))
	for i := range pods {
		pods[i] = fmt.Sprint("pod-", i)
	}
	p := &pace.Published{Pods: pods[:st.thought], Result: e.result}
	for _, pod := range pods[:st.pods] {
		var slots int
		slots, paused, _ = pace.Share(p, e.heard, now, pod, e.Width)
		width += slots
	}
	return width, paused
}

// bury takes the units that dying pods have in hand out of the work, one for each slot, until they are taken over.
func (e *evening) bury(now time.Time, st state, width int) {
	if died := e.living - st.pods; died > 0 {
		units := width * died / max(st.pods, 1)
		for i := range e.open {
			r := &e.open[i]
			for d := 0; r.begun && d < len(r.left) && units > 0; d++ {
				n := min(units, e.units(r.left[d]))
				rows := min(r.left[d], float64(n*e.UnitRows))
				r.left[d], r.held[d] = r.left[d]-rows, r.held[d]+rows
				units -= n
			}
		}
		e.free = now.Add(takenOver)
	}
	e.living = st.pods
	if e.free.IsZero() || now.Before(e.free) {
		return
	}
	for i := range e.open {
		r := &e.open[i]
		for d := range r.left {
			r.left[d], r.held[d] = r.left[d]+r.held[d], 0
		}
	}
	e.free = time.Time{}
}

// busy is how many slots find work.
func (e *evening) busy(now time.Time) int {
	n := 0
	for _, r := range e.open {
		if !r.start.After(now) {
			n += e.units(r.left[0]) + e.units(r.left[1])
		}
	}
	return n
}

// work lets the slots work for a tick, the earliest deadline first, and says how many were at work on average.
func (e *evening) work(now time.Time, width, slow float64) float64 {
	dt := pace.Tick.Seconds()
	budget := width * dt
	var did, rows [2]float64 // slot seconds and rows
	keep, works := e.open[:0], e.works[:0]
	for i, r := range e.open {
		w := e.works[i]
		if budget > 0 && !r.start.After(now) {
			for d := range r.left {
				cost := e.RowSeconds[d] * slow
				used := max(min(r.left[d]*cost, float64(e.units(r.left[d]))*dt, budget), 0)
				budget -= used
				did[d] += used
				rows[d] += used / cost
				r.left[d] -= used / cost
			}
			r.begun = true
			w = e.weighOne(&r)
		}
		if r.left[0] > 0.5 || r.left[1] > 0.5 || r.held != [2]float64{} || !r.begun {
			keep, works = append(keep, r), append(works, w)
			continue
		}
		o := &e.out.Outcomes[r.broadcast]
		o.Ready = now.Add(pace.Tick)
		o.Late = max(o.Ready.Sub(o.Deadline), 0)
		if e.unproven(now) {
			e.planned = time.Time{} // another one is the probe now
		}
	}
	e.works = works
	e.open = keep
	for d := range rows {
		e.learn(d, rows[d], did[d], now.Add(pace.Tick))
	}
	return (width*dt - budget) / dt
}

// learn merges what a tick's units have measured into what is believed, as the pods do.
func (e *evening) learn(dataset int, rows, seconds float64, now time.Time) {
	n := max(1, min(rows/float64(e.UnitRows), pace.Memory))
	each := int64(rows / n)
	if each == 0 {
		return
	}
	var learned pace.Rate
	for range int(n) {
		learned = learned.Learn(pace.Sample{
			Rows: each, Bytes: 300 * each, Time: time.Duration(seconds / n * e.noise() * float64(time.Second)),
		}, now)
	}
	e.Rates[dataset] = e.Rates[dataset].Merge(learned)
}

// unproven says whether it is not known yet what rows cost today.
func (e *evening) unproven(now time.Time) bool {
	return slices.ContainsFunc(e.Rates[:], func(r pace.Rate) bool { return r.Unproven(now) })
}

// sense feeds the signals with what the servers felt.
func (e *evening) sense(now time.Time, st state, slots, slow float64) {
	if st.blind {
		return
	}
	if st.lie != 0 {
		e.pages.Observe(st.lie, now)
		e.threads.Observe(st.lie, now)
		return
	}
	if slots > 0 {
		e.pages.Observe(e.RowSeconds[0]*slow*e.noise(), now)
	}
	e.threads.Observe(1+(0.2*st.live+0.5*slots)*slow*e.noise(), now)
}

func (e *evening) noise() float64 { return max(1+e.Noise*e.rand.NormFloat64(), 0.1) }

// backlog is the true work left, in slot seconds.
func backlog(open []run, s *Scenario) float64 {
	sum := 0.0
	for _, r := range open {
		for d, rows := range r.left {
			sum += (rows + r.held[d]) * s.RowSeconds[d]
		}
	}
	return sum
}
