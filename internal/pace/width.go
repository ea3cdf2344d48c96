package pace

import (
	"fmt"
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// What the law goes by. A decision is made every Tick.
const (
	// Tick is the time between two decisions.
	Tick = 2 * time.Second
	// Silence is how long a pod believes the last width it heard. Then it works with width.min: whoever decides may have
	// told the others to stop.
	Silence = 15 * time.Second
	// growShare is how much the width grows in one decision, at least by one: from 1 to 64 in 36 s.
	growShare = 0.25
	// settle is how long a shrink is given to show in the signals before the next one of the same sharpness.
	settle = 6 * time.Second
	// calm is how long the signals must be well before the ceiling that a shrink has left is raised again, in small steps.
	calm = 20 * time.Second
	// probe is the same above the width at which the guard last spoke: a step is tried after probe, after twice that if it
	// failed again, and so on up to probeMost.
	probe     = 30 * time.Second
	probeMost = 16 * time.Minute
	// forget is how long all must have been well for the last trouble to mean nothing.
	forget = 30 * time.Minute
	// linger is how long a need must have been lower before the width follows it down, lingerFar if it is lower than the
	// width by far: the need wavers as units end and runs begin, and slots that find nothing to do harm nobody.
	linger    = 5 * time.Minute
	lingerFar = time.Minute
	far       = 0.5
	// near is how much of the need is near enough not to grow: the headroom is greater than what is missing.
	near = 0.95
)

// Override is what somebody has set by hand. Every one ends by itself.
type Override struct {
	Pin   int       `json:"pin,omitempty"` // this width, whatever the need; 0: not pinned
	Min   int       `json:"min,omitempty"` // instead of width.min; 0: not set
	Max   int       `json:"max,omitempty"` // instead of width.max; 0: not set
	Pause bool      `json:"pause,omitempty"`
	Until time.Time `json:"until"`
	Who   string    `json:"who"`
	Why   string    `json:"why"`
}

// Validate says what is wrong with an override: a bound that turns Min and Max around, no end, nobody, nothing set.
func (o Override) Validate(now time.Time, w config.Width) error {
	switch {
	case o.Pin < 0 || o.Min < 0 || o.Max < 0:
		return fmt.Errorf("an override cannot be below zero")
	case o.Pin == 0 && o.Min == 0 && o.Max == 0 && !o.Pause:
		return fmt.Errorf("an override sets pin, min, max or pause")
	case o.Pin > w.Max || o.Min > w.Max || o.Max > w.Max:
		return fmt.Errorf("an override stays within width.max, which is %d", w.Max)
	case o.Min > 0 && o.Max > 0 && o.Min > o.Max:
		return fmt.Errorf("min %d is more than max %d", o.Min, o.Max)
	case !o.Until.After(now):
		return fmt.Errorf("an override needs an end in the future")
	case o.Who == "" || o.Why == "":
		return fmt.Errorf("an override says who set it and why")
	}
	return nil
}

// Input is what a width is computed from.
type Input struct {
	Now      time.Time
	Demand   Demand
	Guard    guard.Verdict
	Bounds   config.Width
	Pods     int // that live; less than 1 counts as 1
	Override *Override
}

// State is what the law remembers from one decision to the next. It is published with the width, so that another leader
// goes on with it. The zero value is a fresh start at width.min.
type State struct {
	Width     int       `json:"width"`
	Limit     int       `json:"limit"`      // what the guard has left; 0: no limit
	Knee      int       `json:"knee"`       // width at which the guard last spoke; 0: never, or forgotten
	Spoken    time.Time `json:"spoken"`     // the guard was last worse than grow
	Shrunk    time.Time `json:"shrunk"`     // the guard last made the width smaller
	Sharpness float64   `json:"sharpness"`  // the factor of that shrink
	Raised    time.Time `json:"raised"`     // Limit was last raised
	Failures  int       `json:"failures"`   // probes that ended in a shrink
	LowSince  time.Time `json:"low_since"`  // the need has been below the width; zero: it is not
	LowMost   int       `json:"low_most"`   // the greatest need since then
	Before    Blame     `json:"before"`     // what stood before the last shrinks
	Crowd     time.Time `json:"crowd"`      // others' load last stopped the work
	Stopped   bool      `json:"stopped"`    // by the guard
	Kept      bool      `json:"kept"`       // that stop keeps the width
	PodsAsked int       `json:"pods_asked"` // PodsWanted's
	PodsSince time.Time `json:"pods_since"`
}

// Blame is what the law held its own width guilty of.
type Blame struct {
	Width    int `json:"width"` // 0: there was no shrink
	Limit    int `json:"limit"`
	Knee     int `json:"knee"`
	Failures int `json:"failures"`
}

// Result is a width and why it is that.
type Result struct {
	Width   int    `json:"width"`   // slots over all pods, at least 1
	Ceiling int    `json:"ceiling"` // what the width could be now: the least of width.max, the pods' slots and the guard's limit
	Wanted  int    `json:"wanted"`  // what the need asks for, before the ceiling; at least min
	Paused  bool   `json:"paused"`  // every slot pauses before its next page
	Bound   bool   `json:"bound"`   // the ceiling binds: the need is greater
	Binds   string `json:"binds"`   // what the ceiling is: "max", "pods" or "guard"
	Reason  string `json:"reason"`  // one line, for people

	least int // width.min, as it is now
}

// What a ceiling can be.
const (
	BindsMax   = "max"
	BindsPods  = "pods"
	BindsGuard = "guard"
)

// Next is pure: the width from the need, the guard and the bounds.
//
//	width = clamp(need, min, min(max, what the pods carry, what the guard has left))
//
// The width grows by a quarter per decision and shrinks at once. It does not swing: between the value at which the guard
// lets it grow and the one at which it shrinks there is a zone in which it stays, and growth in small steps ends there; what
// was too much is remembered and tried again at waits that double; a need that falls is followed when it has been lower
// for a minute, or is lower by half.
//
// The guard is stronger than a pin; a pin is stronger than the need.
func Next(s State, in Input) (State, Result) {
	w, hand := bounds(in)
	s.Width = min(max(s.Width, w.Min), w.Max)
	s = s.heed(in, w)
	r := Result{Wanted: wanted(in, w, hand), least: w.Min}
	r.Ceiling, r.Binds = ceiling(s, in, w)
	if r.Ceiling < r.Wanted {
		r.Bound = true
		s, r = s.probe(in, r, w)
	}
	target := min(r.Wanted, r.Ceiling)
	var why string
	s, why = s.follow(in, target, r, hand)
	r.Width = s.Width
	r.Paused = s.Stopped || hand != nil && hand.Pause
	r.Reason = reason(s, in, r, hand, why)
	return s, r
}

// bounds are the configured ones or those set by hand, whatever was given: 1 <= min <= max.
func bounds(in Input) (config.Width, *Override) {
	w := in.Bounds
	hand := in.Override
	if hand != nil && !hand.Until.After(in.Now) {
		hand = nil
	}
	if hand != nil && hand.Min > 0 {
		w.Min = hand.Min
	}
	if hand != nil && hand.Max > 0 {
		w.Max = hand.Max
	}
	w.Max = max(w.Max, 1)
	w.Min = min(max(w.Min, 1), w.Max)
	w.MaxPerPod = max(w.MaxPerPod, 1)
	return w, hand
}

func wanted(in Input, w config.Width, hand *Override) int {
	if hand != nil && hand.Pin > 0 {
		return min(max(hand.Pin, w.Min), w.Max)
	}
	// A need beyond all bounds, or one that is no number, is still a width.
	const most = 1e6
	need := in.Demand.Slots
	if !(need > 0) {
		need = 0
	}
	return max(int(math.Ceil(min(need, most)-1e-9)), w.Min)
}

// ceiling is what the width could be now, and what makes it that.
func ceiling(s State, in Input, w config.Width) (int, string) {
	c, binds := w.Max, BindsMax
	if carried := max(in.Pods, 1) * w.MaxPerPod; carried < c {
		c, binds = carried, BindsPods
	}
	if s.Limit > 0 && s.Limit < c {
		c, binds = s.Limit, BindsGuard
	}
	return c, binds
}

// heed takes the guard's word.
func (s State) heed(in Input, w config.Width) State {
	wasStopped, wasKept := s.Stopped && !s.Kept, s.Kept
	s.Stopped = in.Guard.Zone == guard.Stop
	s.Kept = s.Stopped && in.Guard.Keep
	if s.Kept && !wasKept && in.Now.Sub(s.Shrunk) <= settle {
		s.Width = max(s.Width, s.Before.Width)
		s = s.acquit()
	}
	if s.Kept {
		s.Crowd = in.Now
	}
	switch in.Guard.Zone {
	case guard.Stop:
		if s.Kept { // nothing is learned about the width from what others do
			break
		}
		s.Spoken = in.Now
		if !wasStopped {
			s = s.shrink(in.Now, w.Min, 0)
			s.Before = Blame{} // it stays to blame, whoever comes
		}
	case guard.Shrink:
		factor := min(max(in.Guard.Factor, guard.MinFactor), guard.MaxFactor)
		if math.IsNaN(factor) {
			factor = guard.MinFactor
		}
		s.Spoken = in.Now
		if in.Now.Sub(s.Shrunk) >= settle || factor < 0.7*s.Sharpness {
			s = s.shrink(in.Now, max(int(float64(s.Width)*factor), w.Min), factor)
		} else {
			s.Limit = least(s.Limit, s.Width)
		}
	case guard.Hold:
		if in.Guard.Blind { // what is not known is no trouble: the width does not grow, and nothing is learned from it
			break
		}
		s.Spoken = in.Now
		s.Limit = least(s.Limit, s.Width)
	default:
		if s.inItsWake() { // the width was cut, and grows again as it grew
			s = s.acquit()
		}
		if in.Now.Sub(s.Spoken) >= forget {
			s.Knee, s.Failures = 0, 0
		}
	}
	return s
}

// acquit takes back what the width was blamed for: servers are slow before it is known that it is a crowd that makes them so,
// and for some seconds after it has gone; then they bear what they bore.
func (s State) acquit() State {
	if b := s.Before; b.Width > 0 {
		s.Limit, s.Knee, s.Failures = b.Limit, b.Knee, b.Failures
		s.Shrunk, s.Sharpness, s.Before = time.Time{}, 0, Blame{}
	}
	return s
}

// inItsWake says whether the last shrink came just after a crowd.
func (s State) inItsWake() bool {
	return s.Shrunk.After(s.Crowd) && s.Shrunk.Sub(s.Crowd) <= settle
}

func (s State) shrink(now time.Time, to int, factor float64) State {
	if s.Before.Width == 0 || now.Sub(s.Shrunk) > settle {
		s.Before = Blame{s.Width, s.Limit, s.Knee, s.Failures}
	}
	if s.Width > to {
		if s.Knee > 0 && s.Width >= s.Knee {
			s.Failures++
		}
		s.Knee = s.Width
	}
	s.Width = min(s.Width, to)
	s.Limit, s.Shrunk, s.Sharpness = s.Width, now, factor
	return s
}

// least is the smaller of two limits, of which 0 is none.
func least(a, b int) int {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// probe raises the guard's limit by a step when all has been well for long enough.
func (s State) probe(in Input, r Result, w config.Width) (State, Result) {
	if s.Limit == 0 || in.Guard.Zone != guard.Grow || s.Width < s.Limit {
		return s, r
	}
	wait := calm
	if s.Knee > 0 && s.Limit+1 >= s.Knee {
		wait = min(probe<<min(s.Failures, 10), probeMost)
	}
	since := s.Spoken
	if s.Raised.After(since) {
		since = s.Raised
		if wait == calm { // below the knee the first step waits, the others follow at a settled pace
			wait = settle
		}
	}
	if in.Now.Sub(since) < wait {
		return s, r
	}
	if s.Knee > 0 && s.Width >= s.Knee { // it bears what it did not bear
		s.Knee = 0
	}
	step := max(s.Limit/10, 1)
	if s.Knee > 0 && s.Limit < s.Knee-1 {
		step = min(step, s.Knee-1-s.Limit)
	}
	s.Limit += step
	s.Raised = in.Now
	r.Ceiling, r.Binds = ceiling(s, in, w)
	r.Bound = r.Ceiling < r.Wanted
	return s, r
}

// follow moves the width towards the target.
func (s State) follow(in Input, target int, r Result, hand *Override) (State, string) {
	low := func(since time.Time, most int) { s.LowSince, s.LowMost = since, most }
	switch {
	case s.Stopped:
		low(time.Time{}, 0)
		return s, ""
	case target == s.Width:
		low(time.Time{}, 0)
		return s, ""
	case target > s.Width && (hand == nil || hand.Pin == 0) && s.Width >= r.least && float64(s.Width) >= near*in.Demand.Slots:
		low(time.Time{}, 0)
		return s, "near"
	case target > s.Width:
		low(time.Time{}, 0)
		if in.Guard.Zone != guard.Grow {
			return s, "held"
		}
		s.Width = min(target, s.Width+max(int(float64(s.Width)*growShare), 1))
		if s.Width < target {
			return s, "growing"
		}
		return s, ""
	case r.Ceiling < s.Width, hand != nil && hand.Pin > 0:
		low(time.Time{}, 0)
		s.Width = target
		return s, ""
	}
	if s.LowSince.IsZero() || s.LowMost >= s.Width { // or the width was cut below that meanwhile
		low(in.Now, target)
	}
	s.LowMost = max(s.LowMost, target)
	wait := linger
	if float64(s.LowMost) < far*float64(s.Width) {
		wait = lingerFar
	}
	if in.Now.Sub(s.LowSince) < wait {
		return s, "lingering"
	}
	s.Width = min(s.Width, s.LowMost)
	if s.Width > target { // it was lower still, if not all the time
		low(in.Now, target)
		return s, "lingering"
	}
	low(time.Time{}, 0)
	return s, ""
}

func reason(s State, in Input, r Result, hand *Override, why string) string {
	need := in.Demand.Reason
	if hand != nil && hand.Pin > 0 {
		need = fmt.Sprintf("pinned at %d", hand.Pin)
	}
	var text string
	switch {
	case s.Stopped:
		text = fmt.Sprintf("stopped: %s", in.Guard.Reason)
	case hand != nil && hand.Pause:
		text = "paused"
	case why == "held":
		text = fmt.Sprintf("%d, not growing to %d: %s", r.Width, min(r.Wanted, r.Ceiling), in.Guard.Reason)
	case why == "near":
		text = fmt.Sprintf("%d, near enough: %s", r.Width, need)
	case why == "growing":
		text = fmt.Sprintf("%d, growing to %d: %s", r.Width, min(r.Wanted, r.Ceiling), need)
	case why == "lingering":
		text = fmt.Sprintf("%d, down to %d if the need stays low: %s", r.Width, s.LowMost, need)
	case r.Bound && r.Binds == BindsGuard && in.Guard.Zone != guard.Grow:
		text = fmt.Sprintf("%d is what the servers bear now, %d wanted (%s): %s", r.Width, r.Wanted, need, in.Guard.Reason)
	case r.Bound && r.Binds == BindsGuard:
		text = fmt.Sprintf("%d is what the servers bore, %d wanted (%s); more is tried when all has been well for a while", r.Width, r.Wanted, need)
	case r.Bound && r.Binds == BindsPods:
		text = fmt.Sprintf("%d is what %d pods carry, %d wanted (%s)", r.Width, max(in.Pods, 1), r.Wanted, need)
	case r.Bound:
		text = fmt.Sprintf("%d is width.max, %d wanted (%s)", r.Width, r.Wanted, need)
	default:
		text = fmt.Sprintf("%d: %s", r.Width, need)
	}
	if hand != nil {
		text += fmt.Sprintf("; by hand until %s by %s: %s", clock(hand.Until), hand.Who, hand.Why)
	}
	return text
}
