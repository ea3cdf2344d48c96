package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Cancel stops a run by hand or for upstream, and lets go of the shop.
func (in *Intake) Cancel(ctx context.Context, runID string, by ledger.By) error {
	if err := in.Ledger.Cancel(ctx, runID, by); err != nil {
		return err
	}
	in.nudge(ctx)
	return in.letGo(ctx, runID)
}

// CancelAll cancels the runs of a shop, or of everything, that are not over yet, and says how many. Ready runs stay, as
// nothing of them is at work; it says how many these are.
func (in *Intake) CancelAll(ctx context.Context, on ledger.Scope, by ledger.By) (cancelled, ready int, err error) {
	var off, stay atomic.Int64
	err = in.each(ctx, on, []ledger.RunState{ledger.RunPlanned, ledger.RunWarming, ledger.RunReady}, func(ctx context.Context, run ledger.Run) error {
		if run.State == ledger.RunReady {
			stay.Add(1)
			return nil
		}
		err := in.Cancel(ctx, run.ID, by)
		switch {
		case err == nil:
			off.Add(1)
		case errors.Is(err, ledger.ErrState): // somebody was faster
			return nil
		}
		return err
	})
	return int(off.Load()), int(stay.Load()), err
}

// Pause stops work at its next pages until it is resumed, also of runs that are announced later.
func (in *Intake) Pause(ctx context.Context, on ledger.Scope, by ledger.By) error {
	if err := in.Ledger.Pause(ctx, on, by); err != nil {
		return err
	}
	in.nudge(ctx)
	in.Log.InfoContext(ctx, "paused", "what", on.String(), "who", by.Who, "why", by.Why)
	return nil
}

func (in *Intake) nudge(ctx context.Context) {
	if err := in.Tasks.Nudge(ctx); err != nil {
		in.Log.WarnContext(ctx, "nudge the pods; they look by themselves in a moment", "error", err)
	}
}

// Resume ends a pause; work goes on from where it stopped, unless a wider pause is in force.
func (in *Intake) Resume(ctx context.Context, on ledger.Scope, by ledger.By) error {
	if err := in.Ledger.Resume(ctx, on, by); err != nil {
		return err
	}
	in.nudge(ctx)
	in.Log.InfoContext(ctx, "resumed", "what", on.String(), "who", by.Who, "why", by.Why)
	states, wake := []ledger.RunState{ledger.RunPlanned, ledger.RunWarming, ledger.RunReady}, in.wake
	if on.Kind == ledger.ScopeAll { // whose units have their tasks still
		states, wake = states[:1], in.wakePlan
	}
	err := in.each(ctx, on, states, wake)
	if err != nil {
		in.Log.WarnContext(ctx, "enqueue what was paused; the reconciliation does it within seconds", "error", err)
	}
	return nil
}

// wake enqueues what was dropped while a run was paused. The tasks of a run that does not start yet were not.
func (in *Intake) wake(ctx context.Context, run ledger.Run) error {
	if run.PlannedAt.IsZero() {
		return in.wakePlan(ctx, run)
	}
	if run.State == ledger.RunPlanned && run.PlannedStart.After(time.Now().Add(time.Minute)) {
		return nil
	}
	due, err := in.Ledger.Requeue(ctx, run)
	if err != nil {
		return err
	}
	return in.Tasks.Units(ctx, due)
}

// wakePlan enqueues a plan that was dropped.
func (in *Intake) wakePlan(ctx context.Context, run ledger.Run) error {
	if !run.PlannedAt.IsZero() {
		return nil
	}
	return in.Tasks.Plan(ctx, run)
}

// each does something to the runs of a scope whose broadcasts are not over, some at a time.
func (in *Intake) each(ctx context.Context, on ledger.Scope, states []ledger.RunState, do func(context.Context, ledger.Run) error) error {
	if on.Kind == ledger.ScopeRun {
		run, err := in.Ledger.Run(ctx, on.ID)
		if err != nil {
			return err
		}
		return do(ctx, run)
	}
	now, err := in.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	f := ledger.RunFilter{States: states, EndsAfter: now, Limit: 1000}
	if on.Kind == ledger.ScopeShop {
		f.Shop = on.ID
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
	for {
		runs, next, err := in.Ledger.Runs(ctx, f)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		for _, run := range runs {
			group.Go(func() error { return do(gctx, run) })
		}
		if f.After = next; next == "" {
			return group.Wait()
		}
	}
}

// Retry takes a failed run up where it stopped.
func (in *Intake) Retry(ctx context.Context, runID string, by ledger.By) error {
	if err := in.Ledger.Retry(ctx, runID, nil, by); err != nil {
		return err
	}
	in.Log.InfoContext(ctx, "retry by hand", "run", runID, "who", by.Who)
	return in.enqueue(ctx, runID)
}

// Restart begins a run from scratch, at once.
func (in *Intake) Restart(ctx context.Context, runID string, by ledger.By) error {
	run, err := in.Ledger.Run(ctx, runID)
	if err != nil {
		return err
	}
	if !run.EndsAt.After(time.Now()) {
		return fmt.Errorf("%w: its broadcast ended at %s; announce a new one", ledger.ErrState, stamp(run.EndsAt))
	}
	if err := in.Ledger.Restart(ctx, runID, by); err != nil {
		return err
	}
	in.nudge(ctx)
	in.Log.InfoContext(ctx, "restart by hand", "run", runID, "who", by.Who)
	if err := in.Flags.ClearReady(ctx, run.ShopID, run.BroadcastID); err != nil {
		in.Log.WarnContext(ctx, "clear ready flag", "run", run.ID, "shop", run.ShopID, "error", err)
	}
	return in.enqueue(ctx, runID)
}

// letGo removes a run's flag and lease. Both lapse by themselves if they cannot be removed now.
func (in *Intake) letGo(ctx context.Context, runID string) error {
	run, err := in.Ledger.Run(ctx, runID)
	if err != nil {
		return err
	}
	if err := errors.Join(in.Flags.ClearReady(ctx, run.ShopID, run.BroadcastID), in.Leases.Release(ctx, run.ShopID, run.ID)); err != nil {
		in.Log.WarnContext(ctx, "let go of shop", "run", run.ID, "shop", run.ShopID, "error", err)
	}
	return nil
}

// RunsOf are the ids of the runs in the outcomes that were recorded of a request.
func RunsOf(outcomes string) ([]string, error) {
	var list []Outcome
	if err := json.Unmarshal([]byte(outcomes), &list); err != nil {
		return nil, fmt.Errorf("read the outcomes of a request: %w", err)
	}
	var ids []string
	for _, o := range list {
		if o.RunID != "" {
			ids = append(ids, o.RunID)
		}
	}
	return ids, nil
}
