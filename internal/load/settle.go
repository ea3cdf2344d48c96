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

	AfterEnd time.Duration // policy.expire.after_end
	// Vouch says whether a ready run may be announced; if not yet, it has asked for what is missing, and Settle is called again
	// when that is there. Nil: always.
	Vouch func(ctx context.Context, run ledger.Run) (bool, error)
	// Placed is which cache each dataset of a run is in, to be told with the flag. Nil: there is one cache.
	Placed func(ctx context.Context, run ledger.Run) (map[string]string, error)
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
	if run.State != ledger.RunReady {
		return nil
	}
	if s.Vouch != nil {
		if ok, err := s.Vouch(ctx, run); err != nil || !ok {
			return errors.Join(err, s.Leases.Release(ctx, run.ShopID, run.ID))
		}
	}
	datasets, err := s.Ledger.AsOf(ctx, run)
	if err != nil {
		return err
	}
	parts, err := s.parts(ctx, run)
	if err != nil {
		return err
	}
	var caches map[string]string
	if s.Placed != nil {
		if caches, err = s.Placed(ctx, run); err != nil {
			return err
		}
	}
	err = s.Flags.SetReady(ctx, cache.Ready{
		Shop: run.ShopID, Broadcast: run.BroadcastID, Run: run.ID, Rows: run.RowsDone, FinishedAt: run.ReadyAt,
		AsOf: earliest(run.StartedAt, datasets), StartsAt: run.StartsAt, EndsAt: run.EndsAt, KeysUntil: run.KeysUntil(s.AfterEnd), Datasets: datasets, Parts: parts, Caches: caches,
	})
	if err == nil {
		err = s.Ledger.Flagged(ctx, run.ID, run.Epoch)
	}
	if errors.Is(err, ledger.ErrState) { // it was cancelled or restarted since it was read
		return s.Unready(ctx, run.ID)
	}
	first := run.FlaggedAt.IsZero()
	err = errors.Join(err, s.Leases.Release(ctx, run.ShopID, run.ID))
	if !first {
		return err
	}
	s.Log.InfoContext(ctx, "ready", "run", run.ID, "shop", run.ShopID, "rows", run.RowsDone, "late", run.Late,
		"margin", run.Deadline.Sub(run.ReadyAt).Round(time.Millisecond).String())
	if run.Late && run.Deadline.After(run.CreatedAt) { // announced after its deadline, or by hand: nobody could have met it
		s.Alerts.Raise(ctx, alert.Alert{
			Name: alert.RunLate, Severity: alert.Critical, Shop: run.ShopID, Run: run.ID,
			Summary: fmt.Sprintf("shop %s was ready %s after its deadline", run.ShopID, run.ReadyAt.Sub(run.Deadline).Round(time.Second)),
			Remedy:  "announce earlier, or give policy.lead or width.max more room",
		})
	}
	return err
}

// parts is what a run keeps of datasets that it does not keep whole.
func (s *Settler) parts(ctx context.Context, run ledger.Run) (parts map[string]cache.Part, err error) {
	kept, err := s.Ledger.RunParts(ctx, run.ID)
	for dataset, p := range kept {
		if parts == nil {
			parts = map[string]cache.Part{}
		}
		parts[dataset] = told(p)
	}
	return parts, err
}

// earliest is since when any dataset may have changed; of units that an older release has loaded only the run's start is
// known.
func earliest(started time.Time, datasets map[string]time.Time) (asOf time.Time) {
	for _, at := range datasets {
		if asOf.IsZero() || at.Before(asOf) {
			asOf = at
		}
	}
	if asOf.IsZero() {
		return started
	}
	return asOf
}

// Unready removes the flag of a run that is not ready. Should it become ready at that very moment, its flag is set again.
func (s *Settler) Unready(ctx context.Context, runID string) error {
	run, err := s.Ledger.Run(ctx, runID)
	if err != nil || run.State == ledger.RunReady {
		return err
	}
	if err := s.Flags.ClearReady(ctx, run.ShopID, run.BroadcastID); err != nil {
		return err
	}
	return s.Settle(ctx, runID, ledger.NowReady)
}

// Ended calls a run off whose broadcast is over: what would be written now would expire at once or soon. A run that has
// moved on meanwhile is no error.
func (s *Settler) Ended(ctx context.Context, run ledger.Run, who string) error {
	err := s.Ledger.Cancel(ctx, run.ID, ledger.By{Who: who, Why: "the broadcast ended before the shop was ready"})
	if errors.Is(err, ledger.ErrState) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Alerts.Raise(ctx, alert.Alert{
		Name: alert.BroadcastEnded, Severity: alert.Warning, Shop: run.ShopID, Run: run.ID,
		Summary: fmt.Sprintf("broadcast %s of shop %s ended before the shop was ready", run.BroadcastID, run.ShopID),
		Remedy:  "nothing is left to do for it; see why it took so long with `prewarm run " + run.ID + "`",
	})
	return s.Leases.Release(ctx, run.ShopID, run.ID)
}

func (s *Settler) failed(ctx context.Context, run ledger.Run) error {
	s.Alerts.Raise(ctx, alert.Alert{
		Name: alert.RunFailed, Severity: alert.Critical, Shop: run.ShopID, Run: run.ID,
		Summary: fmt.Sprintf("shop %s was not warmed", run.ShopID), Why: run.LastError,
		Remedy: fmt.Sprintf("mend the cause, then `prewarm retry %s`; it goes on where it stopped", run.ID),
	})
	return s.Leases.Release(ctx, run.ShopID, run.ID)
}
