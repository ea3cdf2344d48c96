//go:build !noembed

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prewarm-go/prewarm/internal/app"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/embedded"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// DemoCmd shows a synthetic evening.
type DemoCmd struct {
	output
	Keep  bool   `help:"Go on serving until Ctrl-C."`
	Stack string `enum:"embedded,local" default:"embedded" help:"What it runs on: embedded (nothing installed), or local (private mariadbd and redis-server from PATH)."`
	Shops int    `default:"10" help:"Key-account shops; two small ones are added."`
	Users int    `default:"100000" help:"Users of all shops together."`
	Seed  uint64 `default:"1" help:"Of the random data."`
}

// Help is shown by `prewarm demo --help`.
func (DemoCmd) Help() string {
	return `Ten shops of very unequal size announce broadcasts that start 30 to 90 seconds from now; two pods in this process warm them in time.
At the end every row is read again and compared with the cache. Exit code 0: every key-account shop was ready in time, the small ones were
skipped, and nothing was wrong.`
}

// The evening's times. Everything is planned ahead, so that the scheduled tasks can be seen before they run.
const (
	demoFirst  = 30 * time.Second // from now until the first broadcast starts
	demoLast   = 90 * time.Second // and the last
	demoBefore = 10 * time.Second // ready this long before
	demoLead   = 10 * time.Second // loading starts this long before that
	demoLasts  = 2 * time.Hour
	demoStop   = 20 * time.Second
)

// evening is a demo that runs.
type evening struct {
	*DemoCmd
	t     *terminal
	stack *embedded.Stack
	shops []embedded.Shop
	cfg   config.Config
	pods  []*app.App
	began time.Time
}

// Run runs the evening.
func (c *DemoCmd) Run(t *terminal) error {
	if c.Shops < 1 || c.Shops > 200 || c.Users < 36*c.Shops || c.Users > 5_000_000 {
		return usageError{errors.New("--shops is 1 to 200, and --users 36 a shop to 5,000,000")}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "prewarm-demo-")
	if err != nil {
		return fmt.Errorf("make a directory for the demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	e := &evening{DemoCmd: c, t: t, began: time.Now()}
	start := embedded.Start
	if c.Stack == embedded.NameLocal {
		start = embedded.LocalStack
	}
	if e.stack, err = start(ctx, dir); err != nil {
		return err
	}
	defer func() { _ = e.stack.Close() }()
	defer e.stopPods()
	return e.run(ctx)
}

// say is for people: on stderr if stdout carries the document.
func (e *evening) say(format string, args ...any) {
	w := e.t.out
	if e.JSON {
		w = e.t.err
	}
	fmt.Fprintf(w, format+"\n", args...)
}

func (e *evening) run(ctx context.Context) error {
	e.say("prewarm demo on the %s stack: seeding %d shops and %d users", e.stack.Name, e.Shops+embedded.SmallShops, e.Users)
	var err error
	if e.shops, err = e.stack.Seed(ctx, embedded.Options{Shops: e.Shops, Users: e.Users, Seed: e.Seed}); err != nil {
		return err
	}
	for range 2 {
		if err := e.startPod(ctx); err != nil {
			return err
		}
	}
	announce(&terminal{out: e.t.err, err: e.t.err}, e.cfg.HTTP, e.pods[0].Addr())
	outcomes, err := e.announce(ctx)
	if err != nil {
		return err
	}
	runs, err := e.watch(ctx)
	if err != nil {
		return err
	}
	res, err := e.result(ctx, outcomes, runs)
	if err != nil {
		return err
	}
	if err := e.show(res); err != nil {
		return err
	}
	if e.Keep {
		e.say("serving at http://%s/ until Ctrl-C", e.pods[0].Addr())
		<-ctx.Done()
	}
	if problem := res.problem(); problem != "" {
		fmt.Fprintln(e.t.err, "the demo failed:", problem)
		return exitError(exitFailed)
	}
	return nil
}

// configure is the configuration of both pods.
func (e *evening) configure(ctx context.Context) config.Config {
	cfg := config.Defaults()
	cfg.Queue.URL = e.stack.QueueURL
	cfg.Cache = &config.Redis{URL: e.stack.CacheURL}
	cfg.Ledger.DSN = e.stack.LedgerDSN
	cfg.Sources = map[string]config.Source{config.MainSource: {DSN: e.stack.SourceDSN}}
	cfg.Policy.ReadyBefore, cfg.Policy.Lead = demoBefore, demoBefore+demoLead
	cfg.Policy.WarmWhen.MinRows = 5000
	cfg.Datasets = embedded.Specs()
	cfg.HTTP.Listen = freeListen(ctx, cfg.HTTP.Listen)
	cfg.Fill()
	return cfg
}

// openSource is a connection to the source of the demo's own.
func (e *evening) openSource(ctx context.Context) (src *source.Source, closeIt func(), err error) {
	if e.stack.LedgerDB != nil {
		return source.OpenDB(config.MainSource, e.stack.SourceDB, embedded.SourceDialect{}), func() {}, nil
	}
	src, err = source.Open(ctx, config.MainSource, e.cfg.Sources[config.MainSource], 1)
	if err != nil {
		return nil, nil, err
	}
	return src, func() { _ = src.Close() }, nil
}

// freeListen is the usual address, or any if it is taken.
func freeListen(ctx context.Context, usual string) string {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	_ = l.Close()
	return usual
}

func (e *evening) startPod(ctx context.Context) error {
	cfg := e.configure(ctx)
	opts := app.Options{Version: versionText(), Log: e.logger()}
	if e.stack.LedgerDB != nil {
		opts.Ledger = ledger.New(e.stack.LedgerDB, ledger.SQLite)
		opts.Sources = map[string]*source.Source{
			config.MainSource: source.OpenDB(config.MainSource, e.stack.SourceDB, embedded.SourceDialect{}),
		}
	}
	pod, err := app.New(cfg, opts)
	if err != nil {
		return err
	}
	if err := pod.Start(ctx); err != nil {
		return err
	}
	if len(e.pods) == 0 {
		e.cfg = cfg
	}
	e.pods = append(e.pods, pod)
	return nil
}

// logger shows what is wrong; what goes well is shown by the bars.
func (e *evening) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(e.t.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (e *evening) stopPods() {
	ctx, cancel := context.WithTimeout(context.Background(), demoStop)
	defer cancel()
	for _, p := range e.pods {
		if err := p.Stop(ctx); err != nil {
			fmt.Fprintln(e.t.err, "stop pod:", err)
		}
	}
}
