package guard

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// ReadTime bounds one reading. A latency that has not come by then is a reading of its own.
const ReadTime = time.Second

// Reader reads a signal within ctx.
type Reader func(ctx context.Context) (float64, error)

// Watch reads signals and judges them. It is safe for concurrent use.
type Watch struct {
	mu      sync.Mutex
	watched []*watched
	known   map[string]Baseline // of signals that may come yet
}

type watched struct {
	gauge *Gauge
	read  Reader
	busy  bool // a reading is under way
}

// Add watches a signal; read is nil for one that Observe feeds.
func (w *Watch) Add(g *Gauge, read Reader) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !g.Base.Known() {
		g.Base = w.known[g.Name]
	}
	w.watched = append(w.watched, &watched{gauge: g, read: read})
}

// Quiet says whether our own load is at its least (the width is at its minimum, or nothing runs): only then may a baseline
// rise.
func (w *Watch) Quiet(quiet bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.watched {
		s.gauge.Quiet = quiet
	}
}

// Observe feeds the signal of a name and says whether there is one.
func (w *Watch) Observe(name string, value float64, at time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.watched {
		if s.gauge.Name == name {
			s.gauge.Observe(value, at)
			return true
		}
	}
	return false
}

// Has says whether there is a signal of a name.
func (w *Watch) Has(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.watched, func(s *watched) bool { return s.gauge.Name == name })
}

// Fail takes a reading that failed of the signal of a name.
func (w *Watch) Fail(name string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.watched {
		if s.gauge.Name == name {
			s.gauge.Fail(err)
		}
	}
}

// Sample reads all signals at once and returns when they have answered, each within ReadTime. A reader that does not heed
// its context holds up this call and not the next: its signal goes stale.
func (w *Watch) Sample(ctx context.Context, clock func() time.Time) {
	ctx, cancel := context.WithTimeout(ctx, ReadTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range w.free() {
		wg.Go(func() {
			value, err := s.read(ctx)
			w.mu.Lock()
			defer w.mu.Unlock()
			s.busy = false
			if err != nil {
				s.gauge.Fail(err)
				return
			}
			s.gauge.Observe(value, clock())
		})
	}
	wg.Wait()
}

// free takes the signals that are not being read.
func (w *Watch) free() []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	var free []*watched
	for _, s := range w.watched {
		if s.read != nil && !s.busy {
			s.busy = true
			free = append(free, s)
		}
	}
	return free
}

// Judge is the verdict of each signal, in the order of Add.
func (w *Watch) Judge(now time.Time) []Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	verdicts := make([]Verdict, len(w.watched))
	for i, s := range w.watched {
		verdicts[i] = s.gauge.Judge(now)
	}
	return verdicts
}

// Know takes levels that were learned before. Signals that have learned their own since keep it.
func (w *Watch) Know(learned map[string]Baseline) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = maps.Clone(learned)
	for _, s := range w.watched {
		if base := learned[s.gauge.Name]; s.gauge.Limits.Times && !s.gauge.Base.Known() && base.Known() {
			s.gauge.Base = base
		}
	}
}

// Baselines are the learned levels by signal, those known from before included, to be kept over restarts.
func (w *Watch) Baselines() map[string]Baseline {
	w.mu.Lock()
	defer w.mu.Unlock()
	learned := map[string]Baseline{}
	maps.Copy(learned, w.known)
	for _, s := range w.watched {
		if s.gauge.Limits.Times && s.gauge.Base.Known() {
			learned[s.gauge.Name] = s.gauge.Base
		}
	}
	return learned
}
