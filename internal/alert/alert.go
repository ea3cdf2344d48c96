// Package alert owns what prewarm tells people without being asked: it logs each alert, counts it, and keeps the newest
// for the board. Callers raise an alert wherever they find something, as often as they find it; the same alert about the
// same run is passed on once in a while only.
package alert

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Severities.
const (
	Info     = "info"     // worth knowing
	Warning  = "warning"  // look at it today
	Critical = "critical" // look at it now
)

// Limits of what is passed on and kept.
const (
	Quiet = 5 * time.Minute // the same alert is not repeated within this
	Kept  = 200             // newest alerts that Recent shows
)

// Alert is one thing that somebody should know.
type Alert struct {
	Name     string    `json:"name"` // of the kind: run_failed; there is a runbook for each
	Severity string    `json:"severity"`
	Shop     string    `json:"shop_id,omitempty"`
	Run      string    `json:"run_id,omitempty"`
	Summary  string    `json:"summary"`
	Remedy   string    `json:"remedy,omitempty"`
	At       time.Time `json:"at"` // zero: when it is raised
}

// Sink passes alerts on to people. Send is called one alert at a time and must not wait for a network: a sink that
// talks to one has a queue of its own.
type Sink interface {
	Send(ctx context.Context, a Alert)
}

// Config puts a Dispatcher together; every field may be left out.
type Config struct {
	Log      *slog.Logger          // default: slog.Default()
	Registry prometheus.Registerer // nil: counted and not shown
	Sinks    []Sink                // beside the log
}

type key struct{ name, shop, run string }

// Dispatcher is safe for concurrent use.
type Dispatcher struct {
	sinks []Sink
	total *prometheus.CounterVec

	mu     sync.Mutex
	last   map[key]time.Time // when it was last passed on
	swept  time.Time         // when last was cleared of what is over
	recent []Alert           // oldest first, at most Kept
}

// New is a Dispatcher that has said nothing yet.
func New(c Config) *Dispatcher {
	log := c.Log
	if log == nil {
		log = slog.Default()
	}
	d := &Dispatcher{
		sinks: append([]Sink{logSink{log}}, c.Sinks...),
		last:  map[key]time.Time{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_alerts_total",
			Help: "Alerts passed on, by name; the same alert about the same run counts once in 5 minutes.",
		}, []string{"alert"}),
	}
	if c.Registry != nil {
		c.Registry.MustRegister(d.total)
	}
	return d
}

// Raise passes an alert on, unless the same one (name, shop and run) was passed on within Quiet.
func (d *Dispatcher) Raise(ctx context.Context, a Alert) {
	now := time.Now()
	if a.At.IsZero() {
		a.At = now.UTC()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k := key{a.Name, a.Shop, a.Run}
	if before, ok := d.last[k]; ok && now.Sub(before) < Quiet {
		return
	}
	d.sweep(now)
	d.last[k] = now
	if len(d.recent) == Kept {
		d.recent = append(d.recent[:0], d.recent[1:]...)
	}
	d.recent = append(d.recent, a)
	d.total.WithLabelValues(a.Name).Inc()
	for _, s := range d.sinks {
		s.Send(ctx, a)
	}
}

// sweep forgets what may be said again; once per Quiet, so that an evening of failures costs no more than its memory.
func (d *Dispatcher) sweep(now time.Time) {
	if now.Sub(d.swept) < Quiet {
		return
	}
	d.swept = now
	for k, at := range d.last {
		if now.Sub(at) >= Quiet {
			delete(d.last, k)
		}
	}
}

// Recent is what was passed on, newest first, at most Kept.
func (d *Dispatcher) Recent() []Alert {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Alert, len(d.recent))
	for i, a := range d.recent {
		out[len(out)-1-i] = a
	}
	return out
}
