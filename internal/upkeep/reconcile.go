package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/tasks"
)

const (
	// every is the time between two reconciliations.
	every = 10 * time.Second
	// batch is how many units or runs are looked at at a time.
	batch = 1000
)

// Queue is what reconciliation asks of the queue.
type Queue interface {
	LiveIDs(ctx context.Context, queue string) (map[string]queue.State, error)
	Ensure(ctx context.Context) error
}

// Tasks makes tasks of what the ledger says is to be done.
type Tasks interface {
	Plan(ctx context.Context, run ledger.Run) error
	Units(ctx context.Context, due []ledger.Due) error
}

// Settler does what a run's end asks for outside the ledger.
type Settler interface {
	Settle(ctx context.Context, run string, what ledger.Settled) error
}

// Reconciler brings queue and flags in line with the ledger. Two pods at once do no harm: each move is compare-and-set.
// One Reconciler is for one goroutine.
type Reconciler struct {
	Ledger   *ledger.Store
	Queue    Queue
	Tasks    Tasks
	TaskID   func(ledger.Due) string
	Settler  Settler
	Alerts   *alert.Dispatcher
	PodDead  time.Duration // policy.pod_dead
	Attempts int           // policy.retry.attempts
	Log      *slog.Logger
	Actions  *prometheus.CounterVec // by action; NewActions

	pulled map[string]bool // tasks that were active, of units that nobody had claimed, at the last reconciliation
}

// NewActions is the counter of what reconciliation did.
func NewActions(reg prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "prewarm_reconcile_actions_total",
		Help: "What the reconciliation put right, by action: take_over, enqueue_unit, enqueue_plan, flag.",
	}, []string{"action"})
	reg.MustRegister(c)
	return c
}

// Run reconciles at once and then again and again until the context ends.
func (r *Reconciler) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := r.Once(ctx); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "reconcile; it is tried again", "in", every, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Once reconciles once. A step that fails does not keep the others from being done.
func (r *Reconciler) Once(ctx context.Context) error {
	return errors.Join(
		r.Queue.Ensure(ctx),
		r.takeOver(ctx),
		r.planRuns(ctx),
		r.refill(ctx),
		r.flag(ctx),
		r.Ledger.ForgetPods(ctx),
	)
}

// takeOver gives the units of dead pods to others.
func (r *Reconciler) takeOver(ctx context.Context) error {
	orphans, err := r.Ledger.Orphans(ctx, r.PodDead, batch)
	if err != nil {
		return err
	}
	for _, u := range orphans {
		settled, err := r.Ledger.TakeOver(ctx, u, r.Attempts, "its pod died")
		if errors.Is(err, ledger.ErrFenced) {
			continue
		}
		if err != nil {
			return err
		}
		r.Actions.WithLabelValues("take_over").Inc()
		r.Alerts.Raise(ctx, alert.Alert{
			Name: alert.PodDied, Severity: alert.Warning, Run: u.RunID,
			Summary: fmt.Sprintf("pod %s died while it was loading; its units go on elsewhere from where they stopped", u.Owner),
			Remedy:  "look at the pod's last log and its memory limit",
		})
		if err := r.Settler.Settle(ctx, u.RunID, settled); err != nil {
			return err
		}
	}
	return nil // refill enqueues what was taken over
}

// planRuns enqueues the plans of runs that have waited too long for one.
func (r *Reconciler) planRuns(ctx context.Context) error {
	runs, err := r.Ledger.Unplanned(ctx, batch)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := r.Tasks.Plan(ctx, run); err != nil {
			return err
		}
		r.Actions.WithLabelValues("enqueue_plan").Inc()
	}
	return nil
}

// refill enqueues the waiting units that have no live task, each under a new number, so that a task that turns up
// after all is dropped.
func (r *Reconciler) refill(ctx context.Context) error {
	// The ledger is read first: a unit that comes to wait afterwards has its task in the queue by then or is found next time.
	var lost []ledger.Due
	run, unit := "", -1
	for {
		due, err := r.Ledger.Waiting(ctx, run, unit, batch)
		if err != nil {
			return err
		}
		lost = append(lost, due...)
		if len(due) < batch {
			break
		}
		run, unit = due[len(due)-1].RunID, due[len(due)-1].Unit.Unit
	}
	if len(lost) == 0 {
		return nil
	}
	live := map[string]queue.State{}
	for _, q := range []string{tasks.QueueUrgent, tasks.QueueWarm} {
		ids, err := r.Queue.LiveIDs(ctx, q)
		if err != nil {
			return err
		}
		for id, state := range ids {
			live[id] = state
		}
	}
	pulled := map[string]bool{}
	var again []ledger.Due
	for _, d := range lost {
		id := r.TaskID(d)
		if state, ok := live[id]; ok {
			// A pod can die between pulling a task and claiming its unit; asynq finds that after one to two minutes. A handler
			// claims within moments, so a task that is active twice in a row without a claim is as good as lost. If it is not,
			// it finds itself superseded.
			if state != queue.Active {
				continue
			}
			if pulled[id] = true; !r.pulled[id] {
				continue
			}
		}
		seq, err := r.Ledger.Supersede(ctx, d.Unit)
		if errors.Is(err, ledger.ErrFenced) {
			continue
		}
		if err != nil {
			return err
		}
		d.TaskSeq = seq
		again = append(again, d)
	}
	r.pulled = pulled
	if len(again) == 0 {
		return nil
	}
	r.Actions.WithLabelValues("enqueue_unit").Add(float64(len(again)))
	r.Log.InfoContext(ctx, "enqueued units that had no task", "units", len(again))
	return r.Tasks.Units(ctx, again)
}

// flag sets the ready flags that could not be set when their runs became ready.
func (r *Reconciler) flag(ctx context.Context) error {
	runs, err := r.Ledger.Unflagged(ctx, batch)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := r.Settler.Settle(ctx, run.ID, ledger.NowReady); err != nil {
			return err
		}
		r.Actions.WithLabelValues("flag").Inc()
	}
	return nil
}
