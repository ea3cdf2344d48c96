package alertmanager

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alerttest"
	"github.com/prewarm-go/prewarm/internal/servers"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// schema is postableAlerts of https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml: labels are needed,
// and none of them is empty.
type schema []struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

func TestMessagesAreAsDescribed(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 200, "")
	for name, m := range alerttest.Messages() {
		require.NoError(t, Sink{alert.Post{URL: v.URL + "/"}}.Send(t.Context(), m), name)
		require.Equal(t, "/api/v2/alerts", v.Last(t).Request.URL.Path)
		got := alerttest.Strict[schema](t, v.Last(t).Body)
		require.Len(t, got, len(m.Items), "none is left out")
		for _, a := range got {
			require.True(t, a.EndsAt.After(a.StartsAt))
			for _, label := range a.Labels {
				require.NotEmpty(t, label)
			}
		}
		require.Equal(t, map[string]string{
			"alertname": "prewarm_run_late", "service": "prewarm", "severity": "warning", "shop_id": m.Items[0].Shop, "run_id": m.Items[0].Run, "broadcast_id": "b-1",
		}, got[0].Labels)
		require.Equal(t, "4m0s late", got[0].Annotations["margin"])
	}
}

func TestARealAlertmanagerTakesAndEndsThem(t *testing.T) {
	t.Parallel()
	am, err := servers.StartAlertmanager(t.Context(), servers.PrometheusConfig{File: "route: {receiver: none}\nreceivers: [{name: none}]\n"})
	testenv.Need(t, err)
	t.Cleanup(func() { require.NoError(t, am.Close()) })
	sink := Sink{alert.Post{URL: am.URL()}}
	many := alerttest.Messages()["many"]
	for i := range many.Items {
		many.Items[i].Since = time.Now().Add(-time.Minute)
	}
	require.NoError(t, sink.Send(t.Context(), many))
	require.NoError(t, sink.Send(t.Context(), many))
	require.Len(t, active(t, am), len(many.Items), "those that are told again are the same")

	at := time.Now()
	over := many.Items[0]
	over.State, over.ResolvedAt = alert.Resolved, &at
	require.NoError(t, sink.Send(t.Context(), alert.Message{Items: []alert.Item{over}}))
	require.Len(t, active(t, am), len(many.Items)-1)
}

func active(t *testing.T, am *servers.Server) []map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, am.URL()+"/api/v2/alerts?active=true", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var all []map[string]any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&all))
	return all
}
