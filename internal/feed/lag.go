package feed

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Lag is how far a feed is behind, as a metric. A nil Lag tells nothing.
type Lag struct {
	mu     sync.Mutex
	behind time.Duration
	since  time.Time // it is not read; zero: it is, or need not be by this pod
}

// NewLag registers the lag of a feed.
func NewLag(reg prometheus.Registerer, feed string) *Lag {
	l := &Lag{}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "prewarm_feed_lag_seconds", Help: "How long ago what was last read of a feed was committed, in whole seconds; while it cannot be read, it grows. 0 where nothing more is to be read, and of pods that do not lead.",
		ConstLabels: prometheus.Labels{"feed": feed},
	}, func() float64 { return l.now().Seconds() }))
	return l
}

func (l *Lag) now() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		return l.behind
	}
	return l.behind + time.Since(l.since)
}

// read: what was committed then is taken in; zero: nothing more is to be read.
func (l *Lag) read(committed time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since, l.behind = time.Time{}, 0
	if !committed.IsZero() {
		l.behind = max(0, time.Since(committed).Truncate(time.Second))
	}
}

// broken: it is not read until it is said to be.
func (l *Lag) broken() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.since.IsZero() {
		l.since = time.Now()
	}
}

// off: it is not this pod's to read any more.
func (l *Lag) off() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since, l.behind = time.Time{}, 0
}
