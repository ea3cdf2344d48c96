package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/app"
	"github.com/prewarm-go/prewarm/internal/config"
)

type serveCmd struct {
	configured
	JSON   bool          `name:"json" help:"Log a JSON object per line."`
	Listen string        `placeholder:"ADDR" help:"Address of the API and the board, host:port; wins over http.listen."`
	Drain  time.Duration `default:"25s" help:"How long work in hand may take to end after SIGTERM."`
	Log    string        `enum:"debug,info,warn,error" default:"info" help:"Least level that is logged: debug, info, warn, error."`
}

// Help is shown by `prewarm serve --help`.
func (serveCmd) Help() string {
	return `SIGTERM or SIGINT: no new work is begun, what is in hand ends or is handed back, the process ends. A second one ends it at once.`
}

// pod is what serve runs.
type pod interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Addr() string
}

func (c *serveCmd) Run(t *terminal) error {
	var overrides []string
	if c.Listen != "" {
		overrides = append(overrides, config.EnvPrefix+"HTTP_LISTEN="+c.Listen)
	}
	cfg, err := c.load(t, overrides...)
	if err != nil {
		return err
	}
	log := c.logger(t)
	slog.SetDefault(log)
	p, err := app.New(cfg, app.Options{Version: versionText(), Log: log})
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	return c.serve(t, p, log, signals, cfg.HTTP)
}

// serve runs p until a signal comes, then lets it drain. A second signal ends the process without waiting.
func (c *serveCmd) serve(t *terminal, p pod, log *slog.Logger, signals <-chan os.Signal, http config.HTTP) error {
	starting, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	started := make(chan error, 1)
	go func() { started <- p.Start(starting) }()
	select {
	case err := <-started:
		if err != nil {
			return err
		}
		announce(t, http, p.Addr())
	case s := <-signals:
		cancel(fmt.Errorf("stopped by %s while starting", s))
		select {
		case <-started: //nolint:errcheck // the signal is why it did not start
		case <-signals:
			return exitError(exitFailed)
		}
		return c.drain(p, log, signals)
	}
	s := <-signals
	log.Info("draining; a second signal ends the process at once", "signal", s.String(), "limit", c.Drain)
	return c.drain(p, log, signals)
}

func (c *serveCmd) drain(p pod, log *slog.Logger, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Drain)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- p.Stop(ctx) }()
	select {
	case err := <-stopped:
		if err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		log.Info("stopped")
		return nil
	case s := <-signals:
		log.Warn("ended without draining; the ledger knows what is left", "signal", s.String())
		return exitError(exitFailed)
	}
}

// logger writes to stderr: stdout is for what people or scripts asked for.
func (c *serveCmd) logger(t *terminal) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log)); err != nil {
		level = slog.LevelInfo // the flag's enum admits no other text
	}
	options := &slog.HandlerOptions{Level: level}
	if c.JSON {
		return slog.New(slog.NewJSONHandler(t.err, options))
	}
	return slog.New(slog.NewTextHandler(t.err, options))
}

// announce prints where people find what.
func announce(t *terminal, http config.HTTP, addr string) {
	base := baseURL(http, addr)
	fmt.Fprintf(t.out, "prewarm %s\n  board     %s/\n  API       %s/v1 (%s/openapi.json)\n  asynqmon  %s%s/\n  metrics   %s/metrics\n",
		versionText(), base, base, base, base, api.MonitorPath, base)
	if len(http.Tokens) == 0 {
		fmt.Fprintln(t.err, "no tokens are configured: only this machine is served, and whoever uses it is an operator (http.tokens changes that)")
	}
}
