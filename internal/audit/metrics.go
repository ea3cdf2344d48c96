package audit

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Metrics count what audits found. Nil counts nothing.
type Metrics struct {
	audits   *prometheus.CounterVec
	keys     prometheus.Counter
	findings *prometheus.CounterVec
}

// NewMetrics registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		audits:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prewarm_audits_total", Help: "Audits that ended, by what became of them: passed, failed, broken."}, []string{"state"}),
		keys:     prometheus.NewCounter(prometheus.CounterOpts{Name: "prewarm_audit_keys_total", Help: "Keys that audits have compared."}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "prewarm_audit_findings_total", Help: "Keys that audits found wrong, by kind: missing, different, extra, wrong_expiry; repaired ones included."}, []string{"kind"}),
	}
	reg.MustRegister(m.audits, m.keys, m.findings)
	return m
}

func (m *Metrics) finding(k Kind) {
	if m != nil {
		m.findings.WithLabelValues(string(k)).Inc()
	}
}

func (m *Metrics) audit(state ledger.AuditState, keys int64) {
	if m != nil {
		m.audits.WithLabelValues(string(state)).Inc()
		m.keys.Add(float64(keys))
	}
}
