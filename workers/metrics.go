package workers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what handlers do. A nil Metrics counts nothing.
type Metrics struct {
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	dropped  *prometheus.CounterVec
}

// NewMetrics registers the handlers' metrics. Counters begin with 0: what is first seen with 3 has not grown, to Prometheus.
func NewMetrics(reg prometheus.Registerer, datasets ...string) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_unit_attempts_total", Help: "Attempts at units, by dataset and outcome: done, handed_back, unavailable, lost, fenced, failed.",
		}, []string{"dataset", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prewarm_unit_seconds", Help: "Time of attempts at units, by dataset.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"dataset"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_tasks_dropped_total", Help: "Tasks with nothing to do, by reason: unknown, epoch, state, superseded, ended, paused.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.attempts, m.seconds, m.dropped)
	for _, reason := range []string{"unknown", "epoch", "state", "superseded", "ended", "paused"} {
		m.dropped.WithLabelValues(reason)
	}
	for _, d := range datasets {
		for _, outcome := range []string{"done", "handed_back", "unavailable", "lost", "fenced", "failed"} {
			m.attempts.WithLabelValues(d, outcome)
		}
	}
	return m
}

func (m *Metrics) attempt(dataset, outcome string, took time.Duration) {
	if m != nil {
		m.attempts.WithLabelValues(dataset, outcome).Inc()
		m.seconds.WithLabelValues(dataset).Observe(took.Seconds())
	}
}

func (m *Metrics) drop(reason string) {
	if m != nil {
		m.dropped.WithLabelValues(reason).Inc()
	}
}
