package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/source"
)

const (
	// auditStep is how often an audit that must wait asks whether it may go on.
	auditStep = 250 * time.Millisecond
	// auditHold is how long one waits before another has its turn.
	auditHold = 20 * time.Second
	// switchesFor is how long the switches are believed: a pause is felt within a second.
	switchesFor = 500 * time.Millisecond
)

// auditID is new with each audit.
func auditID() string { return strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "") }

// auditor carries out audits while this pod leads.
func (a *App) auditor(bound []*source.Bound, settler *load.Settler) *audit.Runner {
	r := &audit.Runner{
		Ledger: a.ledger, Cache: a.caches.Client, Expire: a.cfg.Policy.Expire, Config: a.cfg.Audit, Settle: audit.DefaultSettle, NewID: auditID, Owner: a.id,
		Alerts: a.alerts, Metrics: audit.NewMetrics(a.reg), Log: a.log, Proceed: (&auditGate{a: a}).proceed,
		Announce: func(ctx context.Context, run string) error { return settler.Settle(ctx, run, ledger.NowReady) },
	}
	for _, b := range bound {
		r.Datasets = append(r.Datasets, b)
	}
	return r
}

// vouch says whether a run may be announced, and asks for the audit that it lacks.
func (a *App) vouch(ctx context.Context, run ledger.Run) (bool, error) {
	when := a.cfg.Policy.ReadyWhen
	if when == config.ReadyLoaded || run.Vouched() {
		return true, nil
	}
	ask := ledger.Audit{ID: auditID(), Kind: ledger.AuditReady, RunID: run.ID, Epoch: run.Epoch, ShopID: run.ShopID, Repair: true, Sample: 100,
		Who: "policy.ready_when", Why: when}
	if when == config.ReadySampled {
		ask.Sample = a.cfg.Audit.Ready
	}
	_, err := a.ledger.RequestAudit(ctx, ask)
	return false, err
}

// auditGate holds audits where loading would be held, and where the servers want less.
type auditGate struct {
	a *App

	mu       sync.Mutex
	read     time.Time
	switches []ledger.Switch
	off      map[string]*ledger.OffError
}

func (g *auditGate) proceed(ctx context.Context, shop, dataset string) error {
	for waited := time.Duration(0); ; waited += auditStep {
		why := g.held(ctx, shop, dataset)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case why == "":
			return nil
		case waited >= auditHold || g.gone(shop):
			return fmt.Errorf("%w: %s", audit.ErrHeld, why)
		}
		select {
		case <-ctx.Done():
		case <-time.After(auditStep):
		}
	}
}

// held says why no page may be compared now, or "". A ledger that does not answer holds too: nobody can say that nothing is paused.
func (g *auditGate) held(ctx context.Context, shop, dataset string) string {
	if why := g.a.pacer.held(); why != "" {
		return why
	}
	if last := g.a.pacer.now().last; last != nil {
		if worst := guard.Worst(last.Guard); worst.Zone >= guard.Shrink {
			return worst.Reason
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.read) > switchesFor {
		switches, err := g.a.ledger.Switches(ctx)
		if err != nil {
			return err.Error()
		}
		off, err := g.a.ledger.Off(ctx)
		if err != nil {
			return err.Error()
		}
		g.read, g.switches, g.off = time.Now(), switches, off
	}
	for _, w := range g.switches {
		if w.Covers(shop, "", dataset) {
			return w.String()
		}
	}
	if off := g.off[shop]; off != nil {
		return off.Error()
	}
	return ""
}

// gone says whether a shop is switched off: an audit that has it in hand is taken up again without it.
func (g *auditGate) gone(shop string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.off[shop] != nil
}

// audits is what the API may do with audits.
type audits struct{ a *App }

var _ api.Audits = audits{}

func (x audits) Request(ctx context.Context, ask ledger.Audit) (ledger.Audit, error) {
	if ask.Dataset != "" && !x.a.has(ask.Dataset) {
		return ledger.Audit{}, fmt.Errorf("%w: there is no dataset %s", api.ErrInvalid, ask.Dataset)
	}
	if ask.ShopID != "" {
		warm, err := x.a.ledger.Warm(ctx, ask.ShopID, "")
		if err != nil {
			return ledger.Audit{}, err
		}
		if len(warm) == 0 {
			return ledger.Audit{}, fmt.Errorf("%w: shop %s is not warm: it has no ready run whose broadcast is not over", api.ErrInvalid, ask.ShopID)
		}
	}
	ask.ID, ask.Kind = auditID(), ledger.AuditByHand
	if _, err := x.a.ledger.RequestAudit(ctx, ask); err != nil {
		return ledger.Audit{}, err
	}
	done, _, err := x.a.ledger.Audit(ctx, ask.ID)
	return done, err
}

func (a *App) has(dataset string) bool {
	for _, d := range a.cfg.Datasets {
		if d.Name == dataset {
			return true
		}
	}
	return false
}

func (x audits) Audits(ctx context.Context, limit int) ([]ledger.Audit, error) {
	return x.a.ledger.Audits(ctx, time.Time{}, time.Time{}, limit)
}

func (x audits) Audit(ctx context.Context, id string) (ledger.Audit, []ledger.AuditFinding, error) {
	return x.a.ledger.Audit(ctx, id)
}
