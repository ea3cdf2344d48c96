package sinks

import (
	"testing"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/stretchr/testify/require"
)

func TestEveryTypeHasItsSink(t *testing.T) {
	t.Parallel()
	types := []string{
		config.SinkAlertmanager, config.SinkWebhook, config.SinkFeishu, config.SinkDingTalk, config.SinkWeCom, config.SinkSlack, config.SinkEmail,
	}
	var a config.Alerts
	for _, kind := range types {
		a.Sinks = append(a.Sinks, config.AlertSink{Type: kind, Name: kind, URL: "https://example.com", Template: "{{.Title}}"})
	}
	targets, err := Targets(a)
	require.NoError(t, err)
	require.Len(t, targets, len(types))
	for _, target := range targets {
		require.NotNil(t, target.Sink, target.Name)
		require.Positive(t, target.Rest, target.Name)
	}
	_, err = Targets(config.Alerts{Sinks: []config.AlertSink{{Type: config.SinkWebhook, URL: "https://example.com", Template: "{{"}}})
	require.ErrorContains(t, err, "alerts.sinks[0]: template")
}
