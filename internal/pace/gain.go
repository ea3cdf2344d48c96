package pace

import (
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// What Gain goes by.
const (
	// gainSettle is how long a new width is left to itself before what is done with it counts: pods follow within a second and tell half a
	// second later, and a unit begins with some round trips.
	gainSettle = 4 * time.Second
	// gainSpan is how long it counts then.
	gainSpan = 10 * time.Second
	// gainLess is the part of the slots that a trial does without.
	gainLess = 0.4
	// gainSame is how much of what more slots did is as much.
	gainSame = 0.95
	// gainAgain is how long what a trial has shown is believed, twice that after the next, and so on up to gainMost if it was in vain, and
	// to gainStands if not: slots that brought nothing may be wanted for what comes next.
	gainAgain  = time.Minute
	gainStands = 4 * time.Minute
	gainMost   = 16 * time.Minute
)

// Gain is what the law knows of what the last slots bring. On pods with full processors, or behind a cache that does all it can, each slot makes the
// others slower, so that the deadlines seem to need more of them, and all that grows is how many pages the live database reads at a time. So
// where pods are busy fewer slots are tried for a moment, and kept if they do as much. The zero value knows nothing.
type Gain struct {
	Enough int       `json:"enough"` // slots that did as much as Most; 0: not known
	Most   int       `json:"most"`
	Until  time.Time `json:"until"`  // when Most are tried again
	Raised bool      `json:"raised"` // they are: Enough is Most for a while
	Trying int       `json:"trying"` // slots of the trial that runs; 0: none does
	Above  int       `json:"above"`  // slots before it
	Rate   float64   `json:"rate"`   // what they did, or those before the first of several trials, in bytes a second
	Again  time.Time `json:"again"`  // no trial begins before, but from Most
	Waits  int       `json:"waits"`  // trials that were in vain, and times that Most were tried again

	Width int           `json:"width"` // that is counted
	Pods  int           `json:"pods"`
	Since time.Time     `json:"since"` // they have been as many, undisturbed
	Done  float64       `json:"done"`  // bytes
	For   time.Duration `json:"for"`   // in this time
}

// weigh is pure: what a decision's count tells. It ends and begins trials. One that shows that the slots were needed gives them back at once,
// if the guard lets things grow.
func (s State) weigh(in Input, w config.Width, hand *Override, wanted int) State {
	g := &s.Gain
	if hand != nil || in.Pods != g.Pods { // others carry it now, or people do what they like
		*g = Gain{Pods: in.Pods}
	}
	if s.Stopped || in.Guard.Zone == guard.Shrink || wanted <= g.Trying || g.Trying < w.Min && g.Trying > 0 || in.For > Silence {
		g.Trying, g.Width = 0, 0
		return s
	}
	if g.Enough > 0 && g.Trying == 0 && !in.Now.Before(g.Until) {
		if g.Enough, g.Raised = g.Most, !g.Raised; !g.Raised { // no trial has shown anything else
			g.Enough = 0
		}
		g.Until, g.Waits, g.Width = in.Now.Add(gainAgain), g.Waits+1, 0
		return s
	}
	if s.Width != g.Width || in.Unheard {
		g.Width, g.Since, g.Done, g.For = s.Width, in.Now, 0, 0
		return s
	}
	if in.For <= 0 || in.Now.Sub(g.Since) < gainSettle+in.For {
		return s
	}
	g.Done, g.For = g.Done+in.Done, g.For+in.For
	if g.For < gainSpan {
		return s
	}
	rate := g.Done / g.For.Seconds()
	g.Done, g.For = 0, 0
	fewer := max(s.Width-max(int(math.Round(gainLess*float64(s.Width))), 1), w.Min)
	switch {
	case g.Trying > 0 && rate >= gainSame*g.Rate:
		g.Enough, g.Most, g.Trying, g.Raised = g.Trying, g.Above, 0, false
		g.Until = in.Now.Add(g.wait(gainStands))
	case g.Trying > 0:
		if g.Trying = 0; in.Guard.Zone == guard.Grow {
			s.Width = g.Above
		}
		if g.Raised { // they bring something now: what was known is over
			g.Enough, g.Raised, g.Waits = 0, false, 0
		}
		g.Until, g.Again = in.Now.Add(g.wait(gainStands)), in.Now.Add(g.wait(gainMost))
		g.Waits++
	case in.Near && fewer < s.Width && wanted > fewer && (g.Raised && s.Width == g.Enough || !g.Raised && !in.Now.Before(g.Again)):
		if g.Width != g.Enough || g.Raised { // or trials that follow upon each other would lose a little each
			g.Rate = rate
		}
		g.Trying, g.Above = fewer, s.Width
	}
	return s
}

func (g Gain) wait(most time.Duration) time.Duration {
	return min(gainAgain<<min(max(g.Waits, 0), 10), most)
}
