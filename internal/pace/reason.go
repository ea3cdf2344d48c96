package pace

import (
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/guard"
)

// reason says in one line why the width is what it is.
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
	case why == "trying" && s.Gain.Trying < s.Gain.Base:
		text = fmt.Sprintf("%d for a moment, to see whether they do almost as much as %d: the pods are busy", r.Width, s.Gain.Base)
	case why == "trying":
		text = fmt.Sprintf("%d for a moment, to see whether they do more than %d, %d wanted (%s): %s", r.Width, s.Gain.Base, r.Wanted, need, s.asked(in.Now))
	case why == "counting":
		text = fmt.Sprintf("%d for now, %d wanted (%s): %s, and what %d do is counted before more are tried", r.Width, r.Wanted, need, s.asked(in.Now), r.Width)
		if s.Gain.planning(in.Now) {
			text += ", when no shops are planned"
		}
	case why == "beginning":
		text = fmt.Sprintf("%d for now, %d wanted (%s): the work has only begun, and whether it makes the pods busy is not known yet", r.Width, r.Wanted, need)
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
	case r.Bound && r.Binds == BindsPods && r.Ceiling == s.Gain.ceiling(in.Now):
		text = fmt.Sprintf("%d, %d wanted (%s): %s", r.Width, r.Wanted, need, s.Gain.outcome())
	case r.Bound && r.Binds == BindsPods && in.Busy != "":
		text = fmt.Sprintf("%d is what %d pods carry, %d wanted (%s): %s", r.Width, max(in.Pods, 1), r.Wanted, need, in.Busy)
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

// asked says why more slots are to show that they bring something.
func (s State) asked(now time.Time) string {
	if s.Gain.busy(now) {
		return "the pods are busy"
	}
	return s.Gain.outcome()
}

// outcome says why more slots than Enough were not worth it.
func (g Gain) outcome() string {
	text := fmt.Sprintf("%d did %.2f times what %d did", g.Most, g.Did, g.Enough)
	if g.Took > 0 {
		text += fmt.Sprintf(" and a row took the servers %.2f times as long", g.Took)
	}
	return text + ", which was not worth it"
}
