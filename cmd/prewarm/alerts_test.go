package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAlertsAreListedAndTried(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{
		"GET /v1/alerts": `{"alerts": [
			{"name": "run_failed", "severity": "critical", "summary": "shop 1001 was not warmed", "why": "disk\u001b[2J full", "remedy": "mend it", "state": "firing"},
			{"name": "run_late", "severity": "warning", "summary": "shop 1002 was late", "state": "resolved", "ended": "the run is ready"}],
			"sinks": [{"name": "slack", "failures": 3, "error": "no route"}, {"name": "mail"}]}`,
		"POST /v1/alerts/test": `{"sinks": [{"sink": "slack", "error": "send to slack: no route"}, {"sink": "mail"}]}`,
	})
	r := prewarm(t, "", "alerts", "--limit=7", "--server", s.URL)
	require.Zero(t, r.code, r.err)
	require.Equal(t, "GET /v1/alerts?limit=7", s.asked[0])
	require.Contains(t, r.out, "over: the run is ready")
	require.NotContains(t, r.out, "\x1b")
	require.Contains(t, r.err, "sink slack has failed 3 times in a row: no route")
	require.NotContains(t, r.err, "mail")
	require.Len(t, document(t, prewarm(t, "", "alerts", "--json", "--server", s.URL).out)["alerts"], 2)

	r = prewarm(t, "", "alerts", "test", "--sink=slack", "--server", s.URL)
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, "POST /v1/alerts/test?sink=slack", s.asked[len(s.asked)-1])
	require.Contains(t, r.out, "failed: send to slack: no route")
	require.Contains(t, r.out, "sent")
	none := serverWith(t, 200, map[string]string{"POST /v1/alerts/test": `{"sinks": []}`})
	require.Contains(t, prewarm(t, "", "alerts", "test", "--server", none.URL).out, "alerts.sinks")
}
