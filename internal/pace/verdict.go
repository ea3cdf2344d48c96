package pace

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// What a verdict says.
const (
	Feasible   = "feasible"   // in time, with 95 % certainty and whoever comes late
	AtRisk     = "at risk"    // neither is certain; Margin says what is expected
	Infeasible = "infeasible" // late, with 95 % certainty, whatever the ceiling lets the cluster do
)

// Verdict is what will become of one broadcast.
type Verdict struct {
	Run      string        `json:"run"`
	State    string        `json:"state"`
	Start    time.Time     `json:"start"`     // planned
	Finish   time.Time     `json:"finish"`    // expected
	Finish95 time.Time     `json:"finish_95"` // not exceeded with 95 % certainty
	Margin   time.Duration `json:"-"`         // deadline - Finish; below zero: late by so much
	Reason   string        `json:"reason"`
	Remedy   string        `json:"remedy,omitempty"` // cheapest first; "" if feasible
}

// Limits is what the cluster can use.
type Limits struct {
	Ceiling int // slots that planning may count on; at least 1
	Borne   int // that it could count on before the guard left less, and may again; 0: as Ceiling
	// Max, Pods and PerPod say what the ceiling comes from, for the remedies. Zeros: nothing is said about pods.
	Max, Pods, PerPod int
	Least             int // width.min
}

// room is by what factor the servers may bear more than they were found to bear, with 95 % certainty: the live load comes
// and goes. Of 1.1, 1.3 and 1.6, it is the one with which 95 % of the simulated broadcasts that were said to be infeasible
// were late.
const room = 1.3

// most is the ceiling as it may be at best: what the servers bear is not known exactly, and may be what it was; the bounds and the
// pods are known.
func (l Limits) most(ceiling float64) float64 {
	hard := math.Inf(1)
	if l.Max > 0 {
		hard = float64(l.Max)
	}
	if l.Pods > 0 && l.PerPod > 0 {
		hard = min(hard, float64(l.Pods*l.PerPod))
	}
	return max(ceiling, min(max(ceiling*room, float64(l.Borne)), hard))
}

// Judge is pure: a verdict for each of works, in their order, with the starts they would get (or keep). Nothing is
// changed: it is the answer of a what-if, and what alerts before a run is late. What is certain leaves room for late-comers:
// the share of the ceiling that no plan fills is theirs.
func Judge(now time.Time, works []Work, l Limits, p Policy) []Verdict {
	p = p.Fill()
	ceiling := float64(max(l.Ceiling, 1))
	slots := Schedule(now, works, ceiling, p)
	placed := slices.Clone(works)
	for i := range placed {
		placed[i].Start = slots[i].Start
	}
	least := float64(max(l.Least, 1))
	expected := forecast(now, placed, ceiling, least, (*Work).amount, p)
	cautious := forecast(now, placed, max(ceiling*p.Share, 1), least, (*Work).cautious, p)
	hopeful := forecast(now, placed, l.most(ceiling), least, (*Work).hopeful, p)
	verdicts := make([]Verdict, len(works))
	var needs []float64
	for i, w := range placed {
		// A unit is not divided: the last one may be begun when all others are done.
		tail := min(clean(w.Longest), w.amount()) * (1 - 1/ceiling)
		verdicts[i] = Verdict{
			Run: w.Run, Start: slots[i].Start, Finish: after(now, expected[i]), Finish95: after(now, max(cautious[i], expected[i])+tail),
		}
		v := &verdicts[i]
		v.Margin = w.Deadline.Sub(v.Finish)
		switch {
		case v.Margin < 0 && after(now, hopeful[i]).After(w.Deadline):
			v.State = Infeasible
		case v.Margin < 0 || v.Finish95.After(w.Deadline):
			v.State = AtRisk
		default:
			v.State = Feasible
			v.Reason = fmt.Sprintf("ready by %s, %s before the deadline", clock(v.Finish), span(v.Margin.Seconds()))
			continue
		}
		if needs == nil {
			needs = needAll(now, works, p)
		}
		v.explain(w, needs[i], ceiling)
		v.Remedy = remedy(w, v, needs[i], l, now)
	}
	return verdicts
}

func (v *Verdict) explain(w Work, need, ceiling float64) {
	if v.Margin >= 0 {
		v.Reason = fmt.Sprintf("expected by %s, but with 95 %% certainty only by %s, %s after the deadline",
			clock(v.Finish), clock(v.Finish95), span(v.Finish95.Sub(w.Deadline).Seconds()))
		return
	}
	v.Reason = fmt.Sprintf("ready by %s, %s late: %.1f slots are needed until %s and the ceiling is %.0f",
		clock(v.Finish), span(-v.Margin.Seconds()), need, clock(w.Deadline), ceiling)
	if need <= ceiling {
		v.Reason = fmt.Sprintf("ready by %s, %s late", clock(v.Finish), span(-v.Margin.Seconds()))
	}
}

// remedy is what helps, the cheapest first: a setting, then pods, then another hour.
func remedy(w Work, v *Verdict, need float64, l Limits, now time.Time) string {
	late := max(v.Finish95.Sub(w.Deadline), -v.Margin)
	later := fmt.Sprintf("a broadcast that starts %s later", (late + time.Minute - 1).Truncate(time.Minute))
	if math.IsInf(need, 1) || serial(w, now) {
		return later + "; more slots do not help: its units cannot be divided any further"
	}
	want := int(math.Ceil(need))
	if want <= l.Ceiling {
		return later
	}
	switch {
	case l.Pods > 0 && l.PerPod > 0 && l.Ceiling >= l.Pods*l.PerPod && l.Ceiling < l.Max:
		pods := (min(want, l.Max) + l.PerPod - 1) / l.PerPod
		text := fmt.Sprintf("%d more pods", pods-l.Pods)
		if want > l.Max {
			text += fmt.Sprintf(" and width.max %d", want)
		}
		return text + ", or " + later
	case l.Max > 0 && l.Ceiling >= l.Max:
		return fmt.Sprintf("width.max %d, if the database bears it, or %s", want, later)
	}
	return later + fmt.Sprintf("; %d slots would do, but the servers bear %d", want, l.Ceiling)
}

// serial says whether even a slot per unit would be late.
func serial(w Work, now time.Time) bool {
	left := w.Deadline.Sub(w.start(now)).Seconds()
	return left <= 0 || w.cautious() > w.parallel()*left || clean(w.Longest) > left
}

// needAll is, for each work, the fewest slots that could have it ready in time: the processor-demand bound over all
// intervals that end with its deadline. Work that is overdue needs infinitely many.
func needAll(now time.Time, works []Work, p Policy) []float64 {
	type part struct{ release, due, amount float64 }
	parts := make([]part, len(works))
	order := make([]int, len(works))
	for i, w := range works {
		free := w
		free.Start = time.Time{}
		parts[i] = part{free.start(now).Sub(now).Seconds(), w.Deadline.Sub(now).Seconds(), w.cautious()}
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int { return cmp.Compare(parts[y].release, parts[x].release) })
	needs := make([]float64, len(works))
	for k, end := range parts {
		if end.due <= 0 {
			needs[k] = math.Inf(1)
			continue
		}
		sum := 0.0
		for _, i := range order { // the interval begins earlier and earlier
			if parts[i].due > end.due || parts[i].release >= end.due {
				continue
			}
			sum += parts[i].amount
			if parts[i].release <= end.release {
				needs[k] = max(needs[k], sum/(end.due-parts[i].release))
			}
		}
	}
	return needs
}

func after(now time.Time, seconds float64) time.Time {
	const most = 365 * 24 * 3600
	return now.Add(time.Duration(min(seconds, most) * float64(time.Second)))
}
