package app

import (
	"context"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// A pod remembers the evening in at most this many samples. When they are full, every second one is let go and the rest
// are taken half as often, until they reach back 6.4 hours; then the oldest go. After a start there are none.
const (
	maxSamples = 720
	maxStep    = 32 * time.Second
)

// evening is what a pod has seen of the width and of the cluster's speed since it started.
type evening struct {
	mu      sync.Mutex
	samples []api.Sample
	step    time.Duration
	pods    map[string]speed
}

// speed is how fast a pod was between its two newest heartbeats.
type speed struct {
	rows      int64
	beat      time.Time
	perSecond float64
}

// Samples implements api.History.
func (e *evening) Samples(after time.Time) []api.Sample {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := len(e.samples)
	for first > 0 && e.samples[first-1].At.After(after) {
		first--
	}
	return append([]api.Sample{}, e.samples[first:]...)
}

// rows is the speed of the pods that are alive, in rows per second.
func (e *evening) rows(pods []ledger.Pod) (sum float64) {
	now := make(map[string]speed, len(pods))
	for _, p := range pods {
		was, known := e.pods[p.ID]
		is := speed{p.Rows, p.BeatAt, was.perSecond}
		if took := p.BeatAt.Sub(was.beat).Seconds(); known && took > 0 {
			is.perSecond = max(0, float64(p.Rows-was.rows)/took)
		}
		now[p.ID] = is
		sum += is.perSecond
	}
	e.pods = now
	return sum
}

// add remembers a moment, unless the last is younger than the step.
func (e *evening) add(s api.Sample, pods []ledger.Pod) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range pods {
		s.Actual += p.Slots
	}
	s.Rows = e.rows(pods)
	n := len(e.samples)
	if n > 0 && s.At.Sub(e.samples[n-1].At) < e.step {
		return
	}
	switch {
	case n < maxSamples:
	case e.step < maxStep:
		e.step = max(2*e.step, 2*beatEvery)
		for i := range n / 2 {
			kept := e.samples[2*i+1]
			kept.Rows = (kept.Rows + e.samples[2*i].Rows) / 2
			e.samples[i] = kept
		}
		e.samples = e.samples[:n/2]
	default:
		e.samples = append(e.samples[:0], e.samples[1:]...)
	}
	e.samples = append(e.samples, s)
}

// remember takes a sample of what this pod goes by and of what the cluster does.
func (a *App) remember(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	pods, err := a.ledger.Pods(ctx, a.cfg.Policy.PodDead)
	if err != nil {
		return err
	}
	heard := a.pacer.now()
	s := api.Sample{At: time.Now().UTC(), Width: heard.share, Reason: heard.reason}
	if last := heard.last; last != nil {
		s.Width, s.Demand, s.Ceiling, s.Reason = last.Result.Width, last.Demand.Slots, last.Result.Ceiling, last.Result.Reason
		if worst := guard.Worst(last.Guard); worst.Zone > guard.Grow {
			s.Zone = worst.Zone.String()
		}
	}
	a.evening.add(s, pods)
	return nil
}
