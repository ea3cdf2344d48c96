package pace

import (
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// What the ceiling goes by.
const (
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
)

// What a ceiling can be.
const (
	BindsMax   = "max"
	BindsPods  = "pods"
	BindsGuard = "guard"
)

// Blame is what the law held its own width guilty of.
type Blame struct {
	Width    int `json:"width"` // 0: there was no shrink
	Limit    int `json:"limit"`
	Knee     int `json:"knee"`
	Failures int `json:"failures"`
}

// ceiling is what the width could be now, and what makes it that.
func ceiling(s State, in Input, w config.Width) (int, string) {
	c, binds := w.Max, BindsMax
	if most := carried(in, w); most < c {
		c, binds = most, BindsPods
	}
	if s.Limit > 0 && s.Limit < c {
		c, binds = s.Limit, BindsGuard
	}
	if in.Busy != "" && s.Width < c && s.Gain.Trying == 0 {
		c, binds = s.Width, BindsPods
	}
	if enough := s.Gain.ceiling(in.Now); enough >= w.Min && enough < c {
		c, binds = enough, BindsPods
	}
	return c, binds
}

// carried is how many slots the pods have at most.
func carried(in Input, w config.Width) int { return max(in.Pods, 1) * w.MaxPerPod }

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
	if s.Knee == 0 && in.Now.Sub(s.Spoken) >= settle { // it was held and never cut: growth ends again where it is held
		s.Limit, s.Raised = 0, in.Now
		r.Ceiling, r.Binds = ceiling(s, in, w)
		r.Bound = r.Ceiling < r.Wanted
		return s, r
	}
	wait := calm
	if s.Knee > 0 && s.Limit+1 >= s.Knee {
		wait = min(probe<<min(max(s.Failures, 0), 10), probeMost)
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
