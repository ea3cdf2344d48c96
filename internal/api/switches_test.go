package api

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestSwitchesOfAShopAndOfEverything(t *testing.T) {
	t.Parallel()
	f := &fake{switches: []ledger.Switch{{Scope: ledger.Scope{Kind: ledger.ScopeAll}, Who: "on-call", Why: "the database suffers", Since: noon}}}
	a := newAPI(t, f, tokens)
	for path, want := range map[string]string{
		"/v1/shops/1001/pause": "pause shop 1001", "/v1/shops/1001/resume": "resume shop 1001", "/v1/shops/1001/cancel": "cancel shop 1001",
		"/v1/pause": "pause everything", "/v1/resume": "resume everything", "/v1/cancel": "cancel everything",
		"/v1/datasets/users/pause": "pause dataset users", "/v1/datasets/users/resume": "resume dataset users",
	} {
		f.turned = nil
		require.Equal(t, 403, ask(a, "POST", path, "", bearer(viewerToken)).Code, path)
		require.Empty(t, f.turned)
		w := ask(a, "POST", path, `{"reason": "because"}`, bearer(operatorToken))
		require.Equal(t, 200, w.Code, w.Body)
		require.Equal(t, []string{want}, f.turned)
		require.Equal(t, []string{"on-call", "because"}, []string{f.who, f.why})
		list := object(t, w.Body.Bytes())["switches"].([]any)
		require.Equal(t, "the database suffers", list[0].(map[string]any)["reason"])
	}
	f.turned = nil
	w := ask(a, "POST", "/v1/datasets/usres/pause", `{"reason": "a typo"}`, bearer(operatorToken))
	require.Equal(t, 404, w.Code)
	require.Contains(t, w.Body.String(), "no such dataset; there are users")
	require.Empty(t, f.turned)
	require.Equal(t, 200, ask(a, "GET", "/v1/switches", "", bearer(viewerToken)).Code)
	f.err = errors.Join(ledger.ErrState)
	require.Equal(t, 409, ask(a, "POST", "/v1/resume", "", bearer(operatorToken)).Code, "it is not paused")
}

func TestATimelineSaysWhatWhenWhoAndWhatItRecovers(t *testing.T) {
	t.Parallel()
	run := object(t, ask(newAPI(t, &fake{}, nil), "GET", "/v1/runs/r1", "").Body.Bytes())
	line := run["timeline"].([]any)
	require.Len(t, line, 3)
	require.Equal(t, map[string]any{"at": "2026-05-01T12:00:00Z", "stage": "paused", "scope": "shop", "epoch": 0.0, "unit": nil,
		"who": "on-call", "message": "too slow"}, line[1])
	require.Equal(t, map[string]any{"at": "2026-05-01T12:00:00Z", "stage": "recovering", "scope": "run", "epoch": 1.0, "unit": 3.0,
		"claim": 2.0, "recovers": 1.0, "who": "pod-b", "message": ""}, line[2])
	require.Equal(t, "ready", run["stage"])
	require.EqualValues(t, 1, run["status"])
}

func TestARequestIsShownWithWhatHasBecomeOfIt(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &fake{}, nil)
	r := object(t, ask(a, "GET", "/v1/requests/evening", "").Body.Bytes())
	require.Equal(t, map[string]any{"accepted": 1.0, "skipped": 1.0}, r["outcomes"])
	require.Equal(t, map[string]any{"ready": 1.0, "failed": 1.0}, r["states"])
	require.EqualValues(t, 1, r["failed"])
	require.Len(t, r["answers"], 2)
	require.Equal(t, 404, ask(a, "GET", "/v1/requests/none", "").Code)
	require.Len(t, object(t, ask(a, "GET", "/v1/requests", "").Body.Bytes())["requests"], 1)
}
