package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	aWidth = `{"width": 12, "actual": 11, "min": 1, "max": 64, "max_per_pod": 32, "pods": 2, "reason": "12, near enough: much is due\u001b[2J",
		"demand": {"slots": 12.5, "bare": 10, "run": "r1", "due": 60, "backlog": 3600, "overdue": 1, "reason": "much is due"},
		"ceiling": 20, "wanted": 24, "bound": true, "binds": "guard", "paused": true, "share": 6, "pods_wanted": 3,
		"override": {"pin": 12, "min": 0, "max": 0, "pause": true, "until": "2026-05-01T12:00:00Z", "who": "on-call", "why": "a sale"},
		"guard": [{"signal": "threads_running(main)", "zone": "shrink", "reason": "threads_running 70 >= 64", "at": "2026-05-01T12:00:00Z"},
			{"signal": "redis_latency(cache)", "zone": "hold", "reason": "not read for 12s", "blind": true}]}`
	aPlan = `{"verdicts": [
		{"broadcast_id": "b-1", "shop_id": "1", "outcome": "accepted", "state": "feasible", "margin_seconds": 600, "reason": "ready by 11:50"},
		{"broadcast_id": "b-2", "shop_id": "2", "outcome": "accepted", "state": "at risk", "margin_seconds": 5, "reason": "tight", "remedy": "a pod"},
		{"broadcast_id": "b-3", "shop_id": "3", "outcome": "skipped", "state": "", "reason": "too small"}],
		"open": [{"broadcast_id": "b-8", "shop_id": "8", "outcome": "open", "state": "feasible"},
			{"broadcast_id": "b-9", "shop_id": "9", "outcome": "open", "state": "at risk", "margin_seconds": 1}]}`
)

func TestWidthShowsWhatIsNeededAndBorneAndWhy(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{"GET /v1/width": aWidth})
	r := prewarm(t, "", "width", "--server", s.URL)
	require.Zero(t, r.code, r.err)
	for _, line := range []string{
		"width    12 of 1..64, 11 in use on 2 pods, paused\n", "why      12, near enough: much is due",
		"demand   12.5 slots (10.0 without headroom): much is due\n", "backlog  1h0m0s of slot time, 1 runs overdue\n",
		"ceiling  20 (what the servers bear), binds: 24 are wanted\n", "pods     2, 3 wanted, 32 slots each at most\n",
		"by hand  pin 12, paused until ", ", by on-call: a sale\n",
	} {
		require.Contains(t, r.out, line)
	}
	require.Regexp(t, `(?m)^threads_running\(main\) +shrink +\S+ \S+ +threads_running 70 >= 64$`, r.out)
	require.Regexp(t, `(?m)^redis_latency\(cache\) +hold \(blind\) +- +not read for 12s$`, r.out)
	require.NotContains(t, r.out, "\x1b[2J")
	require.EqualValues(t, 20, document(t, prewarm(t, "", "width", "--json", "--server", s.URL).out)["ceiling"])
}

func TestWidthIsSetAndClearedByHand(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{"PUT /v1/width": aWidth, "DELETE /v1/width/override": aWidth})
	for args, body := range map[string]string{
		"--pin 12":        `{"pin": 12, "for": "30m0s", "reason": "a sale"}`,
		"--min 2 --max 9": `{"min": 2, "max": 9, "for": "30m0s", "reason": "a sale"}`,
		"--pause":         `{"pause": true, "for": "30m0s", "reason": "a sale"}`,
	} {
		r := prewarm(t, "", append([]string{"width", "--for", "30m", "--reason", "a sale", "--server", s.URL}, strings.Fields(args)...)...)
		require.Zero(t, r.code, r.err)
		require.JSONEq(t, body, s.body)
		require.Contains(t, r.out, "by on-call: a sale")
	}
	require.Zero(t, prewarm(t, "", "width", "--clear", "--reason", "it is over", "--server", s.URL).code)
	require.Equal(t, "DELETE /v1/width/override?reason=it+is+over", s.asked[3])

	for _, args := range []string{
		"--pin 12", "--pin 12 --for 30m", "--pin 12 --reason x", "--for 30m --reason x", "--reason x", "--pin 0 --for 1m --reason x",
		"--pin 2 --for -1m --reason x", "--clear --pin 2", "--clear --for 1m", "--pin 2 --for soon --reason x",
	} {
		r := prewarm(t, "", append([]string{"width", "--server", s.URL}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, r.code, args)
		require.Empty(t, r.out)
	}
	require.Len(t, s.asked, 4, "what cannot be meant is not sent")
}

func TestPlanFailsOnlyIfSomebodyWouldBeLate(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{"POST /v1/plan": aPlan})
	r := prewarm(t, `{"broadcasts": []}`, "plan", "-", "--server", s.URL)
	require.Zero(t, r.code, "a risk is no failure: %s", r.err)
	require.JSONEq(t, `{"broadcasts": []}`, s.body)
	for _, want := range []string{"b-1", "feasible", "ready by 11:50", "10m0s", "at risk", "a pod", "skipped", "too small", "b-9"} {
		require.Contains(t, r.out, want)
	}
	require.NotContains(t, r.out, "b-8", "open runs that are safe are not listed")
	require.Len(t, document(t, prewarm(t, "{}", "plan", "-", "--json", "--server", s.URL).out)["open"], 2)

	for _, change := range []struct{ from, to, says string }{
		{`"b-1", "shop_id": "1", "outcome": "accepted", "state": "feasible"`, `"b-1", "shop_id": "1", "outcome": "accepted", "state": "infeasible"`, "1 would be late and 0 are invalid; of 2 open runs 0"},
		{`"outcome": "skipped"`, `"outcome": "invalid"`, "0 would be late and 1 are invalid"},
		{`"open", "state": "at risk"`, `"open", "state": "infeasible"`, "of 2 open runs 1 would be late"},
	} {
		bad := strings.Replace(aPlan, change.from, change.to, 1)
		require.NotEqual(t, aPlan, bad)
		s := serverWith(t, 200, map[string]string{"POST /v1/plan": bad})
		r := prewarm(t, "{}", "plan", "-", "--server", s.URL)
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.err, change.says)
		r = prewarm(t, "{}", "plan", "-", "--json", "--server", s.URL)
		require.Equal(t, exitFailed, r.code)
		document(t, r.out)
	}
	require.Equal(t, exitUsage, prewarm(t, "", "plan", "/does/not/exist", "--server", s.URL).code)
}

func TestARunThatMayBeLateSaysSoAndWhatHelps(t *testing.T) {
	t.Parallel()
	run := strings.Replace(oneRun, `"state": "failed"`, `"state": "planned", "verdict": {"state": "infeasible", "reason": "ready by 12:05, 5m late",
		"remedy": "2 more pods", "margin_seconds": -300}`, 1)
	s := serverWith(t, 200, map[string]string{"GET /v1/runs": `{"runs": [` + run + `]}`, "GET /v1/runs/r1": run})
	for _, args := range [][]string{{"runs"}, {"run", "r1"}} {
		r := prewarm(t, "", append(args, "--server", s.URL)...)
		require.Zero(t, r.code, r.err)
		flat := strings.Join(strings.Fields(r.out), " ")
		require.Contains(t, flat, "infeasible: ready by 12:05, 5m late; what helps:")
		require.Contains(t, flat, "2 more pods; waits for a retry")
	}
}

func TestSimulatePrintsTheSumAndWritesAPage(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "evening.html")
	args := []string{"simulate", "--evenings", "3", "--seed", "5", "--shops", "12"}
	r := prewarm(t, "", append(args, "--json", "--html", page)...)
	require.Zero(t, r.code, r.err)
	doc := document(t, r.out)
	for _, field := range []string{"evenings", "feasible", "missed_feasible", "verdict_precision", "verdict_recall", "harm_seconds", "reversals"} {
		require.Contains(t, doc, field)
	}
	require.EqualValues(t, 3, doc["evenings"])
	require.EqualValues(t, 36, doc["broadcasts"])
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "A virtual evening, seed 5")
	require.Equal(t, r.out, prewarm(t, "", append(args, "--json")...).out, "the same seed is the same evening")

	r = prewarm(t, "", args...)
	require.Zero(t, r.code, r.err)
	require.Regexp(t, `(?m)^broadcasts +36$`, r.out)
	require.NotContains(t, r.err, "\x1b", "no bar where nobody looks")
	for _, wrong := range []string{"--evenings=0", "--shops=0", "--shops=10000", "--load=-1", "--load=11", "--seed=-1", "--html=/does/not/exist/x"} {
		require.Equal(t, exitUsage, prewarm(t, "", "simulate", "--evenings=1", "--shops=1", wrong).code, wrong)
	}
}
