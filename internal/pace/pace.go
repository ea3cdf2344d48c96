// Package pace owns how many slots the cluster uses, the width, and how the pods divide it among themselves.
//
// Today the width is a fixed, cautious value within the configured bounds; Decide is where demand and ceiling will go.
package pace

import (
	"fmt"
	"slices"

	"github.com/prewarm-go/prewarm/internal/config"
)

// Steady is the width without a law: four slots came within a tenth of the most that one MySQL and one Redis gave, and
// what live readers felt did not grow with the width as long as pages were small.
const Steady = 4

// Decision is a width and why it is that.
type Decision struct {
	Width  int    `json:"width"`  // slots over all pods
	Share  int    `json:"share"`  // slots of this pod
	Pods   int    `json:"pods"`   // pods that share it
	Reason string `json:"reason"` // one line, for people
}

// Decide is pure: the width of a cluster with these living pods, and self's share of it. A pod that is not in the list
// (its first heartbeat is still under way) counts itself in, so that no pod ever works with nothing.
func Decide(w config.Width, pods []string, self string) Decision {
	pods = slices.Clone(pods)
	if !slices.Contains(pods, self) {
		pods = append(pods, self)
	}
	slices.Sort(pods)
	width := min(max(Steady, w.Min), w.Max)
	d := Decision{Pods: len(pods), Reason: fmt.Sprintf("fixed at %d within %d..%d", Steady, w.Min, w.Max)}
	share := width / len(pods)
	if slices.Index(pods, self) < width%len(pods) {
		share++
	}
	d.Share = min(share, w.MaxPerPod)
	d.Width = min(width, len(pods)*w.MaxPerPod)
	if d.Width < width {
		d.Reason += fmt.Sprintf("; %d pods of at most %d slots carry no more", len(pods), w.MaxPerPod)
	}
	// A server without slots would neither forward tasks that fall due nor recover lost ones.
	if d.Share == 0 {
		d.Share = 1
		d.Reason += "; each pod keeps one slot"
	}
	return d
}
