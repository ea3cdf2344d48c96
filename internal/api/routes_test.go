package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func serve(a *API, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	return w
}

func object(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(text, &m), "%s", text)
	return m
}

func TestRequestsAreHandedToIntakeAsTheyAre(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, nil)
	for _, kind := range []string{"", "application/json", "text/plain"} {
		w := ask(a, "POST", "/v1/requests", `{"broadcasts": []}`, header{"Content-Type": kind})
		require.Equal(t, 202, w.Code, w.Body)
		require.JSONEq(t, `{"request_id":"q1","outcomes":[{"broadcast_id":"b-1","shop_id":"1001","outcome":"accepted","run_id":"r1"}]}`,
			w.Body.String())
		require.JSONEq(t, `{"broadcasts": []}`, string(f.body))
	}
	full := strings.Repeat(" ", MaxBody)
	require.Equal(t, 202, ask(a, "POST", "/v1/requests", full).Code)
	for body, status := range map[string]int{
		"malformed": 400, "too many": 413, full + " ": 413, "down": 503, "bug": 500,
	} {
		w := ask(a, "POST", "/v1/requests", body)
		require.Equal(t, status, w.Code)
		requireProblem(t, status, w.Header(), w.Body.Bytes())
	}
}

func TestWarmByHand(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, nil)
	w := ask(a, "POST", "/v1/shops/1001/warm", "")
	require.Equal(t, 202, w.Code, w.Body)
	require.Equal(t, "r1", object(t, w.Body.Bytes())["run_id"])
	require.Equal(t, LoopbackName, f.warm.Who)
	require.True(t, f.warm.StartsAt.IsZero())

	w = ask(a, "POST", "/v1/shops/1001/warm", `{"broadcast_id": "x", "ends_at": "2026-05-01T12:00:00Z"}`)
	require.Equal(t, 202, w.Code, w.Body)
	require.Equal(t, "x", f.warm.BroadcastID)
	require.Equal(t, noon, f.warm.EndsAt)

	require.Equal(t, 422, ask(a, "POST", "/v1/shops/12abc/warm", "").Code)
	require.Equal(t, 422, ask(a, "POST", "/v1/shops/1001/warm", `{"ends_at": "soon"}`).Code)
	require.Equal(t, 422, ask(a, "POST", "/v1/shops/1001/warm", `{"ends": 1}`).Code)
	require.Equal(t, 400, ask(a, "POST", "/v1/shops/1001/warm", `{`).Code)
}

func TestRunsHaveTheContractsFields(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, nil)
	w := ask(a, "GET", "/v1/runs?state=ready,failed&shop=1001&broadcast=b-1&limit=7&next=r9&ends_after=2026-05-01T12:00:00Z", "")
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, ledger.RunFilter{States: []ledger.RunState{ledger.RunReady, ledger.RunFailed}, Shop: "1001", Broadcast: "b-1",
		Limit: 7, After: "r9", EndsAfter: noon}, f.filter)
	list := object(t, w.Body.Bytes())
	require.Equal(t, "r0", list["next"])
	run := list["runs"].([]any)[0].(map[string]any)
	for _, field := range []string{"run_id", "shop_id", "broadcast_id", "state", "late", "rows_done", "rows_estimated", "starts_at",
		"ends_at", "deadline", "planned_start", "started_at", "ready_at", "epoch", "attempts", "last_error"} {
		require.Contains(t, run, field)
	}
	require.Equal(t, "2026-05-01T11:20:00Z", run["ready_at"])
	require.EqualValues(t, 1800, run["margin_seconds"])

	w = ask(a, "GET", "/v1/runs/r1", "")
	require.Equal(t, 200, w.Code, w.Body)
	one := object(t, w.Body.Bytes())
	require.Equal(t, "r1", one["run_id"])
	unit := one["units"].([]any)[0].(map[string]any)
	for _, field := range []string{"unit", "dataset", "state", "from", "to", "cursor", "rows_done", "attempts", "claim", "owner", "last_error"} {
		require.Contains(t, unit, field)
	}
	require.NotContains(t, w.Body.String(), "$schema")
}

func TestWrongQuestionsAreProblems(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &fake{}, nil)
	for path, status := range map[string]int{
		"/v1/runs?state=done": 422, "/v1/runs?limit=0": 422, "/v1/runs?limit=1001": 422, "/v1/runs?ends_after=x": 422,
		"/v1/runs/none": 404, "/v1": 404, "/v1/runs/": 404, "/asynqmonx": 404,
	} {
		w := ask(a, "GET", path, "")
		require.Equal(t, status, w.Code, path)
		requireProblem(t, status, w.Header(), w.Body.Bytes())
	}
	w := ask(a, "PUT", "/v1/pods", "")
	require.Equal(t, 405, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
}

func TestMovesOfARun(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	for _, verb := range []string{"retry", "restart", "cancel", "pause", "resume"} {
		w := ask(a, "POST", "/v1/runs/r1/"+verb, `{"reason": "because"}`, bearer(operatorToken))
		require.Equal(t, "because", f.why)
		require.Equal(t, 200, ask(a, "POST", "/v1/runs/r1/"+verb, "", bearer(operatorToken)).Code, "the reason is optional")
		require.Equal(t, 200, w.Code, w.Body)
		require.Equal(t, "r1", object(t, w.Body.Bytes())["run_id"])
		require.Equal(t, "on-call", f.who)
		require.Equal(t, 404, ask(a, "POST", "/v1/runs/none/"+verb, "", bearer(operatorToken)).Code)
	}
	f.err = errors.Join(ledger.ErrState)
	require.Equal(t, 409, ask(a, "POST", "/v1/runs/r1/retry", "", bearer(operatorToken)).Code)
	f.err = errors.New("connection refused")
	w := ask(a, "POST", "/v1/runs/r1/retry", "", bearer(operatorToken))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "5", w.Header().Get("Retry-After"))
}

func TestReadinessTellsStrangersNoDetails(t *testing.T) {
	t.Parallel()
	f := &fake{sick: errors.New("ledger at 10.0.0.7 does not answer")}
	a := newAPI(t, f, tokens)
	for _, w := range []*httptest.ResponseRecorder{ask(a, "GET", "/healthz?ready", ""), ask(a, "GET", "/readyz", "", bearer(viewerToken))} {
		require.Equal(t, 503, w.Code)
		require.Equal(t, "not ready\n", w.Body.String())
	}
	require.Equal(t, 200, ask(a, "GET", "/healthz", "").Code, "it lives")
	f.sick = nil
	require.Equal(t, 200, ask(a, "GET", "/healthz?ready", "").Code)
}

func TestWhatARunWaitsFor(t *testing.T) {
	t.Parallel()
	now := noon
	planned := ledger.Run{State: ledger.RunPlanned, PlannedAt: now, PlannedStart: now.Add(time.Hour)}
	unplanned, due, warming := planned, planned, planned
	unplanned.PlannedAt = time.Time{}
	due.PlannedStart = now
	warming.State = ledger.RunWarming
	unit := func(s ledger.UnitState, err string) []ledger.Unit {
		return []ledger.Unit{{State: ledger.UnitDone, LastError: "old"}, {Unit: 1, Dataset: "users", State: s, LastError: err}}
	}
	for _, c := range []struct {
		run   ledger.Run
		units []ledger.Unit
		want  string
	}{
		{planned, nil, "its planned start at 2026-05-01T13:00:00Z"},
		{unplanned, nil, "its plan to be written"},
		{due, nil, "a free slot"},
		{warming, nil, ""},
		{warming, unit(ledger.UnitRunning, ""), ""},
		{warming, unit(ledger.UnitWaiting, ""), "a free slot"},
		{warming, unit(ledger.UnitWaiting, "timeout"), "another attempt at unit 1 (users), after: timeout"},
		{ledger.Run{State: ledger.RunFailed}, nil, "a retry or restart by hand"},
		{ledger.Run{State: ledger.RunReady}, nil, ""},
	} {
		require.Equal(t, c.want, waitsFor(Story{Run: c.run, Units: c.units}, now))
	}
	due.ID, due.ShopID = "r1", "1001"
	require.Equal(t, "another broadcast of the same shop to be done: run r0", waitsFor(Story{Run: due, Holder: "r0"}, now))
	require.Equal(t, "a free slot", waitsFor(Story{Run: due, Holder: "r1"}, now))
	pause := []ledger.Switch{{Scope: ledger.Scope{Kind: ledger.ScopeShop, ID: "1001"}, Who: "me", Why: "too slow"}}
	require.Equal(t, "its resuming: shop 1001 is paused by me: too slow", waitsFor(Story{Run: due, Switches: pause}, now))
	stopped := []ledger.Switch{{Scope: ledger.Scope{Kind: ledger.ScopeDataset, ID: "users"}, Who: "pod-a", Why: "its plan went bad"}}
	for dataset, want := range map[string]string{"users": "its resuming: dataset users is paused by pod-a: its plan went bad", "products": "a free slot"} {
		s := Story{Run: warming, Units: []ledger.Unit{{State: ledger.UnitWaiting, Dataset: dataset}}, Switches: stopped}
		require.Equal(t, want, waitsFor(s, now))
		require.Equal(t, "loading", stage(s), "the other datasets go on")
	}
	require.Equal(t, "paused", stage(Story{Run: due, Switches: pause}))
	require.Equal(t, "ready", stage(Story{Run: ledger.Run{State: ledger.RunReady, ShopID: "1001"}, Switches: pause}))
}

func TestETAGoesOnAsItWent(t *testing.T) {
	t.Parallel()
	r := ledger.Run{State: ledger.RunWarming, StartedAt: noon, RowsDone: 100, RowsEstimated: 400}
	require.EqualValues(t, 30, *eta(r, noon.Add(10*time.Second)))
	r.RowsDone = 500
	require.Zero(t, *eta(r, noon.Add(10*time.Second)), "more rows than estimated")
	r.RowsDone = 0
	require.Nil(t, eta(r, noon.Add(10*time.Second)))
	require.Nil(t, eta(ledger.Run{State: ledger.RunPlanned, RowsDone: 1}, noon))
	late := int64(-60)
	require.Equal(t, &late, margin(ledger.Run{State: ledger.RunReady, Deadline: noon, ReadyAt: noon.Add(time.Minute)}))
	require.Nil(t, margin(ledger.Run{State: ledger.RunWarming, Deadline: noon}))
}
