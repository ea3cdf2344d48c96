package replica

import "github.com/prometheus/client_golang/prometheus"

// onPrimary is what metrics call the server that is no replica.
const onPrimary = "primary"

// Metrics counts where pages are read. A nil Metrics counts nothing.
type Metrics struct {
	pages *prometheus.CounterVec
	read  *prometheus.GaugeVec
	out   *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		pages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_replica_pages_total", Help: "Pages that were begun to be read for units of sources with read_from: replica, by source and server: primary, or a replica.",
		}, []string{"source", "server"}),
		read: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "prewarm_replica_read", Help: "1 if pages are read at the replica, 0 if they are not, in this pod.",
		}, []string{"replica"}),
		out: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_replica_out_total", Help: "Times that a replica was found not fit to be read, by reason: behind, away, unfit.",
		}, []string{"replica", "reason"}),
	}
	reg.MustRegister(m.pages, m.read, m.out)
	return m
}

// begin begins counters with 0: what is first seen with 3 has not grown, to Prometheus.
func (m *Metrics) begin(source, replica string) {
	if m == nil {
		return
	}
	m.pages.WithLabelValues(source, onPrimary)
	m.pages.WithLabelValues(source, replica)
	m.read.WithLabelValues(replica)
	for _, r := range []reason{reasonBehind, reasonAway, reasonUnfit} {
		m.out.WithLabelValues(replica, string(r))
	}
}

func (m *Metrics) page(source, server string) {
	if m != nil {
		m.pages.WithLabelValues(source, server).Inc()
	}
}

func (m *Metrics) moved(replica string, out reason) {
	if m == nil {
		return
	}
	if out == "" {
		m.read.WithLabelValues(replica).Set(1)
		return
	}
	m.read.WithLabelValues(replica).Set(0)
	m.out.WithLabelValues(replica, string(out)).Inc()
}
