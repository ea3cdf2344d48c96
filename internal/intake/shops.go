package intake

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/tasks"
)

const (
	// removalAgain is how often it is tried to change the settings of a shop whose keys are being removed.
	removalAgain = 100 * time.Millisecond
	// removalWithin bounds that: the batch in hand ends within ledger.RemovalTime, and no other is begun.
	removalWithin = ledger.RemovalTime + 2*time.Second
)

// SetShop changes a shop's settings. When it has answered, no pod begins anything for a shop that was switched off, and all of
// them break off what they do for it at once. Errors are ledger.ErrState, which says who changed them first, and
// ledger.ErrRemoving.
func (in *Intake) SetShop(ctx context.Context, shop string, version int64, to ledger.Settings, by ledger.By) (ledger.Turned, error) {
	turned, err := in.setShop(ctx, shop, version, to, by)
	if err != nil {
		return ledger.Turned{}, err
	}
	in.nudge(ctx)
	in.Log.InfoContext(ctx, "settings of a shop", "shop", shop, "was", turned.Before.Settings.String(), "is", to.String(), "who", by.Who, "why", by.Why,
		"cancelled", len(turned.Cancelled))
	var group errgroup.Group
	group.SetLimit(width)
	for _, run := range turned.Cancelled {
		group.Go(func() error { return in.letGo(ctx, run) })
	}
	if err := group.Wait(); err != nil {
		in.Log.WarnContext(ctx, "remove the ready flags of a shop; the reconciliation does it within seconds", "shop", shop, "error", err)
	}
	return turned, nil
}

// setShop waits until no keys of the shop are being removed.
func (in *Intake) setShop(ctx context.Context, shop string, version int64, to ledger.Settings, by ledger.By) (ledger.Turned, error) {
	for waited := time.Duration(0); ; waited += removalAgain {
		turned, err := in.Ledger.SetShop(ctx, shop, version, to, by)
		if !errors.Is(err, ledger.ErrRemoving) || waited >= removalWithin {
			return turned, err
		}
		select {
		case <-ctx.Done():
			return ledger.Turned{}, context.Cause(ctx)
		case <-time.After(removalAgain):
		}
	}
}

// offReason says why a broadcast of a shop that is switched off is skipped.
func offReason(b tasks.Broadcast, off *ledger.OffError) string {
	if b.Force || b.Tier != "" {
		return off.Error() + "; neither tier nor force overrides that"
	}
	return off.Error()
}

// skipOff answers a broadcast of a shop that is switched off. It is recorded, for people to find, and nothing is read.
func (in *Intake) skipOff(ctx context.Context, b tasks.Broadcast, off *ledger.OffError, requestID string, now time.Time, out Outcome) (Outcome, error) {
	out.Outcome, out.Reason = Skipped, offReason(b, off)
	r := runOf(b, timesOf(b, in.Policy, now), requestID)
	r.State, r.Reason = ledger.RunSkipped, out.Reason
	run, _, err := in.Ledger.Create(ctx, r) // or the one that there is
	out.RunID = run.ID
	return out, err
}
