// Package alert owns what prewarm tells people without being asked. Callers raise an alert wherever they find something,
// as often as they find it (Dispatcher). It is logged and counted at once, and put into the outbox, which is the ledger:
// there the same alert of all pods is one Record, which stands until it is over. A Courier in every pod ends what is over
// and hands what is new to the sinks, to each in its own time.
//
// What is in the outbox is told at least once, whatever is restarted. A Record's fingerprint is the same for ever, so that
// who is told twice can see it. What has only been raised is in the outbox within moments, and what stands in the ledger
// anyway, a failed or a late run, is raised again by the reconciliation if it got lost before.
package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// Severities in order, the mildest first.
var severities = []string{Info, Warning, Critical}

// Limits of what is passed on and kept.
const (
	Quiet = 5 * time.Minute // the same alert is not logged again within this
	Kept  = 200             // newest alerts that Recent shows
	// mostPending bounds what waits for an outbox that does not answer: no evening has so many different alerts.
	mostPending = 10_000
)

// Alert is one thing that somebody should know.
type Alert struct {
	Name     string    `json:"name"` // of the kind: run_failed; there is a runbook for each
	Severity string    `json:"severity"`
	Shop     string    `json:"shop_id,omitempty"`
	Run      string    `json:"run_id,omitempty"`
	About    string    `json:"about,omitempty" doc:"what else it is about: a task, a pod"`
	Summary  string    `json:"summary"`
	Why      string    `json:"why,omitempty"` // if the summary does not say it
	Remedy   string    `json:"remedy,omitempty"`
	At       time.Time `json:"at"` // zero: when it is raised
}

// Fingerprint is the same for all alerts of a name about the same.
func (a Alert) Fingerprint() string {
	if a.Run != "" {
		a.Shop = "" // the run says it, and not every caller knows it
	}
	sum := sha256.Sum256([]byte(a.Name + "\x00" + a.Shop + "\x00" + a.Run + "\x00" + a.About))
	return hex.EncodeToString(sum[:16])
}

// Config puts a Dispatcher together; every field may be left out.
type Config struct {
	Log      *slog.Logger          // default: slog.Default()
	Registry prometheus.Registerer // nil: counted and not shown
}

// Dispatcher takes alerts in. It is safe for concurrent use.
type Dispatcher struct {
	log   *slog.Logger
	total *prometheus.CounterVec
	wake  chan struct{} // something new is pending

	mu      sync.Mutex
	last    map[string]passed // by fingerprint
	swept   time.Time         // when last was cleared of what is over
	recent  []Alert           // oldest first, at most Kept
	pending map[string]Alert  // by fingerprint: not yet in the outbox
}

// passed is when and how an alert was last passed on.
type passed struct {
	at      time.Time
	summary string
}

// New is a Dispatcher that has said nothing yet.
func New(c Config) *Dispatcher {
	log := c.Log
	if log == nil {
		log = slog.Default()
	}
	d := &Dispatcher{
		log: log, last: map[string]passed{}, pending: map[string]Alert{}, wake: make(chan struct{}, 1),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_alerts_total",
			Help: "Alerts raised, by name; the same alert about the same run counts once in 5 minutes.",
		}, []string{"alert"}),
	}
	if c.Registry != nil {
		c.Registry.MustRegister(d.total)
		for name := range kinds {
			d.total.WithLabelValues(name) // what begins with 1 has not grown, to Prometheus
		}
	}
	return d
}

// Raise takes an alert in; it waits for nothing. The same one is logged and counted once within Quiet.
func (d *Dispatcher) Raise(ctx context.Context, a Alert) {
	now := time.Now()
	if a.At.IsZero() {
		a.At = now.UTC()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k := a.Fingerprint()
	before, known := d.last[k]
	known = known && now.Sub(before.at) < Quiet
	if _, waits := d.pending[k]; waits || len(d.pending) < mostPending {
		d.pending[k] = a
	}
	if !known || before.summary != a.Summary {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	if known {
		d.last[k] = passed{before.at, a.Summary}
		return
	}
	d.sweep(now)
	d.last[k] = passed{now, a.Summary}
	if len(d.recent) == Kept {
		d.recent = append(d.recent[:0], d.recent[1:]...)
	}
	d.recent = append(d.recent, a)
	d.total.WithLabelValues(a.Name).Inc()
	d.write(ctx, a)
}

// sweep forgets what may be said again; once per Quiet, so that an evening of failures costs no more than its memory.
func (d *Dispatcher) sweep(now time.Time) {
	if now.Sub(d.swept) < Quiet {
		return
	}
	d.swept = now
	for k, p := range d.last {
		if now.Sub(p.at) >= Quiet {
			delete(d.last, k)
		}
	}
}

// Recent is what this pod has passed on, newest first, at most Kept.
func (d *Dispatcher) Recent() []Alert {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]Alert, len(d.recent))
	for i, a := range d.recent {
		out[len(out)-1-i] = a
	}
	return out
}

// take is what is pending, and leaves nothing.
func (d *Dispatcher) take() []Alert {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]Alert, 0, len(d.pending))
	for _, a := range d.pending {
		all = append(all, a)
	}
	clear(d.pending)
	return all
}

// giveBack makes what could not be put into the outbox pending again, unless there is something newer.
func (d *Dispatcher) giveBack(all []Alert) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range all {
		if _, newer := d.pending[a.Fingerprint()]; !newer {
			d.pending[a.Fingerprint()] = a
		}
	}
}
