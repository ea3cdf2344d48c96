// Package processor owns how long this process waits for a processor: whether its own machine, or the limit that its container has of
// it, is so full that times which it measures say more about that than about the servers it asks.
package processor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	every = time.Second
	// kept is the part of what was seen before that counts at the next look: some five seconds.
	kept = 0.8
	// leastWait is the waiting below which nothing is said, in seconds a second: a process that hardly runs waits for little.
	leastWait = 0.05
)

// usage is what a process' threads have had, or had to wait for while they were ready to run, in seconds.
type usage struct{ ran, waited float64 }

// load is pure: what was seen of late. The zero value has seen nothing.
type load struct {
	last   usage
	seen   bool
	recent usage // with older times counting less and less
}

// next adds a reading. Threads that have ended take their times with them: such a reading only begins anew.
func (l load) next(now usage) load {
	ran, waited := now.ran-l.last.ran, now.waited-l.last.waited
	if l.seen && ran >= 0 && waited >= 0 {
		l.recent = usage{kept*l.recent.ran + ran, kept*l.recent.waited + waited}
	}
	l.last, l.seen = now, true
	return l
}

// full says whether the process waits longer than it runs.
func (l load) full() bool {
	return l.recent.waited > l.recent.ran && l.recent.waited*(1-kept) > leastWait*every.Seconds()
}

// Watch looks at the process again and again. On systems that do not tell, nothing is ever full.
type Watch struct {
	dir    string // of the threads
	full   atomic.Bool
	waited atomic.Int64 // ns
}

// New watches this process.
func New() *Watch { return &Watch{dir: "/proc/self/task"} }

// Full says whether this process has waited for a processor longer than it ran, in the last seconds.
func (w *Watch) Full() bool { return w.full.Load() }

// Run looks until the context ends, or until it is seen that the system does not tell.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var l load
	for {
		now, err := threads(w.dir)
		if err != nil {
			return
		}
		l = l.next(now)
		w.full.Store(l.full())
		w.waited.Store(int64(now.waited * 1e9))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Register makes it visible.
func (w *Watch) Register(reg prometheus.Registerer) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "prewarm_processor_wait_seconds", Help: "Time that the pod's threads were ready to run and waited for a processor, since they began.",
	}, func() float64 { return float64(w.waited.Load()) * 1e-9 }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "prewarm_processor_full", Help: "1: the pod waits for a processor longer than it runs, and its pages' times say nothing of the servers.",
	}, func() float64 {
		if w.Full() {
			return 1
		}
		return 0
	}))
}

// threads adds up what Linux tells of each thread of a process (Documentation/scheduler/sched-stats.rst: time spent on the
// processor and on the run queue in nanoseconds, and time slices).
func threads(dir string) (usage, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*", "schedstat"))
	if err != nil || len(names) == 0 {
		return usage{}, fmt.Errorf("read the threads' times: %w", os.ErrNotExist)
	}
	var all usage
	for _, name := range names {
		text, err := os.ReadFile(name) //nolint:gosec // of this process
		if err != nil {
			continue // a thread that has ended
		}
		var ran, waited float64
		if _, err := fmt.Sscan(string(text), &ran, &waited); err != nil {
			return usage{}, fmt.Errorf("read %s: %w", name, err)
		}
		all.ran += ran * 1e-9
		all.waited += waited * 1e-9
	}
	return all, nil
}
