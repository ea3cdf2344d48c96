package app

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/sinks"
	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// newCourier carries the pod's alerts into the ledger, and all pods' to the sinks.
func (a *App) newCourier() (*alert.Courier, error) {
	targets, err := sinks.Targets(a.cfg.Alerts)
	if err != nil {
		return nil, err
	}
	return &alert.Courier{
		Dispatcher: a.alerts, Outbox: a.ledger, Targets: targets, Self: a.id,
		Links:        alert.Links{Public: a.cfg.HTTP.Public, Runbooks: a.cfg.Alerts.Runbooks},
		ResolveAfter: a.cfg.Alerts.ResolveAfter, Metrics: alert.NewMetrics(a.reg), Log: a.log,
	}, nil
}

// alerts is what the API shows of alerts and does with them.
type alerts struct {
	ledger  *ledger.Store
	here    *alert.Dispatcher
	courier *alert.Courier
}

var _ api.Alerts = alerts{}

// Alerts are those of the ledger. While it does not answer they are what this pod itself has raised: most of all then
// somebody looks for them.
func (s alerts) Alerts(ctx context.Context, limit int) ([]alert.Record, error) {
	all, err := s.ledger.Alerts(ctx, limit)
	if err == nil {
		return all, nil
	}
	all = []alert.Record{}
	for _, a := range s.here.Recent() {
		all = append(all, alert.Record{Alert: a, Fingerprint: a.Fingerprint(), State: alert.Firing, Since: a.At, Times: 1})
	}
	return all[:min(len(all), limit)], nil
}

// Sinks are how the sending goes; without the ledger it is only known which there are.
func (s alerts) Sinks(ctx context.Context) []alert.SinkState {
	all := []alert.SinkState{}
	for _, t := range s.courier.Targets {
		mail, err := s.ledger.Mail(ctx, t.Name)
		if err != nil {
			mail.Sink = alert.SinkState{Name: t.Name}
		}
		all = append(all, mail.Sink)
	}
	return all
}

func (s alerts) Test(ctx context.Context, sink, who string) ([]alert.Tested, error) {
	return s.courier.Test(ctx, sink, who)
}
