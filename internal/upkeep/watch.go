package upkeep

import (
	"context"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// deadlineShare is the part of the time left to the deadline that may pass before somebody is impatient.
const deadlineShare = 4

// patience is pure: how long something that began at since may take by a limit, which a deadline that is near cuts short.
func patience(limit, atLeast time.Duration, since, deadline time.Time) time.Duration {
	return max(atLeast, min(limit, deadline.Sub(since)/deadlineShare))
}

// tooLong is pure: why a running unit is to be taken over although its pod is alive, or "".
func tooLong(w config.Watch, u ledger.Running) string {
	if still, limit := u.Now.Sub(u.UpdatedAt), patience(w.NoProgress, w.AtLeast, u.UpdatedAt, u.Deadline); still > limit {
		return fmt.Sprintf("no progress for %s, more than %s", still.Round(time.Second), limit.Round(time.Second))
	}
	since := u.ClaimedAt
	if since.IsZero() { // claimed by a release that did not say when
		since = u.StartedAt
	}
	// The deadline does not cut this one: a unit that moves is not helped by being moved.
	if took := u.Now.Sub(since); took > w.Overtime {
		return fmt.Sprintf("running for %s, more than %s", took.Round(time.Second), w.Overtime)
	}
	return ""
}

// stuck takes units over that stand still or run too long. Their pod finds its claim fenced and breaks them off.
func (r *Reconciler) stuck(ctx context.Context) error {
	running, err := r.Ledger.Running(ctx, batch)
	if err != nil {
		return err
	}
	for _, u := range running {
		why := tooLong(r.Watch, u)
		if why == "" {
			continue
		}
		if err := r.take(ctx, u.Unit, why, alert.Alert{
			Name: alert.UnitStuck, Severity: alert.Warning, Shop: u.ShopID, Run: u.RunID,
			Summary: fmt.Sprintf("shop %s, %s, unit %d on pod %s was taken over: %s", u.ShopID, u.Dataset, u.Unit.Unit, u.Owner, why),
			Remedy:  "look for locks and slow statements on the source; see the unit with `prewarm run " + u.RunID + "`",
		}); err != nil {
			return err
		}
	}
	return nil
}

// overtime tells of runs that take too long.
func (r *Reconciler) overtime(ctx context.Context) error {
	now, err := r.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	runs, err := r.Ledger.Warming(ctx, batch)
	if err != nil {
		return err
	}
	for _, run := range runs {
		took, limit := now.Sub(run.StartedAt), patience(r.Watch.Overtime, r.Watch.AtLeast, run.StartedAt, run.Deadline)
		if run.StartedAt.IsZero() || took <= limit {
			continue
		}
		why := fmt.Sprintf("warming for %s, more than %s", took.Round(time.Second), limit.Round(time.Second))
		first, err := r.Ledger.NoteOnce(ctx, ledger.Event{RunID: run.ID, Epoch: run.Epoch, Stage: ledger.StageOvertime, Who: "reconciliation", Message: why})
		if err != nil {
			return err
		}
		if first {
			r.Alerts.Raise(ctx, alert.Alert{
				Name: alert.RunOvertime, Severity: alert.Warning, Shop: run.ShopID, Run: run.ID,
				Summary: fmt.Sprintf("shop %s is %s; %d of %d rows are written", run.ShopID, why, run.RowsDone, run.RowsEstimated),
				Remedy:  "see what it waits for with `prewarm run " + run.ID + "`; give width.max more room, or cancel what matters less",
			})
		}
	}
	return nil
}
