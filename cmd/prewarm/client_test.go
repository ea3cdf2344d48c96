package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	oneRun = `{"run_id": "r1", "shop_id": "1001", "broadcast_id": "b-1", "state": "failed", "late": false, "rows_done": 5,
		"rows_estimated": 10, "deadline": "2026-05-01T12:00:00Z", "last_error": "disk full\u001b[2J", "epoch": 1, "attempts": 3,
		"margin_seconds": null, "eta_seconds": null, "waits_for": "a retry",
		"units": [{"unit": 7, "dataset": "users", "state": "failed", "cursor": "[\"42\"]", "rejects": 2, "last_error": "disk full"}]}`
	someRuns   = `{"runs": [` + oneRun + `], "next": "r0"}`
	twoOfThree = `{"request_id": "q1", "outcomes": [{"broadcast_id": "b-1", "shop_id": "1", "outcome": "accepted", "run_id": "r1"},
		{"broadcast_id": "b-2", "shop_id": "12abc", "outcome": "invalid", "reason": "shop_id is not a number"}]}`
	accepted = `{"request_id": "q1", "outcomes": [{"broadcast_id": "b-1", "shop_id": "1", "outcome": "accepted", "run_id": "r1"}]}`
)

func TestRequestSendsTheDocumentAsItIs(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 202, map[string]string{"POST /v1/requests": accepted})
	r := prewarm(t, `{"broadcasts": []}`, "request", "-", "--server", s.URL)
	require.Zero(t, r.code, r.err)
	require.JSONEq(t, `{"broadcasts": []}`, s.body)
	require.Contains(t, r.out, "accepted")
	require.Contains(t, r.err, "prewarm runs")

	r = prewarm(t, "", "request", write(t, "r.json", "{}"), "--server", s.URL, "--json")
	require.Zero(t, r.code, r.err)
	require.Equal(t, "q1", document(t, r.out)["request_id"])

	require.Equal(t, exitUsage, prewarm(t, string(make([]byte, 5<<20)), "request", "-", "--server", s.URL).code)
	require.Len(t, s.asked, 2, "what is too large is not sent")
}

func TestAnInvalidBroadcastFailsTheCommand(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 202, map[string]string{"POST /v1/requests": twoOfThree})
	r := prewarm(t, "{}", "request", "-", "--server", s.URL)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.out, "shop_id is not a number")
	require.Contains(t, r.err, "1 of 2 broadcasts are invalid")
	r = prewarm(t, "{}", "request", "-", "--server", s.URL, "--json")
	require.Equal(t, exitFailed, r.code)
	require.Len(t, document(t, r.out)["outcomes"], 2)
}

func TestRunsAndRun(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{"GET /v1/runs": someRuns, "GET /v1/runs/r1": oneRun,
		"GET /v1/runs/r1/rejects": `{"rejects": [{"unit": 7, "dataset": "users", "row_key": "[\"9\"]", "error": "is not UTF-8"}]}`})
	r := prewarm(t, "", "runs", "--state=failed,ready", "--shop=10 01", "--limit=5", "--next=r9", "--server", s.URL+"/")
	require.Zero(t, r.code, r.err)
	require.Equal(t, "GET /v1/runs?limit=5&next=r9&shop=10+01&state=failed%2Cready", s.asked[0])
	require.Contains(t, r.out, "disk full")
	require.NotContains(t, r.out, "\x1b[2J", "text from a database does not move the cursor")
	require.Contains(t, r.err, "prewarm runs --next r0")
	require.Equal(t, "r0", document(t, prewarm(t, "", "runs", "--json", "--server", s.URL).out)["next"])

	r = prewarm(t, "", "run", "r1", "--server", s.URL)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, `["42"]`)
	require.Contains(t, r.err, "prewarm retry r1")
	require.Len(t, document(t, prewarm(t, "", "run", "r1", "--json", "--server", s.URL).out)["units"], 1)
	require.Contains(t, prewarm(t, "", "run", "r1", "--rejects", "--server", s.URL).out, "is not UTF-8")

	r = prewarm(t, "", "run", "r/2", "--server", s.URL)
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, "GET /v1/runs/r%2F2", s.asked[len(s.asked)-1])
	require.Contains(t, r.err, "prewarm runs")
}

func TestMoves(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"retry", "restart", "cancel", "pause", "resume"} {
		s := serverWith(t, 200, map[string]string{"POST /v1/runs/r1/" + verb: oneRun})
		r := prewarm(t, "", verb, "r1", "--server", s.URL)
		require.Zero(t, r.code, r.err)
		require.Equal(t, []string{"POST /v1/runs/r1/" + verb}, s.asked)
		require.Contains(t, r.out, "is failed")
		require.Equal(t, "r1", document(t, prewarm(t, "", verb, "r1", "--json", "--server", s.URL).out)["run_id"])
	}
	s := serverWith(t, 409, map[string]string{"POST /v1/runs/r1/retry": `{"detail": "run is in another state"}`})
	r := prewarm(t, "", "retry", "r1", "--server", s.URL)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "another state; see `prewarm run ID`")
}

func TestSwitchesOfAShopAndOfEverything(t *testing.T) {
	t.Parallel()
	answer := `{"switches": [{"scope": "all", "who": "me", "reason": "slow"}], "cancelled": 3, "ready": 2}`
	s := serverWith(t, 200, map[string]string{"POST /v1/pause": answer, "POST /v1/shops/7/cancel": answer})
	r := prewarm(t, "", "pause", "--all", "--reason", "slow", "--server", s.URL)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "paused: everything, since -, by me: slow")
	require.Contains(t, prewarm(t, "", "cancel", "--shop", "7", "--server", s.URL).out, "3 runs called off\n2 stay, as they are ready")
	require.Equal(t, []string{"POST /v1/pause", "POST /v1/shops/7/cancel"}, s.asked)
	ends := serverWith(t, 200, map[string]string{"POST /v1/datasets/users/resume": `{"switches": []}`})
	require.Contains(t, prewarm(t, "", "resume", "--dataset", "users", "--server", ends.URL).out, "nothing is paused")
	for _, args := range [][]string{{"pause"}, {"pause", "r1", "--dataset", "users"}, {"cancel", "--dataset", "users"}, {"pause", "r1", "--all"}, {"resume", "--shop", "7", "--all"}} {
		require.Equal(t, exitUsage, prewarm(t, "", append(args, "--server", s.URL)...).code, args)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{
		"GET /v1/me": `{"version": "1.2.3"}`, "GET /v1/width": `{"width": 4, "actual": 3, "reason": "fixed"}`,
		"GET /v1/pods": `{"pods": [{"pod": "pod-a", "slots": 4}]}`,
		"GET /v1/alerts": `{"alerts": [{"name": "run_failed", "severity": "warning", "summary": "shop 1001 failed", "state": "firing"},
			{"name": "run_late", "severity": "warning", "summary": "shop 1002 was late", "state": "resolved"}]}`,
		"GET /v1/runs": someRuns, "GET /v1/switches": `{"switches": [{"scope": "shop", "id": "7", "who": "me", "reason": "slow"}]}`,
	})
	r := prewarm(t, "", "status", "--server", s.URL)
	require.Zero(t, r.code, r.err)
	for _, want := range []string{"prewarm 1.2.3: 3 of 4 slots in use (fixed)", "pod-a", "runs: 1 failed", "paused: shop 7, since -, by me: slow", "shop 1001 failed"} {
		require.Contains(t, r.out, want)
	}
	doc := document(t, prewarm(t, "", "status", "--json", "--server", s.URL).out)
	require.EqualValues(t, 1, doc["runs"].(map[string]any)["failed"])
	require.Equal(t, true, doc["more"])
}

func TestTheTokenComesFromTheEnvironmentOrAFile(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{"GET /v1/runs": someRuns})
	prewarmEnv(t, []string{"PREWARM_TOKEN=abc"}, "", "runs", "--server", s.URL)
	require.Equal(t, "Bearer abc", s.auth)
	prewarmEnv(t, []string{"PREWARM_TOKEN=abc"}, "", "runs", "--server", s.URL, "--token-file", write(t, "token", "def\n"))
	require.Equal(t, "Bearer def", s.auth)
	prewarm(t, "", "runs", "--server", s.URL)
	require.Empty(t, s.auth)
}

func TestClientErrorsSayWhatToDoNext(t *testing.T) {
	t.Parallel()
	gone := serverWith(t, 200, nil)
	gone.Close()
	for want, url := range map[string]string{
		"`prewarm serve`":               gone.URL,
		"PREWARM_TOKEN":                 serverWith(t, 401, map[string]string{"GET /v1/runs": `{"detail": "x"}`}).URL,
		"an operator":                   serverWith(t, 403, map[string]string{"GET /v1/runs": `{"detail": "this needs an operator"}`}).URL,
		"query.limit: too large":        serverWith(t, 422, map[string]string{"GET /v1/runs": `{"detail": "x", "errors": [{"location": "query.limit", "message": "too large"}]}`}).URL,
		"try again":                     serverWith(t, 503, map[string]string{"GET /v1/runs": `{"detail": "x"}`}).URL,
		"the server answered 502":       serverWith(t, 502, map[string]string{"GET /v1/runs": `<html>`}).URL,
		"is not prewarm":                serverWith(t, 200, map[string]string{"GET /v1/runs": `<html>`}).URL,
		"reach prewarm at http://u:xxx": "http://u:secret@127.0.0.1:1",
	} {
		r := prewarm(t, "", "runs", "--server", url)
		require.Equal(t, exitFailed, r.code, want)
		require.Empty(t, r.out)
		require.Contains(t, r.err, want)
		require.NotContains(t, r.err, "secret")
	}
}
