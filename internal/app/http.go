package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/board"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// serve puts the HTTP side together.
func (a *App) serve() (err error) {
	if a.courier, err = a.newCourier(); err != nil {
		return err
	}
	a.watch = append(a.watch, a.courier.Run)
	judge := plans{a, &keptVerdicts{}}
	a.api, err = api.New(api.Deps{
		Intake: a.intake, Runs: runs{a.ledger, a.intake, a.leases, judge}, Plans: judge, Health: health{a}, Width: width{a}, Alerts: alerts{a.ledger, a.alerts, a.courier}, History: &a.evening, Journal: a.ledger,
		Board: board.Handler(), Login: board.Login(), Monitor: a.monitor(false), MonitorReadOnly: a.monitor(true),
		Shops:  shopSettings{a},
		Audits: audits{a}, Roles: a.cfg.CacheRoles(), Datasets: a.datasetNames(),
		Reports: reports{a},
		Changes: changes{a.fresh.intake, a.ledger},
		Around:  a.tracer.HTTP,
		Metrics: promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{}),
		Listen:  a.cfg.HTTP.Listen, Tokens: a.cfg.HTTP.Tokens, Proxy: a.cfg.HTTP.Proxy, TLS: a.cfg.HTTP.TLS, Version: a.opts.Version, Log: a.log,
	})
	return err
}

// Addr is the address that the pod serves HTTP on, once started.
func (a *App) Addr() string { return a.api.Addr() }

func (a *App) monitor(readOnly bool) http.Handler {
	h := asynqmon.New(asynqmon.Options{RootPath: api.MonitorPath, RedisConnOpt: sameRedis{a}, ReadOnly: readOnly})
	a.onClose(h.Close)
	return h
}

// sameRedis hands asynqmon connections as the pod's own are, with their TLS, login and deadlines. asynqmon closes what
// it is given, so they are its own.
type sameRedis struct{ a *App }

var _ asynq.RedisConnOpt = sameRedis{}

// MakeRedisClient implements asynq.RedisConnOpt.
func (s sameRedis) MakeRedisClient() any {
	switch c := s.a.queueDB.(type) {
	case *redis.Client:
		opts := *c.Options()
		opts.PoolSize = monitorPool
		return redis.NewClient(&opts)
	case *redis.ClusterClient:
		opts := *c.Options()
		opts.PoolSize = monitorPool
		return redis.NewClusterClient(&opts)
	}
	return nil
}

// monitorPool is how many connections asynqmon may use.
const monitorPool = 4

// runs is what the API may do with runs.
type runs struct {
	ledger *ledger.Store
	intake *intake.Intake
	leases *lease.Manager
	plans  plans
}

// Verdicts are of the open runs. Without the ledger there are none.
func (r runs) Verdicts(ctx context.Context) map[string]pace.Verdict {
	verdicts, err := r.plans.verdicts(ctx)
	if err != nil {
		return nil
	}
	return verdicts
}

var _ api.Runs = runs{}

func (r runs) Runs(ctx context.Context, f ledger.RunFilter) ([]ledger.Run, string, error) {
	return r.ledger.Runs(ctx, f)
}

// shownEvents is how many entries of a run's timeline are shown, the newest.
const shownEvents = 500

func (r runs) Run(ctx context.Context, id string) (api.Story, error) {
	run, err := r.ledger.Run(ctx, id)
	if err != nil {
		return api.Story{}, err
	}
	s := api.Story{Run: run}
	if s.Units, err = r.ledger.Units(ctx, id, run.Epoch); err != nil {
		return s, err
	}
	if s.Timeline, err = r.ledger.Timeline(ctx, run, shownEvents); err != nil {
		return s, err
	}
	if s.Switches, err = r.ledger.Switches(ctx); err != nil {
		return s, err
	}
	if v, ok := r.Verdicts(ctx)[run.ID]; ok {
		s.Verdict = &v
	}
	// A queue that does not answer is no reason not to show what the ledger knows.
	s.Holder, _, _ = r.leases.Holder(ctx, run.ShopID)
	return s, nil
}

// shownRejects is how many of a run's rejects are shown.
const shownRejects = 1000

func (r runs) Rejects(ctx context.Context, id string) ([]ledger.RejectedRow, error) {
	if _, err := r.ledger.Run(ctx, id); err != nil {
		return nil, err
	}
	return r.ledger.Rejects(ctx, id, shownRejects)
}

func (r runs) Switches(ctx context.Context) ([]ledger.Switch, error) { return r.ledger.Switches(ctx) }

func (r runs) Retry(ctx context.Context, id string, by ledger.By) error {
	return r.intake.Retry(ctx, id, by)
}

func (r runs) Restart(ctx context.Context, id string, by ledger.By) error {
	return r.intake.Restart(ctx, id, by)
}

func (r runs) Cancel(ctx context.Context, on ledger.Scope, by ledger.By) (cancelled, ready int, err error) {
	if on.Kind == ledger.ScopeRun {
		return 1, 0, r.intake.Cancel(ctx, on.ID, by)
	}
	return r.intake.CancelAll(ctx, on, by)
}

func (r runs) Pause(ctx context.Context, on ledger.Scope, by ledger.By) error {
	return r.intake.Pause(ctx, on, by)
}

func (r runs) Resume(ctx context.Context, on ledger.Scope, by ledger.By) error {
	return r.intake.Resume(ctx, on, by)
}

func (r runs) Requests(ctx context.Context, before time.Time, limit int) ([]ledger.Request, error) {
	return r.ledger.Requests(ctx, before, limit)
}

func (r runs) Request(ctx context.Context, id string) (ledger.Request, ledger.Batch, error) {
	req, err := r.ledger.Request(ctx, id)
	if err != nil {
		return req, ledger.Batch{}, err
	}
	ids, err := intake.RunsOf(req.Outcomes)
	if err != nil {
		return req, ledger.Batch{}, err
	}
	b, err := r.ledger.Batch(ctx, ids)
	return req, b, err
}

// health says how the pod is.
type health struct{ a *App }

func (h health) Ready(ctx context.Context) error {
	if err := h.a.queueDB.Ping(ctx).Err(); err != nil {
		return err
	}
	return h.a.ledger.Ping(ctx)
}

func (h health) Pods(ctx context.Context) ([]ledger.Pod, error) {
	return h.a.ledger.Pods(ctx, h.a.cfg.Policy.PodDead)
}

// width says how many slots are in force.
type width struct{ a *App }

func (w width) Width(ctx context.Context) (api.WidthNow, error) {
	pods, err := health(w).Pods(ctx)
	if err != nil {
		return api.WidthNow{}, err
	}
	actual := 0
	for _, p := range pods {
		actual += p.Slots
	}
	heard := w.a.pacer.now()
	last, share, reason := heard.last, heard.share, heard.reason
	c := w.a.cfg.Width
	now := api.WidthNow{
		Width: share, Actual: actual, Min: c.Min, Max: c.Max, MaxPerPod: c.MaxPerPod, Pods: len(pods), Reason: reason, Share: share,
		Guard: []api.Signal{}, Pages: w.a.pages.now(),
	}
	if last != nil {
		r := last.Result
		now.Width, now.Pods, now.Reason, now.Demand = r.Width, len(last.Pods), r.Reason, api.DemandOf(last.Demand)
		now.Ceiling, now.Wanted, now.Bound, now.Binds, now.Paused = r.Ceiling, r.Wanted, r.Bound, r.Binds, r.Paused
		now.PodsWanted, now.Guard = last.State.PodsAsked, api.GuardOf(last.Guard)
	}
	o, err := pace.ReadOverride(ctx, w.a.ledger)
	if err != nil {
		return api.WidthNow{}, err
	}
	is, err := w.Now(ctx)
	if err != nil {
		return api.WidthNow{}, err
	}
	now.Override = api.OverrideOf(o, is)
	return now, nil
}

// Now is the ledger's clock, by which what is set by hand ends.
func (w width) Now(ctx context.Context) (time.Time, error) { return w.a.ledger.Now(ctx) }

func (w width) Override(ctx context.Context, o pace.Override) error {
	what, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode override: %w", err)
	}
	return w.a.ledger.SetOverride(ctx, o, ledger.By{Who: o.Who, Why: o.Why + ": " + string(what)})
}

func (w width) ClearOverride(ctx context.Context, by ledger.By) error {
	return w.a.ledger.SetOverride(ctx, nil, by)
}

func (a *App) datasetNames() (names []string) {
	for _, d := range a.cfg.Datasets {
		names = append(names, d.Name)
	}
	return names
}
