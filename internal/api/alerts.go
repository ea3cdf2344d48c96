package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// Alerts are what people are told, and who tells them.
type Alerts interface {
	// Alerts are those that stand, the newest first, and then those that were resolved last.
	Alerts(ctx context.Context, limit int) ([]alert.Record, error)
	Sinks(ctx context.Context) []alert.SinkState
	// Test sends a test to a sink, or to all for ""; its error is alert.ErrNoSink.
	Test(ctx context.Context, sink, who string) ([]alert.Tested, error)
}

// AlertList answers GET /v1/alerts.
type AlertList struct {
	Alerts []alert.Record    `json:"alerts" doc:"of all pods: those that stand, the newest first, and then those that were resolved last"`
	Sinks  []alert.SinkState `json:"sinks" doc:"how the sending to each sink goes"`
}

// AlertTest answers POST /v1/alerts/test.
type AlertTest struct {
	Sinks []alert.Tested `json:"sinks"`
}

// shownAlerts is how many the board gets.
const shownAlerts = 50

// standing are the newest alerts that are not resolved.
func (a *API) standing(ctx context.Context) ([]alert.Record, error) {
	all, err := a.deps.Alerts.Alerts(ctx, shownAlerts)
	return slices.DeleteFunc(all, func(r alert.Record) bool { return r.State == alert.Resolved }), err
}

func (a *API) alerts(h huma.API) {
	huma.Register(h, op(http.MethodGet, "/v1/alerts", "list-alerts", "The newest alerts, and how the sinks are"),
		func(ctx context.Context, in *struct {
			Limit int `query:"limit" minimum:"1" maximum:"1000" default:"200"`
		}) (*out[AlertList], error) {
			all, err := a.deps.Alerts.Alerts(ctx, in.Limit)
			if err != nil {
				return nil, failure(err)
			}
			return answer(AlertList{all, a.deps.Alerts.Sinks(ctx)}, nil)
		})

	huma.Register(h, op(http.MethodPost, "/v1/alerts/test", "test-alerts", "Send a test alert", http.StatusNotFound),
		func(ctx context.Context, in *struct {
			Sink string `query:"sink" doc:"default: all"`
		}) (*out[AlertTest], error) {
			tested, err := a.deps.Alerts.Test(ctx, in.Sink, whoIs(ctx).name)
			if errors.Is(err, alert.ErrNoSink) {
				return nil, huma.Error404NotFound(err.Error() + "; GET /v1/alerts lists them")
			}
			return answer(AlertTest{tested}, err)
		})
}
