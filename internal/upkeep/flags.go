package upkeep

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Flags reads the ready flags.
type Flags interface {
	MReady(ctx context.Context, pairs []cache.Pair) ([]*cache.Ready, error)
}

// flag brings the ready flags in line with the ledger: those that could not be set or were lost with the queue's Redis are
// set, and those of runs that are not ready (any more), which could not be removed, are removed.
func (r *Reconciler) flag(ctx context.Context) error {
	runs, err := r.Ledger.Flaggable(ctx)
	if err != nil {
		return err
	}
	pairs := make([]cache.Pair, len(runs))
	for i, run := range runs {
		pairs[i] = cache.Pair{Shop: run.ShopID, Broadcast: run.BroadcastID}
	}
	flags, err := r.Flags.MReady(ctx, pairs)
	if err != nil {
		return err
	}
	for i, run := range runs {
		ready := run.State == ledger.RunReady
		switch f := flags[i]; {
		case ready && (f == nil || f.Run != run.ID || !f.EndsAt.Equal(run.EndsAt)):
			err = r.Settler.Settle(ctx, run.ID, ledger.NowReady)
		case !ready && f != nil:
			err = r.Settler.Unready(ctx, run.ID)
		default:
			continue
		}
		if err != nil {
			return err
		}
		r.Actions.WithLabelValues("flag").Inc()
	}
	return nil
}
