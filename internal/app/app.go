// Package app puts the parts of a pod together, starts them in order and stops them in the reverse order.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/cpu"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/memory"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/tracing"
	"github.com/prewarm-go/prewarm/internal/upkeep"
	"github.com/prewarm-go/prewarm/workers"
)

// Options are what a pod is told beside its configuration.
type Options struct {
	Version string
	Log     *slog.Logger // default: slog.Default()

	// Ledger and Sources, if set, are used instead of the configured ones, as by the demo, and stay the caller's to close.
	Ledger  *ledger.Store
	Sources map[string]*source.Source
}

// App is one pod: everything that one process runs.
type App struct {
	cfg  config.Config
	opts Options
	log  *slog.Logger
	id   string
	reg  *prometheus.Registry

	queueDB  redis.UniversalClient
	caches   *cache.Caches
	streamDB redis.UniversalClient // of the stream of changes; nil: there is none
	ledger   *ledger.Store
	sources  map[string]*source.Source
	beside   []string // sources on the server that the ledger is on
	replicas replicas
	tracer   *tracing.Tracer // nil: off

	queue   *queue.Queue
	leases  *lease.Manager
	alerts  *alert.Dispatcher
	courier *alert.Courier
	intake  *intake.Intake
	fresh   fresh
	api     *api.API

	pool   *workers.Pool
	server *workers.IntakeServer
	drain  chan struct{}

	watch []func(context.Context) // loops of every pod
	lead  func(context.Context)   // campaigns and, while this pod leads, does the cluster's upkeep

	strays   func(context.Context) error // lets go of units that the ledger thinks are this pod's
	handlers func()                      // waits for those that run

	pacer    pacer
	feelings *guard.Watch // the signals
	felt     felt
	pages    *pages
	loading  *load.Metrics
	evening  evening
	learner  *pace.Learner

	loops   sync.WaitGroup
	endLoop context.CancelFunc
	closers []func() error // in the order of their opening
	stop    sync.Once
}

// New is a pod that has started nothing yet. cfg must have been loaded or filled (config.Fill).
func New(cfg config.Config, opts Options) (*App, error) {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	a := &App{cfg: cfg, opts: opts, id: podID(), reg: prometheus.NewRegistry(), drain: make(chan struct{})}
	a.felt.app, a.felt.cpu = a, cpu.New()
	var err error
	if a.tracer, err = tracing.New(context.Background(), cfg.Tracing, a.id, opts.Version, opts.Log); err != nil {
		return nil, err
	}
	a.onClose(a.tracer.Close)
	a.log = a.tracer.Log(opts.Log).With("pod", a.id)
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.alerts = alert.New(alert.Config{Log: a.log, Registry: a.reg})
	return a, nil
}

// podID is new with each start: what a process left behind when it died is nobody's, also not its successor's.
func podID() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "pod"
	}
	return host[:min(len(host), 100)] + "." + strings.ToLower(rand.Text()[:8])
}

// Start opens the servers, checks them, and begins to work. If it fails, what it had opened is closed again.
func (a *App) Start(ctx context.Context) error {
	if err := a.start(ctx); err != nil {
		return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	return nil
}

func (a *App) start(ctx context.Context) error {
	if err := a.open(ctx); err != nil {
		return err
	}
	bound, err := a.bind(ctx)
	if err != nil {
		return err
	}
	if err := a.assemble(bound); err != nil {
		return err
	}
	return a.run(ctx)
}

// policy is how evenings are paced.
func (a *App) policy() pace.Policy {
	return pace.Policy{Headroom: a.cfg.Pace.Headroom, Margin: a.cfg.Pace.Margin, Lead: a.cfg.Policy.Lead}.Fill()
}

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

// open connects to every server and refuses those that would lose or not expire data.
func (a *App) open(ctx context.Context) (err error) {
	if a.queueDB, err = redisconn.Open(ctx, "queue", a.cfg.Queue); err != nil {
		return err
	}
	a.onClose(a.queueDB.Close)
	if err := redisconn.CheckQueue(ctx, a.queueDB, a.cfg.Queue.AllowEviction); err != nil {
		return err
	}
	if err := a.openCaches(ctx); err != nil {
		return err
	}
	if err := a.openStream(ctx); err != nil {
		return err
	}
	if err := a.openLedger(ctx); err != nil {
		return err
	}
	return a.openSources(ctx)
}

func (a *App) openLedger(ctx context.Context) (err error) {
	if a.ledger = a.opts.Ledger; a.ledger == nil {
		if a.ledger, err = ledger.Open(ctx, a.cfg.Ledger); err != nil {
			return err
		}
		a.onClose(a.ledger.Close)
	}
	have, want, err := a.ledger.Version(ctx)
	byHand := a.cfg.Ledger.Migrate != nil && !*a.cfg.Ledger.Migrate
	switch {
	case err != nil && byHand:
		return fmt.Errorf("%w; if the schema is empty, run `prewarm migrate` with rights to create tables", err)
	case err != nil:
		return err
	case have == want:
		return nil
	case have > want:
		a.log.InfoContext(ctx, "the ledger's schema is newer than this release, which works with it", "have", have, "want", want)
		return nil
	case byHand:
		return fmt.Errorf("the ledger's schema is version %d and this release needs %d; run `prewarm migrate`, or let serve do it with ledger.migrate: true", have, want)
	}
	return a.ledger.Migrate(ctx)
}

func (a *App) openSources(ctx context.Context) error {
	if a.sources = a.opts.Sources; a.sources != nil {
		return nil
	}
	a.sources = map[string]*source.Source{}
	for name, cfg := range a.cfg.Sources {
		s, err := source.Open(ctx, name, cfg, a.cfg.Width.MaxPerPod)
		if err != nil {
			return err
		}
		a.onClose(s.Close)
		a.sources[name] = s
		if err := a.openReplicas(name, cfg); err != nil {
			return err
		}
		if shared, err := a.ledger.On(ctx, s.DB()); err != nil {
			a.log.DebugContext(ctx, "find out whether the ledger is on the source's server; its reads count as others'", "source", name, "error", err)
		} else if shared {
			a.beside = append(a.beside, name)
		}
	}
	return nil
}

// bind checks every dataset against its live source, all of them before giving up.
func (a *App) bind(ctx context.Context) ([]*source.Bound, error) {
	var bound []*source.Bound
	var errs []error
	for _, spec := range a.cfg.Datasets {
		name, err := a.cfg.SourceOf(spec)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b, err := a.sources[name].Bind(ctx, spec)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		bound = append(bound, b)
	}
	return bound, errors.Join(errs...)
}

// assemble connects the parts; nothing runs yet.
func (a *App) assemble(bound []*source.Bound) error {
	p := a.cfg.Policy
	a.pages = a.newPages(bound)
	walks := a.newWalks()
	var known, planned []plan.Dataset
	loaded := map[string]load.Dataset{}
	for _, b := range bound {
		name := b.Spec().Name
		known, planned = append(known, b.Walking(walks.asked(name))), append(planned, b.Walking(walks.planned(name)))
		loaded[name] = b
	}
	a.queue = queue.New(a.queueDB)
	flags, leases := cache.NewFlags(a.queueDB), lease.New(a.queueDB, p.Lease)
	a.leases = leases
	retry := workers.RetryPolicy{Retry: p.Retry, Definitive: load.Definitive}
	enqueue := &plan.Tasks{Queue: a.queue, Attempts: p.Retry.Attempts}
	settler := &load.Settler{Ledger: a.ledger, Flags: flags, Leases: leases, Alerts: a.alerts, Log: a.log, AfterEnd: p.Expire.AfterEnd}
	settler.Vouch = a.vouch
	if len(a.caches.Names()) > 1 {
		settler.Placed = a.ledger.Placed
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "prewarm_broadcasts_total", Help: "Broadcasts of requests, by outcome.",
	}, []string{"outcome"})
	a.reg.MustRegister(requests)
	a.intake = intake.New(intake.Config{
		Ledger: a.ledger, Shops: plan.Shops{Datasets: known, Ledger: a.ledger}, Flags: flags, Leases: leases, Tasks: enqueue,
		Alerts: a.alerts, Policy: p, Log: a.log, Count: func(outcome string) { requests.WithLabelValues(outcome).Inc() },
		Judge: plans{a: a}.accepted,
	})
	a.learner = &pace.Learner{Store: a.ledger}
	mem := a.watchMemory()
	a.readReplicas(bound)
	a.loading = load.NewMetrics(a.reg, a.caches.Names(), slices.Collect(maps.Keys(loaded))...)
	together := load.DefaultTogether
	together.Rows = min(together.Rows, p.PageRowsMax)
	handler := &workers.LoadHandler{
		Pod: a.id, Ledger: a.ledger, Leases: leases, Settler: settler, Datasets: loaded, Expire: p.Expire, Retry: retry,
		Loader: &load.Loader{
			Ledger: a.ledger, Caches: a.into, Sizes: a.pages, Costs: a.newCosts(bound), Begin: a.replicas.begin, Share: mem.Share, Learn: a.learn, Metrics: a.loading,
			Limits: load.Limits{PageRows: p.PageRows, Together: together, PageBytes: p.PageBytes, MaxRejects: p.MaxRejects},
		},
		Alerts: a.alerts, Drain: a.drain, Hold: a.pacer.held, Metrics: workers.NewMetrics(a.reg, slices.Collect(maps.Keys(loaded))...), Log: a.log,
	}
	a.strays, a.handlers = handler.Strays, handler.Wait
	a.keepFresh(bound, handler.Loader, settler)
	signals := &workers.Signals{Client: a.queueDB, Look: handler.Look, Cancel: a.intake.Cancel, Log: a.log}
	a.watch = []func(context.Context){signals.Watch, signals.Run, mem.Run, func(ctx context.Context) { a.pages.measure(ctx, a.servers) }, a.runReplicas}
	planner := &workers.PlanHandler{
		Planner: &plan.Planner{Ledger: a.ledger, Datasets: planned, Tasks: enqueue, UnitRows: p.UnitRows, Place: a.place, Begin: a.fresh.schedule.Begin, Log: a.log},
		Ledger:  a.ledger, Retry: retry, Alerts: a.alerts, Hold: walks.held,
	}
	a.heedShops(planner.Planner, handler, signals)
	a.pool = workers.NewPool(a.queueDB, workers.Traced(a.tracer, workers.LoadMux(handler, a.alerts)), a.log)
	a.server = workers.NewIntakeServer(a.queueDB, workers.Traced(a.tracer, workers.IntakeMux(
		&workers.RequestHandler{Intake: a.intake, Queue: a.queue, Alerts: a.alerts},
		&workers.ChangesHandler{Intake: a.fresh.intake, Alerts: a.alerts}, planner, a.alerts)), a.log)
	a.reg.MustRegister(newGauges(a))
	reconciler := &upkeep.Reconciler{
		Ledger: a.ledger, Queue: a.queue, Tasks: enqueue, TaskID: plan.TaskID, PlanID: plan.IDOf, Flags: flags, Caches: a.lookedAfter(), Settler: settler, Alerts: a.alerts,
		PodDead: p.PodDead, Attempts: p.Retry.Attempts, BackoffMax: p.Retry.Backoff.Max, Watch: p.Watch, Log: a.log, Actions: upkeep.NewActions(a.reg),
	}
	a.feelings = a.signals()
	a.watch = append(a.watch, func(ctx context.Context) { pace.Listen(ctx, a.feelings) }, a.felt.run)
	loop := &pace.Loop{
		Ledger: a.ledger, Channel: widthChannel{a.queueDB}, Watch: a.feelings, Feel: a.felt.feel, Bounds: a.cfg.Width,
		Policy:  a.policy(),
		PodDead: p.PodDead, Self: a.id, Alerts: a.alerts, Log: a.log, Move: starts{a.ledger, enqueue}.move,
	}
	a.lead = a.leading(loop.Run, reconciler.Run, a.fresh.run, a.auditor(bound, settler).Run, a.remover(bound).Run, a.reporting, a.intakeWatch().Run)
	return a.serve()
}

func (a *App) watchMemory() *memory.Watch {
	mem := memory.New(a.log)
	mem.Register(a.reg)
	mem.Tight = func(ctx context.Context, summary string) {
		a.alerts.Raise(ctx, alert.Alert{Name: alert.MemoryHigh, Severity: alert.Warning, About: "pod " + a.id, Summary: "pod " + a.id + ": " + summary,
			Remedy: "give the pod more memory, or lower width.max_per_pod or policy.page_bytes"})
	}
	return mem
}
