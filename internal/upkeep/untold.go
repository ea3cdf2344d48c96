package upkeep

import (
	"context"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// tell raises the alerts that the ledger's rows ask for and that do not stand: of runs that are past their deadline, and of
// failed ones whose pod died before it could say so.
func (r *Reconciler) tell(ctx context.Context) error {
	late, err := r.Ledger.LateUntold(ctx, batch)
	if err != nil {
		return err
	}
	for _, run := range late {
		r.Alerts.Raise(ctx, alert.Alert{
			Name: alert.RunLate, Severity: alert.Critical, Shop: run.ShopID, Run: run.ID,
			Summary: fmt.Sprintf("shop %s is not warm at its deadline; %d of %d rows are written", run.ShopID, run.RowsDone, run.RowsEstimated),
			Why:     run.LastError,
			Remedy:  "see what it waits for with `prewarm run " + run.ID + "`; give it slots with `prewarm width --min`, or pause what matters less",
		})
	}
	failed, err := r.Ledger.FailedUntold(ctx, batch)
	if err != nil {
		return err
	}
	for _, run := range failed {
		if err := r.Settler.Settle(ctx, run.ID, ledger.NowFailed); err != nil {
			return err
		}
	}
	return nil
}
