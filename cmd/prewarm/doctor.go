package main

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/config"
)

type doctorCmd struct {
	output
	configured
	Shop string `help:"A shop of yours: its pages' plans are looked at, instead of those of any shop."`
}

// Help is shown by `prewarm doctor --help`.
func (doctorCmd) Help() string {
	return `Checks the configuration, both Redis servers, the ledger and its grants, each source, and each dataset: columns, types, the index,
and that a page is read as a range on it. Nothing is changed but a heartbeat in the ledger and a key in the cache that are removed at once.`
}

// What a check found.
const (
	ok   = "ok"
	warn = "warn"
	fail = "fail"
)

// finding is one line of the doctor's table.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn, fail
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// checkTime bounds one check; a server that does not answer is given up sooner by its own limits.
const checkTime = 30 * time.Second

func (c *doctorCmd) Run(t *terminal) error {
	cfg, err := c.load(t)
	if err != nil {
		return c.unreadable(t, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	d := &doctor{cfg: cfg, shop: c.Shop}
	d.found("config", ok, fmt.Sprintf("%s: %d sources, %d datasets", c.Config, len(cfg.Sources), len(cfg.Datasets)), "")
	d.examine(ctx)
	return c.report(t, d.findings)
}

// unreadable shows what is wrong with the configuration; nothing else can be checked then.
func (c *doctorCmd) unreadable(t *terminal, err error) error {
	cfgErr, isConfig := err.(*config.Error) //nolint:errorlint // Load returns nothing else
	if !isConfig {
		return err
	}
	d := &doctor{}
	for _, p := range cfgErr.Problems {
		where := cfgErr.Path
		if p.Line > 0 {
			where += fmt.Sprintf(":%d", p.Line)
		}
		d.found("config", fail, strings.Trim(where+" "+p.Field, " ")+": "+p.Text, p.Remedy)
	}
	if err := c.report(t, d.findings); err != nil {
		return exitError(exitUsage)
	}
	return nil
}

// report shows the findings; one failure fails the command.
func (c *doctorCmd) report(t *terminal, findings []finding) error {
	failed := 0
	for _, f := range findings {
		if f.Status == fail {
			failed++
		}
	}
	if c.JSON {
		if err := printJSON(t.out, map[string]any{"ok": failed == 0, "checks": findings}); err != nil {
			return err
		}
	} else {
		tw := newTable(t.out, []string{"check", "status", "detail", "remedy"}, "detail", "remedy")
		for _, f := range findings {
			tw.AppendRow(table.Row{f.Check, f.Status, clean(f.Detail), clean(f.Remedy)})
		}
		tw.Render()
	}
	if failed > 0 {
		return exitError(exitFailed)
	}
	return nil
}

// doctor collects findings.
type doctor struct {
	cfg      config.Config
	shop     string
	counted  int   // datasets of the shop
	rows     int64 // in them
	findings []finding
}

func (d *doctor) found(check, status, detail, remedy string) {
	d.findings = append(d.findings, finding{check, status, detail, remedy})
}

// failed splits an error into what is wrong and the remedy, which prewarm's own separate with a semicolon; otherwise is
// the remedy of an error without one.
func (d *doctor) failed(check string, err error, otherwise string) {
	detail, remedy, found := strings.Cut(err.Error(), "; ")
	if !found {
		remedy = otherwise
	}
	d.found(check, fail, detail, remedy)
}

// try runs one check within its time.
func (d *doctor) try(ctx context.Context, check string, examine func(context.Context) (detail string, err error)) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	detail, err := examine(ctx)
	if err != nil {
		d.failed(check, err, "")
		return false
	}
	d.found(check, ok, detail, "")
	return true
}
