package api

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheWidthIsShownWithAllThatMadeIt(t *testing.T) {
	t.Parallel()
	f := &fake{}
	w := object(t, ask(newAPI(t, f, nil), "GET", "/v1/width", "").Body.Bytes())
	for _, field := range []string{"width", "actual", "min", "max", "max_per_pod", "pods", "reason", "demand", "ceiling", "wanted",
		"bound", "binds", "paused", "share", "pods_wanted", "override", "guard"} {
		require.Contains(t, w, field)
	}
	require.Nil(t, w["override"])
	require.Equal(t, map[string]any{"slots": 5.0, "ahead": 0.0, "bare": 4.0, "run": "r1", "deadline": "2026-05-01T12:00:00Z", "due": 60.0,
		"backlog": 90.0, "overdue": 1.0, "reason": "much"}, w["demand"])
	require.Equal(t, []any{
		map[string]any{"signal": "redis_latency", "zone": "shrink", "reason": "redis_latency 3 >= 2", "at": "2026-05-01T12:00:00Z", "blind": false},
		map[string]any{"signal": "lag", "zone": "hold", "reason": "", "at": nil, "blind": true},
	}, w["guard"])
}

func TestTheWidthIsSetByHandForAWhileWithWhoAndWhy(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	w := ask(a, "PUT", "/v1/width", `{"min": 2, "max": 9, "for": "30m", "reason": "a sale"}`, bearer(operatorToken))
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, []any{2, 9, 0, false, "on-call", "a sale"},
		[]any{f.override.Min, f.override.Max, f.override.Pin, f.override.Pause, f.override.Who, f.override.Why})
	require.WithinDuration(t, time.Now().Add(30*time.Minute), f.override.Until, time.Minute)
	shown := object(t, w.Body.Bytes())["override"].(map[string]any)
	require.Equal(t, "a sale", shown["why"], "the answer has it already")
	require.Equal(t, "on-call", shown["who"])

	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	w = ask(a, "PUT", "/v1/width", `{"pause": true, "until": "`+until.Format(time.RFC3339)+`", "reason": "x"}`, bearer(operatorToken))
	require.Equal(t, 200, w.Code, w.Body)
	require.True(t, f.override.Pause)
	require.Zero(t, f.override.Max, "what was set before is gone")
	require.Equal(t, until, f.override.Until.UTC())

	w = ask(a, "DELETE", "/v1/width/override?reason=over", "", bearer(operatorToken))
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, []string{"on-call", "over"}, []string{f.who, f.why})
	require.Nil(t, object(t, w.Body.Bytes())["override"])
	f.err = errors.New("connection refused")
	require.Equal(t, 503, ask(a, "DELETE", "/v1/width/override", "", bearer(operatorToken)).Code)
}

func TestAnOverrideThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, nil)
	for body, want := range map[string]string{
		`{"pin": 4, "for": "30m"}`:                                                "reason",
		`{"pin": 4, "for": "30m", "reason": ""}`:                                  "reason",
		`{"pin": 4, "reason": "x"}`:                                               "how long",
		`{"pin": 4, "for": "soon", "reason": "x"}`:                                "30m or 2h",
		`{"pin": 4, "for": "-1m", "reason": "x"}`:                                 "end in the future",
		`{"pin": 4, "for": "1m", "until": "2036-05-01T12:00:00Z", "reason": "x"}`: "one of the two",
		`{"pin": 4, "until": "2016-05-01T12:00:00Z", "reason": "x"}`:              "end in the future",
		`{"pin": 65, "for": "1m", "reason": "x"}`:                                 "width.max, which is 64",
		`{"pin": -1, "for": "1m", "reason": "x"}`:                                 "pin",
		`{"min": 9, "max": 2, "for": "1m", "reason": "x"}`:                        "more than max",
		`{"for": "1m", "reason": "x"}`:                                            "pin, min, max or pause",
		`{"pinned": 4, "for": "1m", "reason": "x"}`:                               "pinned",
	} {
		w := ask(a, "PUT", "/v1/width", body)
		require.Equal(t, 422, w.Code, "%s: %s", body, w.Body)
		requireProblem(t, 422, w.Header(), w.Body.Bytes())
		require.Contains(t, w.Body.String(), want)
	}
	require.Equal(t, 400, ask(a, "PUT", "/v1/width", `{`).Code)
	require.Equal(t, 400, ask(a, "PUT", "/v1/width", "").Code)
	require.Nil(t, f.override, "nothing of it was set")
}

func TestAPlanIsAVerdictPerBroadcast(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, nil)
	w := ask(a, "POST", "/v1/plan", `{"broadcasts": []}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.JSONEq(t, `{"broadcasts": []}`, string(f.body))
	var got PlanAnswer
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Len(t, got.Verdicts, 2)
	first := object(t, w.Body.Bytes())["verdicts"].([]any)
	require.Equal(t, map[string]any{"broadcast_id": "b-1", "shop_id": "1001", "outcome": "accepted", "state": "infeasible",
		"start": "2026-05-01T11:00:00Z", "finish": "2026-05-01T12:05:00Z", "finish_95": "2026-05-01T12:09:00Z",
		"deadline": "2026-05-01T12:00:00Z", "margin_seconds": -300.0, "minutes_late": 5.0, "reason": "5m0s late", "remedy": "2 more pods"}, first[0])
	require.Equal(t, map[string]any{"broadcast_id": "b-2", "shop_id": "2", "outcome": "skipped", "state": "", "start": nil,
		"finish": nil, "finish_95": nil, "deadline": "2026-05-01T12:00:00Z", "margin_seconds": nil, "minutes_late": nil, "reason": "too small", "remedy": ""}, first[1])
	require.Equal(t, Open, got.Open[0].Outcome)
	for body, status := range map[string]int{"malformed": 400, "too many": 413, "down": 503} {
		w := ask(a, "POST", "/v1/plan", body)
		require.Equal(t, status, w.Code)
		requireProblem(t, status, w.Header(), w.Body.Bytes())
	}
}

func TestAnOpenRunShowsItsVerdictAndAnEndedOneNone(t *testing.T) {
	t.Parallel()
	f := &fake{state: "warming"}
	a := newAPI(t, f, nil)
	for _, path := range []string{"/v1/runs/r1", "/v1/runs"} {
		run := object(t, ask(a, "GET", path, "").Body.Bytes())
		if list, ok := run["runs"].([]any); ok {
			run = list[0].(map[string]any)
		}
		require.Equal(t, map[string]any{"state": "infeasible", "finish": "2026-05-01T12:05:00Z", "finish_95": "2026-05-01T12:09:00Z",
			"margin_seconds": -300.0, "minutes_late": 5.0, "reason": "5m0s late", "remedy": "2 more pods"}, run["verdict"], path)
	}
	f.state = "ready"
	run := object(t, ask(a, "GET", "/v1/runs/r1", "").Body.Bytes())
	require.Contains(t, run, "verdict")
	require.Nil(t, run["verdict"], "what was thought of it is of no use any more")
}
