package load

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Legs of a page.
const (
	legRead       = "read" // reading and encoding
	legWrite      = "write"
	legCheckpoint = "checkpoint"
)

// Metrics counts what the pipeline does. A nil Metrics counts nothing.
type Metrics struct {
	written  atomic.Int64
	rows     *prometheus.CounterVec
	placed   *prometheus.CounterVec
	rejected *prometheus.CounterVec
	count    *prometheus.CounterVec
	moved    *prometheus.CounterVec
	legs     *prometheus.HistogramVec
}

// NewMetrics registers the pipeline's metrics. Counters of caches and datasets begin with 0: what is first seen with 3 has not
// grown, to Prometheus.
func NewMetrics(reg prometheus.Registerer, caches []string, datasets ...string) *Metrics {
	m := &Metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_rows_total", Help: "Rows written to the cache, by dataset.",
		}, []string{"dataset"}),
		placed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_cache_rows_total", Help: "Rows written, by the cache that they were written to.",
		}, []string{"cache"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_rows_rejected_total", Help: "Rows that could not be encoded, by dataset.",
		}, []string{"dataset"}),
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_pages_total", Help: "Pages written to the cache and recorded, by dataset.",
		}, []string{"dataset"}),
		moved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_expiries_moved_total", Help: "Keys that were found in the cache and have got a broadcast's new end as their expiry, by dataset.",
		}, []string{"dataset"}),
		legs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "prewarm_page_seconds", Help: "Time of one page, by dataset and leg: read (with encoding), write, checkpoint.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5},
		}, []string{"dataset", "leg"}),
	}
	reg.MustRegister(m.rows, m.placed, m.rejected, m.count, m.moved, m.legs)
	for _, name := range caches {
		m.placed.WithLabelValues(name)
	}
	for _, d := range datasets {
		for _, c := range []*prometheus.CounterVec{m.rows, m.rejected, m.count, m.moved} {
			c.WithLabelValues(d)
		}
	}
	return m
}

// Written is how many rows were written so far.
func (m *Metrics) Written() int64 { return m.written.Load() }

func (m *Metrics) pages(u ledger.Unit, pages, rows, rejected int) {
	if m == nil {
		return
	}
	dataset := u.Dataset
	m.rows.WithLabelValues(dataset).Add(float64(rows))
	m.placed.WithLabelValues(u.Cache).Add(float64(rows))
	m.written.Add(int64(rows))
	m.count.WithLabelValues(dataset).Add(float64(pages))
	m.rejected.WithLabelValues(dataset).Add(float64(rejected))
}

func (m *Metrics) leg(dataset, leg string, began time.Time) {
	m.took(dataset, leg, time.Since(began))
}

func (m *Metrics) took(dataset, leg string, took time.Duration) {
	if m != nil {
		m.legs.WithLabelValues(dataset, leg).Observe(took.Seconds())
	}
}

func (m *Metrics) extended(dataset string, keys int) {
	if m != nil {
		m.moved.WithLabelValues(dataset).Add(float64(keys))
	}
}
