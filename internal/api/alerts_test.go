package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAlertsComeWithTheStateOfTheSinks(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, nil)
	w := ask(a, "GET", "/v1/alerts?limit=7", "")
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, 7, f.limit)
	got := object(t, w.Body.Bytes())
	require.Equal(t, "run_late", got["alerts"].([]any)[0].(map[string]any)["name"])
	require.Equal(t, "firing", got["alerts"].([]any)[0].(map[string]any)["state"])
	require.Equal(t, map[string]any{"name": "slack", "failures": 2.0, "error": "down"}, got["sinks"].([]any)[0])
	require.Equal(t, 422, ask(a, "GET", "/v1/alerts?limit=0", "").Code)
}

func TestATestAlertIsSentInTheNameOfWhoAsks(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &fake{}, nil)
	w := ask(a, "POST", "/v1/alerts/test?sink=slack", "")
	require.Equal(t, 200, w.Code, w.Body)
	require.JSONEq(t, `{"sinks": [{"sink": "slack by `+LoopbackName+`"}]}`, w.Body.String())
	require.Equal(t, 404, ask(a, "POST", "/v1/alerts/test?sink=nobody", "").Code)
}
