package intake

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Preview is what would become of one broadcast if it were announced now.
type Preview struct {
	Outcome Outcome
	Tier    string
	Times   ledger.Times
	Rows    map[string]int64 // to be loaded, by dataset, estimated; nil: nothing would be done
}

// Preview answers a request document as Accept would, and changes nothing. Small shops are told by an estimate.
func (in *Intake) Preview(ctx context.Context, body []byte) ([]Preview, error) {
	_, items, err := parse(body)
	if err != nil {
		return nil, err
	}
	now, err := in.Ledger.Now(ctx)
	if err != nil {
		return nil, err
	}
	off, err := in.Ledger.Off(ctx)
	if err != nil {
		return nil, err
	}
	previews := make([]Preview, len(items))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
	for i, it := range items {
		p := &previews[i]
		p.Outcome = Outcome{BroadcastID: short(it.BroadcastID), ShopID: short(it.ShopID)}
		p.Tier = it.Tier
		if bad := in.invalid(it, now); bad != nil {
			p.Outcome.Outcome, p.Outcome.Reason = Invalid, bad.Error()
			continue
		}
		p.Times = timesOf(it.Broadcast, in.Policy, now)
		if off := off[it.ShopID]; off != nil && !it.Cancelled {
			p.Outcome.Outcome, p.Outcome.Reason = Skipped, offReason(it.Broadcast, off)
			continue
		}
		group.Go(func() error { return in.foresee(gctx, it, p) })
	}
	return previews, group.Wait()
}

func (in *Intake) foresee(ctx context.Context, it item, p *Preview) error {
	var run *ledger.Run
	switch r, err := in.Ledger.RunOf(ctx, it.ShopID, it.BroadcastID); {
	case err == nil:
		run, p.Outcome.RunID = &r, r.ID
	case !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	todo, reason := decide(it.Broadcast, run)
	p.Outcome.Reason = reason
	switch todo {
	case actDuplicate:
		p.Outcome.Outcome = Duplicate
		return nil
	case actNothing, actCancel:
		p.Outcome.Outcome = Cancelled
		return nil
	case actReschedule:
		p.Outcome.Outcome = Rescheduled
	case actResume:
		p.Outcome.Outcome = Resumed
	case actCreate, actRevive:
		p.Outcome.Outcome = Accepted
	}
	known, err := in.Shops.Known(ctx, it.ShopID)
	if err != nil {
		return err
	}
	if !known {
		p.Outcome.Outcome, p.Outcome.Reason = Invalid, unknownShop
		return nil
	}
	rows, err := in.Shops.Estimate(ctx, it.ShopID)
	if err != nil {
		return err
	}
	sum := int64(0)
	for _, n := range rows {
		sum += n
	}
	if warm, why := eligible(it.Broadcast, sum, in.Policy.WarmWhen.MinRows); !warm {
		p.Outcome.Outcome, p.Outcome.Reason = Skipped, why
		return nil
	}
	if run != nil && run.State == ledger.RunReady {
		rows = map[string]int64{} // only expiries are moved
	}
	p.Rows = rows
	return nil
}
