package simulate

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// Point is a moment of the evening; they are Tick apart, but for stretches in which nothing can be done.
type Point struct {
	At       time.Time `json:"at"`
	Width    int       `json:"width"`
	Ceiling  int       `json:"ceiling"`
	Demand   float64   `json:"demand"`
	Capacity float64   `json:"capacity"` // what the database had left, which nobody but the simulator knows
	Slots    float64   `json:"slots"`    // at work, on average
	Live     float64   `json:"live"`
	Slowdown float64   `json:"slowdown"`
	Backlog  float64   `json:"backlog"` // slot seconds, as believed
	Paused   bool      `json:"paused"`
	Zone     string    `json:"zone"`
	Reason   string    `json:"reason"`
}

// Outcome is what became of a broadcast.
type Outcome struct {
	Run       string        `json:"run"`
	Announced time.Time     `json:"announced"`
	Deadline  time.Time     `json:"deadline"`
	Rows      int64         `json:"rows"`
	AtIntake  pace.Verdict  `json:"at_intake"` // its own
	AtLast    pace.Verdict  `json:"at_last"`   // when the last list was taken in of which it could be told in time, its own or another
	Warned    time.Time     `json:"warned"`    // the first verdict that expected it to be late; zero: never
	Planned   time.Time     `json:"planned"`
	Ready     time.Time     `json:"ready"` // zero: not before the end of the simulation
	Late      time.Duration `json:"late"`  // 0: in time
	Moves     int           `json:"moves"` // of its planned start after the first
}

// Evening is what happened.
type Evening struct {
	Scenario  *Scenario
	Points    []Point
	Outcomes  []Outcome // in the order of Scenario.Broadcasts
	Reversals int       // times that the width turned around, paused or not
	Changes   int       // real changes of load: lists that raise the need by half, work that begins or ends, faults
	Harm      float64   // seconds in which the live load took more than 1.5 times as long and would not have without us
}

// HarmAt is the slowdown of the live load that counts as harm.
const HarmAt = 1.5

// How often plans and verdicts are made anew without cause, and all work is weighed by the rates learned since.
const (
	replanEvery  = 10 * time.Minute
	reweighTicks = 15
)

// lastCall is how long before a deadline an intake must be for its verdict to count: what is said a minute before is no news.
const lastCall = 5 * time.Minute

// run is a broadcast on its way.
type run struct {
	broadcast int
	left      [2]float64 // rows
	held      [2]float64 // rows of units that a dead pod had in hand
	start     time.Time
	begun     bool
	urgent    bool // it begins at once
}

// evening is the state between two ticks.
type evening struct {
	*Scenario
	server  server
	rand    *rand.Rand
	out     *Evening
	open    []run // by deadline
	next    int   // broadcast to be announced
	law     pace.State
	result  pace.Result
	heard   time.Time // the last decision
	pages   *guard.Gauge
	threads *guard.Gauge
	planned time.Time
	dir     int  // of the last change of the width
	working bool // there was something to do
	ticks   int

	mean, cautious [2]float64  // of a row, when all was last weighed
	works          []pace.Work // of open, in its order
	living         int         // pods, at the last tick
	free           time.Time   // when units that dead pods hold are taken over; zero: there are none
}

// Play plays the evening.
func Play(s Scenario) Evening {
	s.Policy = s.Policy.Fill()
	e := &evening{
		Scenario: &s, server: server{&s}, rand: rand.New(rand.NewPCG(s.Seed, 1)), //nolint:gosec // repeatable
		out:   &Evening{Scenario: &s, Outcomes: make([]Outcome, len(s.Broadcasts))},
		pages: guard.PageTime("users", config.Defaults().Guard.PageTime), threads: guard.ThreadsRunning("main", config.Defaults().Guard.ThreadsRunning),
	}
	if s.Ceiling > 0 {
		e.law.Borne = pace.Bore(s.Ceiling, s.Begin.Add(-20*time.Hour))
	}
	e.pages.Base = guard.Baseline{Value: s.RowSeconds[0], Samples: guard.Learned} // yesterday's
	for i, b := range s.Broadcasts {
		e.out.Outcomes[i] = Outcome{Run: b.Run, Announced: b.Announced, Deadline: b.Deadline, Rows: b.Rows[0] + b.Rows[1]}
	}
	for now := s.Begin; now.Before(s.End); {
		e.announce(now)
		if len(e.open) == 0 && e.next == len(s.Broadcasts) {
			break
		}
		if later := e.idleUntil(now); later.After(now) {
			now = later
			continue
		}
		e.tick(now)
		now = now.Add(pace.Tick)
	}
	for _, r := range e.open {
		o := &e.out.Outcomes[r.broadcast]
		o.Late = s.End.Sub(o.Deadline)
	}
	return *e.out
}

// idleUntil is the next moment at which something can happen, if nothing can now and the width is at rest.
func (e *evening) idleUntil(now time.Time) time.Time {
	later := e.End
	if e.next < len(e.Broadcasts) {
		later = e.Broadcasts[e.next].Announced
	}
	if anew := e.planned.Add(replanEvery); len(e.open) > 0 && anew.Before(later) {
		later = anew // by what was learned since
	}
	for _, r := range e.open {
		if r.begun || !r.start.After(now.Add(e.Policy.Ahead)) {
			return now
		}
		if soon := r.start.Add(-e.Policy.Ahead); soon.Before(later) {
			later = soon
		}
	}
	if e.law.Width > e.Width.Min {
		return now
	}
	return now.Add((later.Sub(now) + pace.Tick - 1).Truncate(pace.Tick))
}

// announce takes in what was announced, and plans anew if there is cause.
func (e *evening) announce(now time.Time) {
	first, before := e.next, 0.0
	if e.next < len(e.Broadcasts) && !e.Broadcasts[e.next].Announced.After(now) {
		before = backlog(e.open, e.Scenario)
	}
	for e.next < len(e.Broadcasts) && !e.Broadcasts[e.next].Announced.After(now) {
		b := e.Broadcasts[e.next]
		r := run{broadcast: e.next, left: [2]float64{float64(b.Rows[0]), float64(b.Rows[1])}}
		if r.urgent = b.Announced.After(b.Earliest); r.urgent {
			r.start = now
		}
		e.open = append(e.open, r)
		e.next++
	}
	if e.next == first && (now.Sub(e.planned) < replanEvery || len(e.open) == 0) {
		return
	}
	if e.next > first {
		slices.SortFunc(e.open, func(a, b run) int {
			x, y := e.Broadcasts[a.broadcast], e.Broadcasts[b.broadcast]
			if c := x.Deadline.Compare(y.Deadline); c != 0 {
				return c
			}
			return cmp.Compare(x.Run, y.Run)
		})
		if backlog(e.open, e.Scenario) > 1.5*before {
			e.out.Changes++
		}
	}
	e.planned = now
	e.plan(now, first)
}

// plan gives every run its start and its verdict; those from first on are new.
func (e *evening) plan(now time.Time, first int) {
	e.weigh(now)
	verdicts := pace.Judge(now, e.works, e.known(now), e.Policy)
	for i := range e.open {
		r, v := &e.open[i], verdicts[i]
		o := &e.out.Outcomes[r.broadcast]
		if r.broadcast >= first || e.next > first && o.Deadline.Sub(now) >= lastCall {
			o.AtLast = v
		}
		if r.broadcast >= first {
			o.AtIntake = v
		} else if !r.start.Equal(v.Start) {
			o.Moves++
		}
		r.start, o.Planned = v.Start, v.Start
		e.works[i].Start = v.Start
		if v.Margin < 0 && o.Warned.IsZero() {
			o.Warned = now
		}
	}
}

// known is what planning counts on: what the law has found the servers to bear, if it has.
func (e *evening) known(now time.Time) pace.Limits {
	return pace.Known(now, e.Width, e.server.at(now).thought, e.law, e.result)
}

// weigh makes e.works the open runs as the planner sees them.
func (e *evening) weigh(now time.Time) {
	for d, r := range e.Rates {
		e.mean[d], _ = r.Cost(now)
		e.cautious[d] = r.Cautious(now)
	}
	e.works = e.works[:0]
	for i := range e.open {
		e.works = append(e.works, e.weighOne(&e.open[i]))
	}
	for d, r := range e.Rates {
		if i := slices.IndexFunc(e.open, func(o run) bool { return o.left[d] > 0 }); i >= 0 && r.Unproven(now) {
			e.works[i].Probe = true
		}
	}
}

func (e *evening) weighOne(r *run) pace.Work {
	b := &e.Broadcasts[r.broadcast]
	w := pace.Work{Run: b.Run, Earliest: b.Earliest, Start: r.start, Deadline: b.Deadline, Begun: r.begun || r.urgent}
	for d, rows := range r.left {
		rows += r.held[d]
		w.Seconds += rows * e.mean[d]
		w.Cautious += rows * e.cautious[d]
		w.Units += e.units(rows)
		w.Longest = max(w.Longest, min(rows, float64(e.UnitRows))*e.cautious[d])
	}
	return w
}

func (e *evening) units(rows float64) int { return (int(rows+0.999) + e.UnitRows - 1) / e.UnitRows }

// tick decides, works for the time of a tick, and looks at what it did to the servers.
func (e *evening) tick(now time.Time) {
	st := e.server.at(now)
	if e.ticks++; e.ticks%reweighTicks == 0 {
		e.weigh(now)
	}
	demand := pace.Need(now, e.works, e.Policy).On(float64(e.known(now).Ceiling), e.Policy)
	verdict := guard.Worst([]guard.Verdict{e.pages.Judge(now), e.threads.Judge(now)})
	if !st.noLeader {
		e.law, e.result = pace.Next(e.law, pace.Input{Now: now, Demand: demand, Guard: verdict, Bounds: e.Width, Pods: st.thought})
		e.heard = now
	}
	width, paused := e.inForce(now, st)
	e.bury(now, st, width)
	slots := 0.0
	if !paused {
		slots = e.work(now, float64(width), e.server.slowdown(st, float64(min(width, e.busy(now)))))
	}
	slow := e.server.slowdown(st, slots)
	if slow > HarmAt && slow > 1.05*e.server.slowdown(st, 0) {
		e.out.Harm += pace.Tick.Seconds()
	}
	e.pages.Quiet = width <= e.Width.Min
	e.sense(now.Add(pace.Tick), st, slots, slow)
	e.out.Points = append(e.out.Points, Point{
		At: now, Width: width, Ceiling: e.result.Ceiling, Demand: demand.Slots, Capacity: e.server.capacity(st), Slots: slots, Live: st.live,
		Slowdown: slow, Backlog: demand.Backlog, Paused: paused, Zone: verdict.Zone.String(), Reason: e.result.Reason,
	})
	e.changed(now, demand.Bare > 0)
	e.turned()
}

// changed counts real changes of load: of what there is to do, and of the world.
func (e *evening) changed(now time.Time, working bool) {
	if working != e.working {
		e.out.Changes++
		e.working = working
	}
	for _, f := range e.Faults {
		for _, t := range []time.Time{f.From, f.To} {
			if !t.Before(now) && t.Before(now.Add(pace.Tick)) {
				e.out.Changes++
			}
		}
	}
}

// turned counts the turns of the width.
func (e *evening) turned() {
	n := len(e.out.Points)
	if n < 2 {
		return
	}
	change := e.out.Points[n-1].Width - e.out.Points[n-2].Width
	if change == 0 {
		return
	}
	dir := 1
	if change < 0 {
		dir = -1
	}
	if e.dir != 0 && dir != e.dir {
		e.out.Reversals++
	}
	e.dir = dir
}
