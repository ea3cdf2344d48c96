package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/source"
)

// costs stops datasets whose plan went bad, in the whole cluster and until somebody resumes them: a page that begins at the
// shop's first row costs more with every page, and no width makes that harmless.
type costs struct {
	guard.Costs
	bound    map[string]*source.Bound
	replicas *replicas
	pause    func(ctx context.Context, on ledger.Scope, by ledger.By) error
	alerts   *alert.Dispatcher
	log      *slog.Logger
	pod      string
}

var _ load.Costs = (*costs)(nil)

func (a *App) newCosts(bound []*source.Bound) *costs {
	c := &costs{bound: map[string]*source.Bound{}, replicas: &a.replicas, pause: a.intake.Pause, alerts: a.alerts, log: a.log, pod: a.id}
	for _, b := range bound {
		c.bound[b.Spec().Name] = b
	}
	a.pages.tell = func(r load.PageRead, trip time.Duration) {
		c.read(r, trip)
		a.felt.page(r, trip)
	}
	return c
}

// read is told of the pages that were not measured.
func (c *costs) read(r load.PageRead, trip time.Duration) {
	c.Took(r.At(), r.Rows, max(r.Time-trip, 0))
}

// Measured implements load.Costs. Without `where` the counters are proof enough; with it, which may drop any number of rows,
// the plan decides.
func (c *costs) Measured(ctx context.Context, m load.Measured) error {
	suspicion := c.Examined(m.At(), m.Rows, m.Examined)
	if suspicion == "" {
		return nil
	}
	b := c.bound[m.Dataset]
	if m.Replica != "" {
		if b = c.replicas.bound(m.Replica, m.Dataset); b == nil {
			return nil // it was bound anew a moment ago, and is measured again
		}
	}
	plan, err := b.PagePlan(ctx, m.Shop, m.After, m.To, m.Limit)
	if err != nil {
		c.log.WarnContext(ctx, "ask for the plan of a page that costs much; it is asked again", "dataset", m.Dataset, "cost", suspicion, "error", err)
		return nil
	}
	if plan.Range && b.Spec().Where != "" {
		c.Acquit(m.At(), m.Rows, m.Examined)
		return nil
	}
	why := fmt.Sprintf("%s in shop %s behind %q at %s; the plan is %s", suspicion, m.Shop, m.After, b.Source().Name(), plan.Text)
	c.alerts.Raise(ctx, alert.Alert{
		Name: alert.PlanWentBad, Severity: alert.Critical, About: "dataset " + m.Dataset,
		Summary: "dataset " + m.Dataset + " is stopped in all shops: " + why,
		Remedy:  b.Mend() + "; then `prewarm resume --dataset " + m.Dataset + "`",
	})
	on := ledger.Scope{Kind: ledger.ScopeDataset, ID: m.Dataset}
	if err := c.pause(ctx, on, ledger.By{Who: c.pod, Why: why}); err != nil {
		return fmt.Errorf("stop dataset %s, whose plan went bad: %w", m.Dataset, err)
	}
	return fmt.Errorf("%w: %s", load.ErrHandBack, why)
}
