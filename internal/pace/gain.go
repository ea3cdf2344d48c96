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
	// gainPlans is how long shops may be planned without a pause before what is done meanwhile counts: slots of which each waits for the plans'
	// statements do more together than they will when these are over. Plans that take longer are a load like any other.
	gainPlans = time.Minute
	// gainBegin is how long the width waits at most for the first rows of work that begins, as it is not known before whether they make the pods busy.
	gainBegin = 6 * time.Second
	// gainLess is the part of the slots that a trial of fewer does without, and gainMore what one of more adds: one takes the other back.
	gainLess = 0.4
	gainMore = 2.0 / 3
	// gainWorth is how much more slots must do than fewer: a second one that did a tenth more by such a count made 2.5 times of what live reads took, and one by itself 1.2 to 1.3.
	// Where there are only a few more, gainShare of what they would do in proportion is enough.
	gainWorth = 0.15
	gainShare = 0.5
	// gainHarm is how much more they must do, as a part of how much longer the servers take for a row of theirs: what pages wait for each other there live
	// reads wait for them too.
	gainHarm = 0.5
	// gainSure is how many times of that leaves no doubt. Where they did less the fewer are tried again at once, as a machine that is shared may have been
	// slow while these were counted.
	gainSure = 2.0
	// gainAgain is how long what a trial has shown is believed, twice that after one in vain, and so on: up to gainMost until fewer are tried
	// again, and to gainStands until more are, as slots that brought nothing may be wanted for what comes next.
	gainAgain  = time.Minute
	gainStands = 4 * time.Minute
	gainMost   = 16 * time.Minute
)

// Gain is what the law knows of what slots bring. On pods with full processors, or behind a cache that does all it can, each slot makes the
// others slower, so that the deadlines seem to need more of them, and all that grows is how many pages the live database reads at a time. So
// where pods are busy the width grows by trials, which count what is done before and with more slots, and now and then fewer are tried, and kept
// if they do almost as much. The zero value knows nothing.
type Gain struct {
	Enough int       `json:"enough"` // slots of which Most were not worth more; 0: not known
	Most   int       `json:"most"`
	Did    float64   `json:"did"`    // what Most did, as a part of what Enough did
	Took   float64   `json:"took"`   // what the servers took for a row of theirs, as a part of what they took for one of Enough; 0: it is not known
	Until  time.Time `json:"until"`  // when more than Enough are tried again
	Trying int       `json:"trying"` // slots of the trial that runs; 0: none does
	Base   int       `json:"base"`   // slots of which it is known what they do, which were before those of the trial; 0: it is not known
	Rate   float64   `json:"rate"`   // what they did, or those before the first of several trials of fewer, in bytes a second
	Cost   float64   `json:"cost"`   // what the servers took for it, in seconds a byte; 0: it is not known
	Of     int       `json:"of"`     // slots that did Rate
	Tried  float64   `json:"tried"`  // what those of the last trial did that came to its end, as a part of Rate
	Slower float64   `json:"slower"` // what the servers took for a row of theirs, as a part of Cost; 0: it is not known
	Again  time.Time `json:"again"`  // fewer are not tried before
	Waits  int       `json:"waits"`  // trials that were in vain
	Near   time.Time `json:"near"`   // when pods were last near to all they can do, as far as shops that were planned meanwhile let that be seen
	Plans  time.Time `json:"plans"`  // since when shops are planned; zero: they are not
	Wants  time.Time `json:"wants"`  // since when more slots are wanted than there are; zero: they are not
	Does   time.Time `json:"does"`   // since when something is done in each decision's time; zero: nothing was in the last

	Width int           `json:"width"` // that is counted
	Pods  int           `json:"pods"`
	Since time.Time     `json:"since"` // they have been as many, undisturbed
	Done  float64       `json:"done"`  // bytes
	Spent float64       `json:"spent"` // seconds that the servers took for them
	For   time.Duration `json:"for"`   // in this time
}

// weigh is pure: what a decision's count tells. It ends trials, and begins those of fewer slots.
func (s State) weigh(in Input, w config.Width, hand *Override, wanted int) State {
	g := &s.Gain
	if hand != nil || in.Pods != g.Pods { // others carry it now, or people do what they like
		*g = Gain{Pods: in.Pods}
	}
	g.Plans, g.Does = since(in.Planning, g.Plans, in.Now), since(in.Done > 0, g.Does, in.Now)
	if in.Near || g.planning(in.Now) && g.busy(in.Now) { // slots that wait for plans leave pods room, which is over with these
		if g.Trying == 0 && in.Now.Sub(g.Near) >= 2*gainSpan { // what was done while there was little to do is no measure for more slots
			g.Base, g.Width = 0, 0
		}
		g.Near = in.Now
	}
	least := min(g.Trying, g.Base)
	over := g.Trying > 0 && (s.Width != g.Trying || wanted <= least || least < w.Min)
	if over || s.Stopped || in.Guard.Zone == guard.Shrink || in.For > Silence {
		if g.Trying > g.Base && g.Base >= w.Min { // they have not shown that they bring anything
			s.Width = min(s.Width, g.Base)
		}
		g.Trying, g.Base, g.Width = 0, 0, 0
		return s
	}
	if g.Trying > g.Base && !g.asks(g.Base, in.Now) {
		g.Trying, g.Base = 0, 0
	}
	if in.Unheard {
		if g.Width = 0; g.Trying == 0 {
			g.Base = 0
		}
		return s
	}
	if s.Width != g.Width || in.For <= 0 || in.Now.Sub(g.Since) < gainSettle+in.For || g.planning(in.Now) {
		return s
	}
	if g.Done, g.Spent, g.For = g.Done+in.Done, g.Spent+in.Spent, g.For+in.For; g.For < gainSpan {
		return s
	}
	rate, cost := g.Done/g.For.Seconds(), g.Spent/max(g.Done, 1)
	g.Done, g.Spent, g.For = 0, 0, 0
	s = s.conclude(in, rate, cost)
	fewer := max(s.Width-max(int(math.Round(gainLess*float64(s.Width))), 1), w.Min)
	if in.Near && fewer < s.Width && fewer < wanted && !in.Now.Before(g.Again) {
		g.Trying = fewer
	}
	return s
}

// conclude ends the trial that runs, if one does, by what was done. Slots that were not worth it are taken back whatever the guard says, those
// that were needed are given back if it lets things grow.
func (s State) conclude(in Input, rate, cost float64) State {
	g := &s.Gain
	trying := g.Trying
	g.Trying = 0
	if trying == 0 || g.Rate <= 0 {
		g.Base, g.Of, g.Rate, g.Cost = s.Width, s.Width, rate, cost
		return s
	}
	g.Tried, g.Slower = rate/g.Rate, part(cost, g.Cost)
	if trying > g.Base {
		did, took := g.Tried, g.Slower
		if did < worth(g.Base, trying, took, 1) {
			s.Width, g.Enough, g.Most, g.Did, g.Took, g.Until = g.Base, g.Base, trying, did, took, in.Now.Add(g.wait(gainStands))
			g.Waits++
			return s
		}
		if g.Enough > 0 && trying > g.Enough { // they bring something now: what was known is over
			g.Enough, g.Waits = 0, 0
		}
		if g.Again = in.Now; did >= worth(g.Base, trying, took, gainSure) {
			g.Again = in.Now.Add(gainAgain) // fewer did less, and what was known of others is over
		}
	} else {
		did, took := part(g.Rate, rate), part(g.Cost, cost)
		if rate > 0 && did < worth(trying, g.Base, took, 1) {
			g.Enough, g.Most, g.Did, g.Took, g.Until = trying, max(g.Of, g.Base), did, took, in.Now.Add(g.wait(gainStands))
			g.Base = trying // and Rate and Cost stay, or trials that follow upon each other would lose a little each
			return s
		}
		g.Again = in.Now.Add(g.wait(gainMost))
		if g.Waits++; in.Guard.Zone == guard.Grow {
			s.Width = g.Base
			return s
		}
	}
	g.Base, g.Of, g.Rate, g.Cost = s.Width, s.Width, rate, cost
	return s
}

// part is a as a part of b; 0: it is not known.
func part(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// planning says whether shops are planned, so that what is done now tells nothing of later.
func (g Gain) planning(now time.Time) bool { return !g.Plans.IsZero() && now.Sub(g.Plans) < gainPlans }

// ended says whether a trial that ran before has come to its end, and was not broken off.
func (g Gain) ended(before Gain) bool {
	return before.Trying > 0 && g.Tried > 0 && g.Tried != before.Tried
}

// worth is how many times of what some slots do more of them have to do to stay, where the servers took so many times as long for a row of theirs. Sure is 1,
// or gainSure for what leaves no doubt.
func worth(some, more int, took, sure float64) float64 {
	return 1 + sure*min(gainWorth, gainShare*(float64(more)/float64(max(some, 1))-1)) + gainHarm*max(took-1, 0)
}

// since is when something began that is so or not: now, if it was not so before, or the clock has been put back.
func since(is bool, before, now time.Time) time.Time {
	if !is {
		return time.Time{}
	}
	if before.IsZero() || before.After(now) {
		return now
	}
	return before
}

// begins says whether work has only begun, so that it is not known yet whether the pods are busy with it: something has to be done for the whole time
// between two decisions.
func (g Gain) begins(now time.Time) bool {
	return !g.Wants.IsZero() && now.Sub(g.Wants) < gainBegin && (g.Does.IsZero() || g.Does.Equal(now))
}

// busy says whether pods were near to all they can do just now.
func (g Gain) busy(now time.Time) bool { return now.Sub(g.Near) < gainSpan }

// asks says whether more slots than these are to show that they bring something: where pods are busy, and beyond what was enough.
func (g Gain) asks(slots int, now time.Time) bool {
	return g.busy(now) || g.Enough > 0 && slots >= g.Enough
}

// grow begins a trial of more slots, if it is known what those do that there are.
func (s State) grow(target int, now time.Time) (State, string) {
	g := &s.Gain
	if g.Base != s.Width || g.Width != s.Width || g.planning(now) {
		return s, "counting"
	}
	s.Width = min(target, s.Width+max(int(math.Round(gainMore*float64(s.Width))), 1))
	g.Trying = s.Width
	return s, "trying"
}

// at begins a count where the width is another now.
func (g Gain) at(width int, now time.Time) Gain {
	if g.Width != width {
		g.Width, g.Since, g.Done, g.Spent, g.For = width, now, 0, 0, 0
		if g.Trying == 0 && g.Base != width {
			g.Base = 0
		}
	}
	return g
}

// ceiling is how many slots it leaves; 0: as many as there are.
func (g Gain) ceiling(now time.Time) int {
	if !now.Before(g.Until) {
		return 0
	}
	return g.Enough
}

func (g Gain) wait(most time.Duration) time.Duration {
	return min(gainAgain<<min(max(g.Waits, 0), 10), most)
}
