package pace

import (
	"math"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// Published is what the leader tells the pods. The fields are the wire format of `prewarm:width`.
type Published struct {
	Term   int64     `json:"term"` // of the leader, greater with each: of two leaders the newer is believed
	Leader string    `json:"leader"`
	At     time.Time `json:"at"` // the leader's clock; pods judge silence by when they heard, not by this
	Pods   []string  `json:"pods"`
	Result Result    `json:"result"`
	Demand Demand    `json:"demand"`
	State  State     `json:"state"` // for the next leader

	Guard    []guard.Verdict `json:"guard"`              // of each signal
	Override *Override       `json:"override,omitempty"` // in force, or over
	Alone    []string        `json:"alone,omitempty"`    // sources that nobody else reads, in order
}

// Newer says whether p is to be believed rather than o.
func (p Published) Newer(o Published) bool {
	if p.Term != o.Term {
		return p.Term > o.Term
	}
	return p.At.After(o.At)
}

// Shares divides a width among pods: exactly, evenly, none above perPod, the first in order having one more. The same
// arguments give the same shares whoever asks. The sum is the width unless the pods cannot carry it; at least one slot is
// left somewhere, or nothing would ever be loaded.
func Shares(width int, pods []string, perPod int) map[string]int {
	pods = slices.Clone(pods)
	slices.Sort(pods)
	pods = slices.Compact(pods)
	shares := make(map[string]int, len(pods))
	if len(pods) == 0 {
		return shares
	}
	width = min(max(width, 1), len(pods)*max(perPod, 1))
	for i, p := range pods {
		shares[p] = width / len(pods)
		if i < width%len(pods) {
			shares[p]++
		}
	}
	return shares
}

// Share is what one pod works with: its part of what the leader has published, and width.min if nothing was heard for
// Silence or ever. A pod that the leader does not know yet waits for the next decision with nothing (the intake server of
// its process forwards and recovers tasks meanwhile).
func Share(p *Published, heard, now time.Time, self string, w config.Width) (slots int, paused bool, reason string) {
	if p == nil || now.Sub(heard) > Silence {
		return min(max(w.Min, 1), max(w.MaxPerPod, 1)), false, "nothing was heard of the leader for " + Silence.String() + ": width.min"
	}
	return Shares(p.Result.Width, p.Pods, w.MaxPerPod)[self], p.Result.Paused, p.Result.Reason
}

// podsDown is how long fewer pods must have been enough before fewer are asked for: to end a pod costs a drain, to start
// one costs a minute.
const podsDown = 10 * time.Minute

// PodsWanted is how many pods the width wants: what it is when the ceiling of the database binds (more pods would sit
// idle), and what the need asks for when it is the pods that bind: of pods that are busy up to twice as many.
// More are asked for at once, fewer after ten minutes.
// It never says 0: who announces broadcasts must find somebody.
func PodsWanted(s State, in Input, r Result) (State, int) {
	w, _ := bounds(in)
	slots := min(r.Wanted, w.Max)
	if s.Limit > 0 {
		slots = min(slots, s.Limit)
	}
	want := max(int(math.Ceil(float64(slots)/float64(w.MaxPerPod))), 1)
	if (in.Busy != "" || r.Ceiling == s.Gain.ceiling(in.Now)) && r.Binds == BindsPods && slots > r.Width {
		pods := max(in.Pods, 1)
		more := int(math.Ceil(float64(slots) / float64(r.Width) * float64(pods)))
		want = max(want, min(more, 2*pods, slots))
	}
	if want >= s.PodsAsked || s.PodsAsked <= 0 {
		s.PodsAsked, s.PodsSince = want, in.Now
		return s, want
	}
	if in.Now.Sub(s.PodsSince) >= podsDown {
		s.PodsAsked, s.PodsSince = want, in.Now
	}
	return s, s.PodsAsked
}
