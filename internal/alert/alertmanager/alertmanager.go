// Package alertmanager owns the sink for Prometheus' Alertmanager, by its API v2. Grouping, silences and who is told are
// Alertmanager's then.
package alertmanager

import (
	"context"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// Alertmanager forgets what it is not told of again: what stands is sent every Refresh, and holds for Lasts.
const (
	Refresh = time.Minute
	Lasts   = 5 * time.Minute
)

// Sink sends to one Alertmanager.
type Sink struct{ Post alert.Post } // its URL without /api/v2/alerts

// posted is the postableAlert of its OpenAPI description.
type posted struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Send implements alert.Sink.
func (s Sink) Send(ctx context.Context, m alert.Message) error {
	all := make([]posted, len(m.Items))
	for i, item := range m.Items {
		all[i] = post(item, time.Now())
	}
	to := s.Post
	to.URL = strings.TrimSuffix(to.URL, "/") + "/api/v2/alerts"
	_, err := to.JSON(ctx, all)
	return err
}

// post is pure. The end of what stands is by this pod's clock and not the ledger's: Alertmanager compares it with its own.
func post(i alert.Item, now time.Time) posted {
	p := posted{
		Labels: map[string]string{"alertname": "prewarm_" + i.Name, "service": "prewarm", "severity": i.Severity},
		Annotations: map[string]string{
			"summary": i.Summary, "description": i.Why, "remedy": i.Remedy, "runbook_url": i.Runbook, "margin": i.Margin, "ended": i.Ended,
		},
		StartsAt: i.Since, EndsAt: now.Add(Lasts), GeneratorURL: i.Link,
	}
	for name, value := range map[string]string{"shop_id": i.Shop, "run_id": i.Run, "about": i.About, "broadcast_id": i.Broadcast} {
		if value != "" {
			p.Labels[name] = value
		}
	}
	for name, value := range p.Annotations {
		if value == "" {
			delete(p.Annotations, name)
		}
	}
	if i.State == alert.Resolved {
		p.EndsAt = *i.ResolvedAt
	}
	if !p.EndsAt.After(p.StartsAt) { // Alertmanager refuses that
		p.EndsAt = p.StartsAt.Add(time.Second)
	}
	return p
}
