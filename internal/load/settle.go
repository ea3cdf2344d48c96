package load

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Flags are the ready flags in Redis.
type Flags interface {
	SetReady(ctx context.Context, r cache.Ready) error
	ClearReady(ctx context.Context, shop, broadcast string) error
}

// Leases frees a shop when its run has ended.
type Leases interface {
	Release(ctx context.Context, shop, run string) error
}

// Settler does what is to be done outside the ledger when a run has ended there: the flag, the lease, the alerts.
// Doing it twice is harmless; what could not be done is found by the reconciliation and done again.
type Settler struct {
	Ledger *ledger.Store
	Flags  Flags
	Leases Leases
	Alerts *alert.Dispatcher
	Log    *slog.Logger
}

// Settle acts on what Finish, Fail or TakeOver said became of a run.
func (s *Settler) Settle(ctx context.Context, runID string, what ledger.Settled) error {
	if what == ledger.StillOpen {
		return nil
	}
	run, err := s.Ledger.Run(ctx, runID)
	if err != nil {
		return err
	}
	if what == ledger.NowReady {
		return s.ready(ctx, run)
	}
	return s.failed(ctx, run)
}

func (s *Settler) ready(ctx context.Context, run ledger.Run) error {
	err := s.Flags.SetReady(ctx, cache.Ready{
		Shop: run.ShopID, Broadcast: run.BroadcastID, Run: run.ID, Rows: run.RowsDone, FinishedAt: run.ReadyAt,
		AsOf: run.StartedAt, StartsAt: run.StartsAt, EndsAt: run.EndsAt,
	})
	if err == nil {
		err = s.Ledger.Flagged(ctx, run.ID, run.Epoch)
	}
	err = errors.Join(err, s.Leases.Release(ctx, run.ShopID, run.ID))
	s.Log.InfoContext(ctx, "ready", "run", run.ID, "shop", run.ShopID, "rows", run.RowsDone, "late", run.Late,
		"margin", run.Deadline.Sub(run.ReadyAt).Round(time.Millisecond).String())
	if run.Late && run.Deadline.After(run.CreatedAt) { // announced after its deadline, or by hand: nobody could have met it
		s.Alerts.Raise(ctx, alert.Alert{
			Name: alert.RunLate, Severity: alert.Warning, Shop: run.ShopID, Run: run.ID,
			Summary: fmt.Sprintf("shop %s was ready %s after its deadline", run.ShopID, run.ReadyAt.Sub(run.Deadline).Round(time.Second)),
			Remedy:  "announce earlier, or give policy.lead or width.max more room",
		})
	}
	return err
}

func (s *Settler) failed(ctx context.Context, run ledger.Run) error {
	s.Alerts.Raise(ctx, alert.Alert{
		Name: alert.RunFailed, Severity: alert.Critical, Shop: run.ShopID, Run: run.ID,
		Summary: fmt.Sprintf("shop %s was not warmed: %s", run.ShopID, run.LastError),
		Remedy:  fmt.Sprintf("mend the cause, then `prewarm retry %s`; it goes on where it stopped", run.ID),
	})
	return s.Leases.Release(ctx, run.ShopID, run.ID)
}
