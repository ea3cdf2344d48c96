package pace

import (
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
	// growShare is how much the width grows in one decision, at least by one: from 1 to 64 in 36 s. Where pods are busy it is asked first
	// what slots bring (Gain): from 1 to 37 in 98 s.
	growShare = 0.25
	// linger is how long a need must have been lower before the width follows it down, lingerFar if it is lower than the
	// width by far: the need wavers as units end and runs begin, and slots that find nothing to do harm nobody.
	linger    = 5 * time.Minute
	lingerFar = time.Minute
	far       = 0.5
	// near is how much of the need is near enough not to grow: the headroom is greater than what is missing.
	near = 0.95
)

// Input is what a width is computed from.
type Input struct {
	Now      time.Time
	Demand   Demand
	Guard    guard.Verdict
	Busy     string        // why the pods should not get more to do; "": they may
	Near     bool          // they come near to that
	Done     float64       // Felt.Done since the last decision
	Spent    float64       // Felt.Spent since then
	For      time.Duration // since it; 0: what was done is not known
	Planning bool          // shops were planned since the last decision
	Unheard  bool          // the last decision did not reach the pods: what was done is not its doing
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
	Borne     Borne     `json:"borne"` // of this evening and those before
	Gain      Gain      `json:"gain"`  // what slots bring
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

// Next is pure: the width from the need, the guard and the bounds.
//
//	width = clamp(need, min, min(max, what the pods carry, what the guard has left))
//
// The width grows by a quarter per decision and shrinks at once. It does not swing: between the value at which the guard
// lets it grow and the one at which it shrinks there is a zone in which it stays, and growth in small steps ends there; what
// was too much is remembered and tried again at waits that double; a need that falls is followed when it has been lower
// for a minute, or is lower by half. Where pods are busy it grows by trials only, and slots that bring nothing are taken
// back (Gain); while they have all they can do it does not grow.
//
// The guard is stronger than a pin; a pin is stronger than the need.
func Next(s State, in Input) (State, Result) {
	w, hand := bounds(in)
	if hand != nil && hand.Pin > 0 { // people may know better what pods do
		in.Busy = ""
	}
	s.Width = min(max(s.Width, w.Min), w.Max)
	if s.Limit > 0 { // which another minimum has left
		s.Limit = max(s.Limit, w.Min)
	}
	s = s.heed(in, w)
	if s.Stopped { // the width that is kept, or comes back, may be of more pods or of another maximum
		s.Width = min(s.Width, w.Max, carried(in, w))
	}
	r := Result{Wanted: wanted(in, w, hand), least: w.Min}
	s = s.weigh(in, w, hand, r.Wanted)
	r.Ceiling, r.Binds = ceiling(s, in, w)
	if r.Ceiling < r.Wanted {
		r.Bound = true
		s, r = s.probe(in, r, w)
	}
	target := min(r.Wanted, r.Ceiling)
	var why string
	s, why = s.follow(in, target, r, hand)
	s.Gain = s.Gain.at(s.Width, in.Now)
	r.Width = s.Width
	r.Paused = s.Stopped || hand != nil && hand.Pause
	s.Borne = s.Borne.learn(s, in, r)
	r.Reason = reason(s, in, r, hand, why)
	return s, r
}

func wanted(in Input, w config.Width, hand *Override) int {
	if hand != nil && hand.Pin > 0 {
		return min(max(hand.Pin, w.Min), w.Max)
	}
	// A need beyond all bounds, or one that is no number, is still a width.
	const most = 1e6
	need := in.Demand.width()
	if !(need > 0) {
		need = 0
	}
	return max(int(math.Ceil(min(need, most)-1e-9)), w.Min)
}

// follow moves the width towards the target.
func (s State) follow(in Input, target int, r Result, hand *Override) (State, string) {
	low := func(since time.Time, most int) { s.LowSince, s.LowMost = since, most }
	s.Gain.Wants = since(target > s.Width, s.Gain.Wants, in.Now)
	switch {
	case s.Stopped:
		low(time.Time{}, 0)
		return s, ""
	case s.Gain.Trying > 0 && target > min(s.Gain.Trying, s.Gain.Base) && r.Ceiling >= s.Gain.Trying:
		low(time.Time{}, 0)
		s.Width = s.Gain.Trying
		return s, "trying"
	case target == s.Width:
		low(time.Time{}, 0)
		return s, ""
	case target > s.Width && (hand == nil || hand.Pin == 0) && s.Width >= r.least && float64(s.Width) >= near*in.Demand.width():
		low(time.Time{}, 0)
		return s, "near"
	case target > s.Width:
		low(time.Time{}, 0)
		if in.Guard.Zone != guard.Grow {
			return s, "held"
		}
		if in.For > 0 && hand == nil && s.Gain.asks(s.Width, in.Now) {
			return s.grow(target, in.Now)
		}
		if in.For > 0 && hand == nil && s.Gain.begins(in.Now) {
			return s, "beginning"
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
