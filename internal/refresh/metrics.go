package refresh

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts changes and what was done for them. A nil Metrics counts nothing.
type Metrics struct {
	changes *prometheus.CounterVec
	rows    *prometheus.CounterVec
	wait    prometheus.Histogram
	late    *prometheus.GaugeVec
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_changes_total", Help: "Changes that were told, by the way they came and outcome: needed, unknown_table, not_cached, switched_off, no_shop, bad_shop, bad_key, not_rows, malformed.",
		}, []string{"via", "outcome"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_refreshed_rows_total", Help: "Rows that were read again because they had changed, by dataset and what became of them: written, removed, rejected.",
		}, []string{"dataset", "outcome"}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "prewarm_change_seconds", Help: "Time from when a change was noted until its row was in the cache.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}),
		late: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "prewarm_refresh_overdue_seconds",
			Help: "How long ago changed rows of the shop that waits longest should have been looked for, by dataset; 0: all are in time. Of the pod that leads.",
		}, []string{"dataset"}),
	}
	reg.MustRegister(m.changes, m.rows, m.wait, m.late)
	return m
}

func (m *Metrics) told(via, outcome string, n int) {
	if m != nil && n > 0 {
		m.changes.WithLabelValues(via, outcome).Add(float64(n))
	}
}

func (m *Metrics) done(dataset string, written, removed int64, rejected int) {
	if m != nil {
		m.rows.WithLabelValues(dataset, "written").Add(float64(written))
		m.rows.WithLabelValues(dataset, "removed").Add(float64(removed))
		m.rows.WithLabelValues(dataset, "rejected").Add(float64(rejected))
	}
}

func (m *Metrics) overdue(dataset string, by time.Duration) {
	if m != nil {
		m.late.WithLabelValues(dataset).Set(by.Seconds())
	}
}

// nobody forgets what only the pod that leads knows.
func (m *Metrics) nobody() {
	if m != nil {
		m.late.Reset()
	}
}

func (m *Metrics) waited(d time.Duration) {
	if m != nil {
		m.wait.Observe(d.Seconds())
	}
}
