package workers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
)

// Outcomes of an attempt at a unit.
const (
	attemptDone     = "done"
	attemptHandBack = "handed_back"
	attemptFenced   = "fenced"
	attemptFailed   = "failed"
	attemptLost     = "lost"        // the cache has lost pages of the unit; it begins anew
	attemptWaits    = "unavailable" // a server could not be reached: handed back too, and said
)

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return attemptDone
	case ledger.Gone(err):
		return attemptFenced
	case errors.Is(err, load.ErrHandBack), errors.Is(err, lease.ErrLost), errors.Is(err, context.Canceled):
		return attemptHandBack // a cancellation that is not ours is asynqmon's: what it means comes by another way
	case errors.As(err, new(*cache.LostError)):
		return attemptLost
	case load.Unavailable(err):
		return attemptWaits
	}
	return attemptFailed
}

// after records what became of an attempt. The attempt's own context may have ended, so this has one of its own.
func (h *LoadHandler) after(ctx context.Context, run ledger.Run, u ledger.Unit, settled ledger.Settled, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterward)
	defer cancel()
	switch outcomeOf(err) {
	case attemptDone:
		if err := h.Settler.Settle(ctx, run.ID, settled); err != nil {
			// The unit is done all the same; the reconciliation sets the flag.
			h.Log.WarnContext(ctx, "settle run", "run", run.ID, "shop", run.ShopID, "error", err)
		}
		return nil
	case attemptFenced:
		h.Metrics.drop(overSuperseded)
		h.letGo(ctx, run)
		return nil
	case attemptHandBack:
		return h.handBack(ctx, run, u, err, time.Second)
	case attemptLost:
		return h.lost(ctx, run, u, err)
	case attemptWaits:
		h.Alerts.Raise(ctx, unavailable(err))
		return h.handBack(ctx, run, u, err, serverAway)
	}
	return h.failed(ctx, run, u, err)
}

// unavailable is one alert for all that wait for a server.
func unavailable(err error) alert.Alert {
	return alert.Alert{
		Name: alert.ServerUnavailable, Severity: alert.Critical, Summary: "units wait for a server: " + err.Error(),
		Remedy: "bring the server back; the units go on by themselves from where they stopped, and no attempt is counted",
	}
}

func (h *LoadHandler) handBack(ctx context.Context, run ledger.Run, u ledger.Unit, why error, in time.Duration) error {
	err := h.Ledger.HandBack(ctx, u, why.Error())
	if ledger.Gone(err) {
		h.letGo(ctx, run)
		return nil
	}
	if err != nil {
		h.Log.WarnContext(ctx, "hand unit back; it is taken over when the pod is gone", "run", u.RunID, "unit", u.Unit, "error", err)
	}
	return &later{in: in, why: why.Error()}
}

// lost takes a unit back to its start. The reconciliation finds what else the cache has lost, and enqueues it all.
func (h *LoadHandler) lost(ctx context.Context, run ledger.Run, u ledger.Unit, why error) error {
	var lost *cache.LostError
	errors.As(why, &lost) // outcomeOf has found it
	now, err := h.Ledger.Now(ctx)
	if err == nil {
		err = h.Ledger.Lost(ctx, ledger.Run{ID: run.ID, Epoch: u.Epoch}, ledger.Loss{Units: []ledger.LostUnit{{Unit: u.Unit, Marked: lost.Stamp.Known, Claim: u.Claim}}, Start: now,
			By: ledger.By{Who: h.Pod, Why: why.Error()}})
	}
	if errors.Is(err, ledger.ErrState) {
		h.letGo(ctx, run)
		return nil
	}
	if err != nil {
		return h.handBack(ctx, run, u, why, serverAway)
	}
	return nil
}

// letGo frees the shop if the run has ended meanwhile: the lease was released then, and joining it or the last page's
// renewal may have taken it again, which would keep the shop's next run waiting until it lapses.
func (h *LoadHandler) letGo(ctx context.Context, run ledger.Run) {
	now, err := h.Ledger.Run(ctx, run.ID)
	if err == nil && (now.State == ledger.RunPlanned || now.State == ledger.RunWarming) {
		return
	}
	if err == nil {
		err = h.Leases.Release(ctx, run.ShopID, run.ID)
	}
	if err != nil {
		h.Log.WarnContext(ctx, "release lease; it lapses by itself", "run", run.ID, "shop", run.ShopID, "error", err)
	}
}

func (h *LoadHandler) failed(ctx context.Context, run ledger.Run, u ledger.Unit, cause error) error {
	final := h.Retry.over(cause, u.Attempts)
	settled, err := h.Ledger.Fail(ctx, u, cause.Error(), final)
	if ledger.Gone(err) {
		h.letGo(ctx, run)
		return nil
	}
	if err != nil {
		// The ledger does not answer: the unit stays `running` under this pod until somebody finds that nobody works on it.
		h.Log.WarnContext(ctx, "record failure", "run", u.RunID, "unit", u.Unit, "cause", cause, "error", err)
		return &failed{in: backoff(h.Retry.Backoff, u.Attempts), err: cause}
	}
	h.Alerts.Raise(ctx, alert.Alert{
		Name: alert.UnitFailed, Severity: alert.Warning, Shop: run.ShopID, Run: run.ID,
		Summary: fmt.Sprintf("shop %s, %s, unit %d, attempt %d of %d: %v", run.ShopID, u.Dataset, u.Unit, u.Attempts, h.Retry.Attempts, cause),
		Remedy:  "it is retried from where it stopped as long as attempts are left",
	})
	if err := h.Settler.Settle(ctx, run.ID, settled); err != nil {
		h.Log.WarnContext(ctx, "settle run", "run", run.ID, "shop", run.ShopID, "error", err)
	}
	if final {
		return fmt.Errorf("%w: %w", cause, asynq.SkipRetry)
	}
	return &failed{in: backoff(h.Retry.Backoff, u.Attempts), err: cause}
}
