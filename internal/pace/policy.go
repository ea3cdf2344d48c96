package pace

import "time"

// Policy is how an evening is paced.
type Policy struct {
	Headroom float64 // the width is the bare need times this; default 1.25
	Share    float64 // of the known ceiling that is planned with; the rest is for late-comers; default 0.7
	// Level is what the plan fills, as a multiple of the lowest level at which all deadlines hold: 1 spreads the load as far
	// as the lead allows, more begins later and is fresher. It is rounded up (by 1.2 on average) and bounded by Share. Default 1.
	Level  float64
	Margin time.Duration // runs aim to be ready this long before their deadline; default 2m
	// Soonest is the time in which what is due, or overdue, is asked to be done: without a floor the need of the last row
	// would be infinite. Default 10s: five decisions.
	Soonest time.Duration
	// Ahead is how soon work must be allowed to begin for there to be a need at all; width that waits for nothing is given
	// back, and pods with it. Default 2m, in which the width can grow from 1 to several hundred.
	Ahead time.Duration
	// Keep is how much too early a planned start may be before it is moved; one that is moved is put half of it too early.
	// Plans that hardly change move nothing. Default 10m.
	Keep time.Duration
	// Cushion is how long before its deadline every run begins at the latest, the lead allowing: an estimate may be wrong by a
	// hundred, and whoever would mend the plan may be away. Default 30m.
	Cushion time.Duration
	Lead    time.Duration // the earliest start is the broadcast's less this; 0: at once
}

// Fill sets the defaults of what was left out or cannot be.
func (p Policy) Fill() Policy {
	if !(p.Headroom >= 1) {
		p.Headroom = 1.25
	}
	if !(p.Share > 0 && p.Share <= 1) {
		p.Share = 0.7
	}
	if !(p.Level >= 1) {
		p.Level = 1
	}
	if p.Margin <= 0 {
		p.Margin = 2 * time.Minute
	}
	if p.Soonest <= 0 {
		p.Soonest = 10 * time.Second
	}
	if p.Ahead <= 0 {
		p.Ahead = 2 * time.Minute
	}
	if p.Keep <= 0 {
		p.Keep = 10 * time.Minute
	}
	if p.Cushion <= 0 {
		p.Cushion = 30 * time.Minute
	}
	return p
}

// within is the time in which what is due in d is asked to be done, in seconds: until the deadline's margin, never less
// than Soonest.
func (p Policy) within(d time.Duration) float64 { return float64(max(d-p.Margin, p.Soonest)) * 1e-9 }

// An evening is full by degrees: not at all while its need is below fullFrom of the share of the ceiling that is planned with, wholly from
// fullTo on. Of the two of 800 simulated evenings that were missed though they could have been met, each by a giant that was announced an
// hour ahead, 0.5 and 1 saved one, 0.4 and 0.8 one and all but a minute of the other, 0.3 and 0.6 both, and lost no other.
const (
	fullFrom = 0.3
	fullTo   = 0.6
)

// full is how full an evening is, from 0 to 1, of which the need is a share of the ceiling that planning counts on. What is left of the
// ceiling is all that a late-comer finds: a full evening is worked off as fast and as early as may be until there is room again, one that
// is not as its deadlines ask for. In between there is no step about which widths and starts could swing. The need is one over Cushion
// or longer: what is urgent for a moment fills no evening.
func (p Policy) full(used float64) float64 {
	return min(max((used/p.Share-fullFrom)/(fullTo-fullFrom), 0), 1)
}

// ahead is the width that keeps room for late-comers, for what is needed over Cushion or longer, of a ceiling that planning counts on: up
// to all of it, as far as the evening is full. 0: the evening is not, or the ceiling, below 1, is not known.
func (p Policy) ahead(long, ceiling float64) float64 {
	if !(ceiling >= 1) {
		return 0
	}
	full := p.full(long / ceiling)
	if !(full > 0) {
		return 0
	}
	least := p.Headroom * p.Share * fullFrom // of the ceiling, where that begins
	return ceiling * (least + (1-least)*full)
}
