package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Parts are where a run's time went, in seconds. Its units are worked on beside each other: from the first claim on the time is
// divided as the units' own times are.
type Parts struct {
	Waiting   float64            `json:"waiting" doc:"for a slot, or for the shop"`
	Throttled map[string]float64 `json:"throttled" doc:"by what held the work back: a signal, or by hand"`
	Reading   float64            `json:"reading"`
	Writing   float64            `json:"writing"`
	Retrying  float64            `json:"retrying" doc:"attempts that failed or were lost, and the waits after them"`
	Auditing  float64            `json:"auditing" doc:"after the last unit, until its audit had passed"`
	Other     float64            `json:"other" doc:"leases, claims and the like"`
}

// unknown is what held pages back when no throttle was recorded.
const unknown = "held"

// Sum is all of it.
func (p Parts) Sum() float64 {
	sum := p.Waiting + p.Reading + p.Writing + p.Retrying + p.Auditing + p.Other
	for _, s := range p.Throttled {
		sum += s
	}
	return sum
}

// String is one line for people.
func (p Parts) String() string {
	var b strings.Builder
	say := func(what string, seconds float64) {
		if seconds >= 0.05 {
			fmt.Fprintf(&b, ", %s %.1f s", what, seconds)
		}
	}
	say("waiting", p.Waiting)
	for _, cause := range causes(p.Throttled) {
		say("throttled by "+cause, p.Throttled[cause])
	}
	say("reading", p.Reading)
	say("writing", p.Writing)
	say("retrying", p.Retrying)
	say("auditing", p.Auditing)
	say("other", p.Other)
	return strings.TrimPrefix(b.String(), ", ")
}

func (p *Parts) add(o Parts, factor float64) {
	p.Waiting += o.Waiting * factor
	p.Reading += o.Reading * factor
	p.Writing += o.Writing * factor
	p.Retrying += o.Retrying * factor
	p.Auditing += o.Auditing * factor
	p.Other += o.Other * factor
	for cause, s := range o.Throttled {
		p.throttled(cause, s*factor)
	}
}

func (p *Parts) throttled(cause string, seconds float64) {
	if p.Throttled == nil {
		p.Throttled = map[string]float64{}
	}
	p.Throttled[cause] += seconds
}

// idle divides a wait into what was held back by something, and the rest.
func (p *Parts) idle(from, to time.Time, throttles []ledger.Throttle) {
	rest := to.Sub(from)
	if rest <= 0 {
		return
	}
	for _, t := range throttles {
		begin, end := later(from, t.From), earlier(to, t.To)
		if d := min(end.Sub(begin), rest); d > 0 {
			p.throttled(t.Cause, d.Seconds())
			rest -= d
		}
	}
	p.Waiting += rest.Seconds()
}

// held divides the time in which pages were held, by what held the work meanwhile.
func (p *Parts) held(a ledger.Attempt, throttles []ledger.Throttle) {
	var all Parts
	all.idle(a.From, a.To, throttles)
	sum := all.Sum() - all.Waiting
	if sum == 0 {
		if a.Held > 0 {
			p.throttled(unknown, a.Held.Seconds())
		}
		return
	}
	for cause, s := range all.Throttled {
		p.throttled(cause, a.Held.Seconds()*s/sum)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// split is pure: a run's whole time until end, and its parts.
func split(run ledger.Run, units []ledger.Unit, attempts []ledger.Attempt, throttles []ledger.Throttle, end time.Time) (time.Duration, Parts) {
	begin := later(run.PlannedStart, run.CreatedAt)
	if !run.StartedAt.IsZero() {
		begin = earlier(begin, run.StartedAt)
	}
	var p Parts
	if run.StartedAt.IsZero() {
		p.idle(begin, end, throttles)
		return end.Sub(begin), p
	}
	p.idle(begin, run.StartedAt, throttles)
	loaded := end
	if run.Vouched() {
		loaded = run.StartedAt
		for _, u := range units {
			loaded = later(loaded, u.FinishedAt)
		}
		p.Auditing = end.Sub(loaded).Seconds()
	}
	of := map[int][]ledger.Attempt{}
	for _, a := range attempts {
		of[a.Unit] = append(of[a.Unit], a)
	}
	var all Parts
	for _, u := range units {
		all.add(unit(run, u, of[u.Unit], throttles, loaded), 1)
	}
	if sum := all.Sum(); sum > 0 {
		p.add(all, loaded.Sub(run.StartedAt).Seconds()/sum)
	} else {
		p.Waiting += loaded.Sub(run.StartedAt).Seconds()
	}
	return end.Sub(begin), p
}

// failedAttempt says that an attempt's time was of no use, but for the pages that it recorded.
func failedAttempt(outcome string) bool {
	return outcome == "failed" || outcome == "lost" || outcome == "fenced" || outcome == "unavailable"
}

// unit is pure: the parts of a unit's time, from the run's first claim until the unit ended.
func unit(run ledger.Run, u ledger.Unit, attempts []ledger.Attempt, throttles []ledger.Throttle, end time.Time) (p Parts) {
	if !u.FinishedAt.IsZero() && u.State == ledger.UnitDone {
		end = earlier(end, u.FinishedAt)
	}
	at, retrying := run.StartedAt, false
	gap := func(to time.Time) {
		if to = earlier(to, end); !to.After(at) {
			return
		}
		// A unit that was claimed and left no record of it was lost with its pod.
		if retrying || !u.StartedAt.IsZero() && !u.StartedAt.After(at) && u.Recovers > 0 {
			p.Retrying += to.Sub(at).Seconds()
		} else {
			p.idle(at, to, throttles)
		}
		at = to
	}
	if !u.StartedAt.IsZero() {
		gap(u.StartedAt)
	}
	for _, a := range attempts {
		gap(a.From)
		took := earlier(a.To, end).Sub(later(a.From, at))
		if took <= 0 {
			continue
		}
		at = at.Add(later(a.From, at).Sub(at) + took)
		if retrying = failedAttempt(a.Outcome); retrying {
			p.Retrying += took.Seconds()
			continue
		}
		p.Reading += a.Read.Seconds()
		p.Writing += a.Write.Seconds()
		p.held(a, throttles)
		p.Other += max(0, took-a.Read-a.Write-a.Held).Seconds()
	}
	gap(end)
	return p
}
