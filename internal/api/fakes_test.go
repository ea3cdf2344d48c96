package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/pace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	viewerToken   = "viewer-0123456789"
	operatorToken = "operator-0123456789"
)

var tokens = []config.Token{
	{Name: "grafana", Role: config.RoleViewer, Token: viewerToken},
	{Name: "on-call", Role: config.RoleOperator, Token: operatorToken},
}

// fake is every part that the API stands on. It remembers what it was asked.
type fake struct {
	filter ledger.RunFilter
	limit  int // of alerts
	warm   intake.WarmNow
	body   []byte
	who    string
	why    string
	turned []string // what was done to which scope

	state    ledger.RunState // of the run; default: as aRun
	override *pace.Override
	switches []ledger.Switch
	samples  []Sample
	actions  []ledger.Action
	err      error // of Runs
	sick     error // of Ready
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

var aRun = ledger.Run{
	ID: "r1", ShopID: "1001", BroadcastID: "b-1", State: ledger.RunReady, RowsDone: 10, RowsEstimated: 9,
	StartsAt: noon, EndsAt: noon.Add(time.Hour), Deadline: noon.Add(-10 * time.Minute), PlannedStart: noon.Add(-time.Hour),
	StartedAt: noon.Add(-time.Hour), ReadyAt: noon.Add(-40 * time.Minute), Epoch: 1, Attempts: 1,
}

var aVerdict = pace.Verdict{Run: "r1", State: pace.Infeasible, Start: noon.Add(-time.Hour), Finish: noon.Add(5 * time.Minute),
	Finish95: noon.Add(9 * time.Minute), Margin: -5 * time.Minute, Reason: "5m0s late", Remedy: "2 more pods"}

var aRequest = ledger.Request{ID: "q1", RequestID: "evening", Via: "http", Broadcasts: 2, ReceivedAt: noon,
	Outcomes: `[{"broadcast_id":"b-1","shop_id":"1001","outcome":"accepted","run_id":"r1"},{"broadcast_id":"b-2","shop_id":"2","outcome":"skipped"}]`}

var aUnit = ledger.Unit{RunID: "r1", Unit: 3, Dataset: "users", State: ledger.UnitDone, From: `["1"]`, To: `["9"]`,
	Cursor: `["9"]`, RowsDone: 9, Attempts: 1, Claim: 2, Owner: "pod-a"}

func (f *fake) Accept(_ context.Context, body []byte, _ string) (intake.Answer, error) {
	f.body = bytes.Clone(body) // the server reads the next request into it
	switch {
	case strings.Contains(string(body), "malformed"):
		return intake.Answer{}, errors.Join(intake.ErrMalformed)
	case strings.Contains(string(body), "too many"):
		return intake.Answer{}, intake.ErrTooLarge
	case strings.Contains(string(body), "down"):
		return intake.Answer{}, errors.New("the ledger does not answer")
	case strings.Contains(string(body), "bug"):
		panic("a bug")
	}
	return intake.Answer{RequestID: "q1", Outcomes: []intake.Outcome{
		{BroadcastID: "b-1", ShopID: "1001", Outcome: intake.Accepted, RunID: "r1"}}}, nil
}

func (f *fake) WarmNow(_ context.Context, shop string, w intake.WarmNow) (intake.Outcome, error) {
	f.warm = w
	if shop == "12abc" {
		return intake.Outcome{Outcome: intake.Invalid, Reason: "shop_id is not a number"}, nil
	}
	return intake.Outcome{BroadcastID: "b-1", ShopID: shop, Outcome: intake.Accepted, RunID: "r1"}, nil
}

func (f *fake) Runs(_ context.Context, filter ledger.RunFilter) ([]ledger.Run, string, error) {
	f.filter = filter
	return []ledger.Run{f.run()}, "r0", nil
}

func (f *fake) run() ledger.Run {
	r := aRun
	r.State = cmp.Or(f.state, r.State)
	return r
}

func (f *fake) Run(_ context.Context, id string) (Story, error) {
	if id != aRun.ID {
		return Story{}, ledger.ErrNotFound
	}
	return Story{Run: f.run(), Verdict: &aVerdict, Units: []ledger.Unit{aUnit}, Timeline: []ledger.Event{
		{RunID: "r1", Epoch: 1, Unit: -1, Stage: ledger.StageStarted, Who: "pod-a", At: noon},
		{ShopID: "1001", Unit: -1, Stage: ledger.StagePaused, Who: "on-call", Message: "too slow", At: noon},
		{RunID: "r1", Epoch: 1, Unit: 3, Claim: 2, Recovers: 1, Stage: ledger.StageRecovering, Who: "pod-b", At: noon},
	}}, nil
}

func (f *fake) Switches(context.Context) ([]ledger.Switch, error) { return f.switches, f.err }

func (f *fake) Requests(_ context.Context, _ time.Time, limit int) ([]ledger.Request, error) {
	return []ledger.Request{aRequest}[:min(limit, 1)], nil
}

func (f *fake) Request(_ context.Context, id string) (ledger.Request, ledger.Batch, error) {
	if id != aRequest.RequestID {
		return ledger.Request{}, ledger.Batch{}, ledger.ErrNotFound
	}
	return aRequest, ledger.Batch{Runs: 2, States: map[ledger.RunState]int{ledger.RunReady: 1, ledger.RunFailed: 1}, Late: 1, Rows: 7}, nil
}

func (f *fake) Rejects(context.Context, string) ([]ledger.RejectedRow, error) {
	return []ledger.RejectedRow{{Unit: 3, Dataset: "users", RowKey: "7", Error: "is not UTF-8", At: noon}}, nil
}

func (f *fake) act(id string, by ledger.By) error {
	f.who, f.why = by.Who, by.Why
	if id != aRun.ID {
		return ledger.ErrNotFound
	}
	return f.err
}

func (f *fake) turn(verb string, on ledger.Scope, by ledger.By) error {
	f.turned = append(f.turned, verb+" "+on.String())
	if on.Kind == ledger.ScopeRun {
		return f.act(on.ID, by)
	}
	f.who, f.why = by.Who, by.Why
	return f.err
}

func (f *fake) Retry(_ context.Context, id string, by ledger.By) error   { return f.act(id, by) }
func (f *fake) Restart(_ context.Context, id string, by ledger.By) error { return f.act(id, by) }
func (f *fake) Cancel(_ context.Context, on ledger.Scope, by ledger.By) (cancelled, ready int, err error) {
	return 3, 2, f.turn("cancel", on, by)
}
func (f *fake) Pause(_ context.Context, on ledger.Scope, by ledger.By) error {
	return f.turn("pause", on, by)
}
func (f *fake) Resume(_ context.Context, on ledger.Scope, by ledger.By) error {
	return f.turn("resume", on, by)
}
func (f *fake) Ready(context.Context) error { return f.sick }

func (f *fake) Pods(context.Context) ([]ledger.Pod, error) {
	return []ledger.Pod{{ID: "pod-a", Version: "1", Slots: 4, StartedAt: noon, BeatAt: noon}}, nil
}

func (f *fake) Now(context.Context) (time.Time, error) { return time.Now(), f.err }

func (f *fake) Width(context.Context) (WidthNow, error) {
	return WidthNow{
		Width: 4, Min: 1, Max: 64, MaxPerPod: 32, Reason: "fixed", Override: OverrideOf(f.override, time.Now()),
		Demand: DemandOf(pace.Demand{Slots: 5, Bare: 4, Run: "r1", Deadline: noon, Due: 60, Backlog: 90, Overdue: 1, Reason: "much"}),
		Guard: GuardOf([]guard.Verdict{
			{Zone: guard.Shrink, Signal: "redis_latency", Reason: "redis_latency 3 >= 2", At: noon}, {Zone: guard.Hold, Signal: "lag", Blind: true}}),
	}, f.err
}

func (f *fake) Override(_ context.Context, o pace.Override) error {
	f.override = &o
	return f.err
}

func (f *fake) ClearOverride(_ context.Context, by ledger.By) error {
	f.override, f.who, f.why = nil, by.Who, by.Why
	return f.err
}

func (f *fake) Plan(ctx context.Context, body []byte) (PlanAnswer, error) {
	a, err := f.Accept(ctx, body, "plan")
	if err != nil {
		return PlanAnswer{}, err
	}
	return PlanAnswer{
		Verdicts: []Planned{PlannedOf(a.Outcomes[0], aVerdict.Finish.Add(aVerdict.Margin), &aVerdict),
			PlannedOf(intake.Outcome{BroadcastID: "b-2", ShopID: "2", Outcome: intake.Skipped, Reason: "too small"}, noon, nil)},
		Open: []Planned{PlannedOf(intake.Outcome{BroadcastID: "b-0", ShopID: "7", Outcome: Open}, noon, &aVerdict)},
	}, nil
}

func (f *fake) Verdicts(context.Context) map[string]pace.Verdict {
	return map[string]pace.Verdict{"r1": aVerdict}
}

func (f *fake) Alerts(_ context.Context, limit int) ([]alert.Record, error) {
	f.limit = limit
	return []alert.Record{{Alert: alert.Alert{Name: alert.RunLate, At: noon}, State: alert.Firing, Since: noon}}, nil
}

func (f *fake) Sinks(context.Context) []alert.SinkState {
	return []alert.SinkState{{Name: "slack", Failures: 2, Error: "down"}}
}

func (f *fake) Test(_ context.Context, sink, who string) ([]alert.Tested, error) {
	if sink == "nobody" {
		return nil, alert.ErrNoSink
	}
	return []alert.Tested{{Sink: sink + " by " + who}}, nil
}

func (f *fake) Samples(after time.Time) []Sample {
	var newer []Sample
	for _, s := range f.samples {
		if s.At.After(after) {
			newer = append(newer, s)
		}
	}
	return newer
}

func (f *fake) Record(_ context.Context, a ledger.Action) error {
	f.actions = append(f.actions, a)
	return f.err
}

func (f *fake) Actions(context.Context, time.Time, int) ([]ledger.Action, error) {
	return f.actions, nil
}

func page(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func newAPI(t *testing.T, f *fake, with []config.Token) *API {
	t.Helper()
	a, err := New(Deps{
		Datasets: []string{"users"},
		Intake:   f, Runs: f, Health: f, Width: f, Plans: f, Alerts: f, History: f, Journal: f, Changes: told{}, Shops: &fakeShops{}, Board: page("board"),
		Login: func(w http.ResponseWriter, status int, next, wrong string) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "login "+next+" "+wrong)
		}, Monitor: page("full"),
		Audits:          fakeAudits{f},
		Reports:         fakeReports{},
		MonitorReadOnly: page("read-only"), Metrics: page("metrics"), Listen: "127.0.0.1:0", Tokens: with,
		Version: "test", Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return a
}

type header = map[string]string

func bearer(token string) header { return header{"Authorization": "Bearer " + token} }

func ask(a *API, method, path, body string, headers ...header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	for _, h := range headers {
		for k, v := range h {
			r.Header.Set(k, v)
		}
	}
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	return w
}
