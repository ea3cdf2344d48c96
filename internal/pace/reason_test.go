package pace

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// decision is what a reason is about.
type decision struct {
	in    Input
	was   int // the width before
	state State
	r     Result
	hand  *Override // if in force

	most   int           // width.max, or what somebody has set instead
	spoken bool          // the guard has ever said less than grow of what it saw
	calm   time.Duration // since it last did
	limit  int           // before
	gain   Gain          // before
	busy   bool          // the pods were, within a count, or before shops were planned, since others carry the work or people let go of it
	begins bool          // more slots are wanted since less than gainBegin, and nothing was done, or not for two decisions in a row
	plans  bool          // shops are planned, since less than gainPlans
}

func (d decision) target() int { return min(d.r.Wanted, d.r.Ceiling) }

func (d decision) pinned() bool { return d.hand != nil && d.hand.Pin > 0 }

// tried says whether more was tried only when all had been well for a while, or was taken back as a crowd's doing.
func (d decision) tried() bool {
	return d.state.Limit <= d.limit || d.limit == 0 || d.calm >= calm || d.state.Shrunk.IsZero() || d.state.Limit <= d.in.Bounds.Min || d.hand != nil
}

// asked says whether more slots are to show that they bring something because the pods are busy.
func (d decision) asked() bool { return d.busy && d.in.For > 0 && d.hand == nil }

// more says whether the first of numbers are slots of a trial, the second those before it, and the third what is wanted.
func (d decision) more(n []int) bool {
	begun := d.was == n[1] && !d.plans && d.in.Guard.Zone == guard.Grow && d.in.For > 0 && n[0] <= d.target() && n[0] <= n[1]+max((2*n[1]+1)/3, 1)
	return n[0] > n[1] && n[1] == d.state.Gain.Base && n[1] < d.target() && n[2] == d.r.Wanted && d.hand == nil && (begun || d.gain.Trying == n[0] && d.was == n[0])
}

// outcome is what a reason says of slots that were not worth it: how many, and instead of how many.
const outcome = `(\d+) did [0-9.]+ times what (\d+) did(?: and a row took the servers [0-9.]+ times as long)?, which was not worth it`

// outcome says whether it is so.
func (d decision) outcome(n []int) bool {
	g := d.state.Gain
	return n[0] == g.Most && n[1] == g.Enough && n[0] > n[1] && n[1] > 0 && g.Did < worth(n[1], n[0], g.Took, 1) && strings.Contains(d.r.Reason, g.outcome())
}

// counts says whether a width stands that has not been counted before, or cannot be while shops are planned, and could grow.
func (d decision) counts(n []int) bool {
	known := !d.plans && d.gain.Trying == 0 && d.gain.Width == n[0] && d.gain.Base == n[0] && d.state.Gain.Base == n[0]
	return n[0] == d.was && n[0] < d.target() && n[1] == d.r.Wanted && n[2] == n[0] && !known && d.in.Guard.Zone == guard.Grow && d.in.For > 0 && d.hand == nil
}

// gaveBack is the width that was before, without the slots of a trial that is over, or with those that it did without.
func (d decision) gaveBack() int {
	switch was, is := d.gain, d.state.Gain; {
	case was.Trying == is.Trying:
	case was.Trying > was.Base:
		return min(d.was, max(d.r.Width, was.Base))
	case was.Trying > 0 && is.Waits > was.Waits && d.in.Guard.Zone == guard.Grow:
		return was.Base
	}
	return d.was
}

// inForce is what somebody has set and has not ended, and the most that it leaves of width.max.
func inForce(in Input) (*Override, int) {
	o := in.Override
	if o == nil || !in.Now.Before(o.Until) {
		return nil, in.Bounds.Max
	}
	if o.Max > 0 {
		return o, o.Max
	}
	return o, in.Bounds.Max
}

// claims are the forms of a reason: what it says, and whether that is so.
var claims = []struct {
	form *regexp.Regexp
	true func(d decision, numbers []int) bool
}{
	{regexp.MustCompile(`^stopped: canary 9ms >= 4ms`), func(d decision, _ []int) bool { return d.in.Guard.Zone == guard.Stop && d.r.Paused }},
	{regexp.MustCompile(`^paused`), func(d decision, _ []int) bool { return d.hand != nil && d.hand.Pause && d.r.Paused }},
	{regexp.MustCompile(`^(\d+), not growing to (\d+): canary 9ms >= 4ms`), func(d decision, n []int) bool {
		return n[1] == d.target() && n[1] > n[0] && d.in.Guard.Zone != guard.Grow && n[0] == d.was
	}},
	{regexp.MustCompile(`^(\d+) is what the servers bear now, (\d+) wanted \(.*\): canary 9ms >= 4ms`), func(d decision, n []int) bool {
		return n[0] == d.r.Ceiling && n[0] == d.state.Limit && n[1] == d.r.Wanted && n[1] > n[0] && d.in.Guard.Zone != guard.Grow
	}},
	{regexp.MustCompile(`^(\d+) is what the servers bore, (\d+) wanted \(.*\); more is tried`), func(d decision, n []int) bool {
		return n[0] == d.r.Ceiling && n[0] == d.state.Limit && n[1] == d.r.Wanted && n[1] > n[0] && d.in.Guard.Zone == guard.Grow && d.spoken && d.tried()
	}},
	{regexp.MustCompile(`^(\d+) for now, (\d+) wanted \(.*\): the work has only begun, and whether it makes the pods busy is not known yet$`), func(d decision, n []int) bool {
		return n[0] == d.was && n[0] < d.target() && n[1] == d.r.Wanted && d.begins && !d.asked()
	}},
	{regexp.MustCompile(`^(\d+), growing to (\d+): `), func(d decision, n []int) bool {
		return n[1] == d.target() && n[1] > n[0] && n[0] > d.was && d.in.Guard.Zone == guard.Grow && !d.asked() && !d.begins
	}},
	{regexp.MustCompile(`^(\d+) for a moment, to see whether they do almost as much as (\d+): the pods are busy`), func(d decision, n []int) bool {
		return n[0] < n[1] && n[1] == d.state.Gain.Base && (d.was == n[1] && d.in.Near || d.gain.Trying > 0 && d.was == n[0]) && n[0] < d.target() && d.hand == nil
	}},
	{regexp.MustCompile(`^(\d+) for a moment, to see whether they do more than (\d+), (\d+) wanted \(.*\): the pods are busy$`), func(d decision, n []int) bool {
		return d.more(n) && d.busy
	}},
	{regexp.MustCompile(`^(\d+) for a moment, to see whether they do more than (\d+), (\d+) wanted \(.*\): ` + outcome + `$`), func(d decision, n []int) bool {
		return d.more(n[:3]) && d.outcome(n[3:]) && n[4] <= n[1] && !d.in.Now.Before(d.state.Gain.Until)
	}},
	{regexp.MustCompile(`^(\d+) for now, (\d+) wanted \(.*\): the pods are busy, and what (\d+) do is counted before more are tried$`), func(d decision, n []int) bool {
		return d.counts(n) && d.busy && !d.plans
	}},
	{regexp.MustCompile(`^(\d+) for now, (\d+) wanted \(.*\): .*, and what (\d+) do is counted before more are tried, when no shops are planned$`), func(d decision, n []int) bool {
		return d.counts(n) && d.plans
	}},
	{regexp.MustCompile(`^(\d+) for now, (\d+) wanted \(.*\): ` + outcome + `, and what (\d+) do is counted before more are tried$`), func(d decision, n []int) bool {
		return d.counts([]int{n[0], n[1], n[4]}) && !d.plans && d.outcome(n[2:]) && n[3] <= n[0] && !d.in.Now.Before(d.state.Gain.Until)
	}},
	{regexp.MustCompile(`^(\d+), (\d+) wanted \(.*\): ` + outcome + `$`), func(d decision, n []int) bool {
		return d.outcome(n[2:]) && n[0] == n[3] && n[0] == d.r.Ceiling && n[1] == d.r.Wanted && n[1] > n[0] && d.hand == nil && d.in.Now.Before(d.state.Gain.Until)
	}},
	{regexp.MustCompile(`^(\d+) is what (\d+) pods carry, (\d+) wanted \(.*\): pods_busy 9 >= 8`), func(d decision, n []int) bool {
		most := n[1] * max(d.in.Bounds.MaxPerPod, 1)
		return n[1] == max(d.in.Pods, 1) && (n[0] == d.was || n[0] == most) && n[0] <= most && n[2] == d.r.Wanted && n[2] > n[0] && !d.pinned()
	}},
	{regexp.MustCompile(`^(\d+) is what (\d+) pods carry, (\d+) wanted`), func(d decision, n []int) bool {
		return n[1] == max(d.in.Pods, 1) && n[0] == n[1]*max(d.in.Bounds.MaxPerPod, 1) && n[2] == d.r.Wanted && n[2] > n[0]
	}},
	{regexp.MustCompile(`^(\d+) is width.max, (\d+) wanted`), func(d decision, n []int) bool {
		return n[0] == d.most && n[1] == d.r.Wanted && n[1] > n[0]
	}},
	{regexp.MustCompile(`^(\d+), down to (\d+) if the need stays low: `), func(d decision, n []int) bool {
		return n[0] <= d.was && n[1] < n[0] && n[1] >= d.target()
	}},
	{regexp.MustCompile(`^(\d+), near enough: `), func(d decision, n []int) bool {
		return n[0] == d.was && n[0] < d.r.Wanted && float64(n[0]) >= near*d.in.Demand.Slots
	}},
	{regexp.MustCompile(`^(\d+): pinned at (\d+)`), func(d decision, n []int) bool {
		return d.pinned() && d.hand.Pin == n[1] && n[0] == min(max(n[1], d.in.Bounds.Min), d.most)
	}},
	{regexp.MustCompile(`^(\d+): so much is due`), func(d decision, n []int) bool { return n[0] == d.r.Wanted && !d.pinned() }},
}

// Every width that is decided has a reason of a known form, and what it says is so. Where the pods are busy and it is known what is done, nothing
// grows but by a trial.
func TestEveryReasonIsTrue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLaw(0)
		l.input.Bounds = config.Width{
			Min: rapid.IntRange(1, 6).Draw(t, "min"), Max: rapid.IntRange(6, 60).Draw(t, "max"), MaxPerPod: rapid.IntRange(1, 30).Draw(t, "per pod"),
		}
		need := rapid.Float64Range(0, 80)
		var worse, busy, plans, wants time.Time
		var did int // decisions in a row
		ticks, events := 80, 13
		if rapid.Bool().Draw(t, "calm") { // so that trials end, and are tried again
			ticks, events = 200, 500
			l.input.Demand.Slots, l.input.Near, l.input.Done, l.input.For = need.Draw(t, "need"), true, 1, Tick
		}
		for range rapid.IntRange(1, ticks).Draw(t, "ticks") {
			switch rapid.IntRange(0, events).Draw(t, "event") {
			case 0:
				l.input.Demand.Slots = need.Draw(t, "need")
			case 1:
				l.input.Demand.Slots *= rapid.Float64Range(0.9, 1.1).Draw(t, "waver")
			case 2:
				l.input.Guard = zone(guard.Zone(rapid.IntRange(1, 3).Draw(t, "zone")), rapid.Float64Range(0.1, 1).Draw(t, "factor"))
				l.input.Guard.Keep = rapid.Bool().Draw(t, "keep")
				l.input.Guard.Blind = l.input.Guard.Zone == guard.Hold && rapid.Bool().Draw(t, "blind")
			case 3, 4, 5:
				l.input.Guard = green
			case 6:
				l.input.Pods = rapid.IntRange(0, 4).Draw(t, "pods")
			case 7:
				l.input.Override = rapid.SampledFrom([]*Override{nil, {Pin: 5}, {Max: 7}, {Min: 9}, {Pause: true}}).Draw(t, "hand")
				if o := l.input.Override; o != nil {
					o.Until, o.Who, o.Why = l.now.Add(30*time.Second), "ann", "because"
				}
			case 10:
				l.input.Near, l.input.For, l.input.Unheard = rapid.Bool().Draw(t, "near"), Tick, rapid.IntRange(0, 9).Draw(t, "unheard") == 0
				l.input.Done = rapid.SampledFrom([]float64{0, 1, 1, 5}).Draw(t, "done")
				l.input.Spent = l.input.Done * rapid.SampledFrom([]float64{0, 1, 1, 3}).Draw(t, "spent")
			case 9:
				l.input.Busy = rapid.SampledFrom([]string{"", "pods_busy 9 >= 8"}).Draw(t, "busy")
			case 13:
				l.input.Planning = !l.input.Planning
			case 8:
				l.now = l.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "pass")) * time.Second)
			}
			w, _ := bounds(Input{Now: l.now, Bounds: l.input.Bounds, Override: l.input.Override})
			d := decision{was: min(max(l.state.Width, w.Min), w.Max), limit: l.state.Limit, gain: l.state.Gain}
			l.run(1)
			d.in, d.r, d.state = l.input, l.last, l.state
			d.hand, d.most = inForce(l.input)
			if g := d.in.Guard; g.Zone != guard.Grow && !g.Blind && (!g.Keep || g.Zone != guard.Stop) {
				worse = d.in.Now
			}
			if d.hand != nil || d.in.Pods != d.gain.Pods {
				busy, plans, wants, did = time.Time{}, time.Time{}, time.Time{}, 0
			}
			if did++; d.in.Done == 0 {
				did = 0
			}
			if !d.in.Planning {
				plans = time.Time{}
			} else if plans.IsZero() {
				plans = d.in.Now
			}
			d.plans = !plans.IsZero() && d.in.Now.Sub(plans) < gainPlans
			if d.in.Near || d.plans && d.in.Now.Sub(busy) < gainSpan {
				busy = d.in.Now
			}
			d.busy = d.in.Now.Sub(busy) < gainSpan
			d.spoken, d.calm = !worse.IsZero(), d.in.Now.Sub(worse)
			d.was = d.gaveBack()
			if d.target() <= d.was {
				wants = time.Time{}
			} else if wants.IsZero() {
				wants = d.in.Now
			}
			d.begins = !wants.IsZero() && d.in.Now.Sub(wants) < gainBegin && did < 2 && d.in.For > 0 && d.hand == nil && d.in.Guard.Zone == guard.Grow
			if d.asked() && d.r.Width > d.was && !d.r.Paused {
				require.Equal(t, d.r.Width, d.state.Gain.Trying, "%+v", d)
			}
			check(t, d)
		}
	})
}

func check(t *rapid.T, d decision) {
	text, byHand, _ := strings.Cut(d.r.Reason, "; by hand until ")
	require.Equal(t, d.hand != nil, byHand != "", d.r.Reason)
	for _, c := range claims {
		found := c.form.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		var numbers []int
		for _, n := range found[1:] {
			var v int
			_, err := fmt.Sscan(n, &v)
			require.NoError(t, err)
			numbers = append(numbers, v)
		}
		if len(numbers) > 0 {
			require.Equal(t, d.r.Width, numbers[0], d.r.Reason)
		}
		require.True(t, c.true(d, numbers), "%q of %+v", d.r.Reason, d)
		return
	}
	require.Fail(t, "a reason of no known form", "%q of %+v", d.r.Reason, d)
}
