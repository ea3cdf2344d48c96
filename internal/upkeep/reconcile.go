package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/tasks"
)

const (
	// every is the time between two reconciliations.
	every = 10 * time.Second
	// glance is the time between two looks for dead pods: work that stands still waits for nothing else.
	glance = 2 * time.Second
	// batch is how many units or runs are looked at at a time.
	batch = 1000
)

// Queue is what reconciliation asks of the queue.
type Queue interface {
	LiveTasks(ctx context.Context, queue string) (map[string]queue.LiveTask, error)
	Ensure(ctx context.Context) error
	// Copy enqueues a task once more under another id, to be run now; a task that is gone is no error.
	Copy(ctx context.Context, queue, id string) error
}

// Tasks makes tasks of what the ledger says is to be done.
type Tasks interface {
	Plan(ctx context.Context, run ledger.Run) error
	Replan(ctx context.Context, run ledger.Run) error // under a new id
	Units(ctx context.Context, due []ledger.Due) error
}

// Settler does what a run's end asks for outside the ledger.
type Settler interface {
	Settle(ctx context.Context, run string, what ledger.Settled) error
	Ended(ctx context.Context, run ledger.Run, who string) error
	Unready(ctx context.Context, run string) error
}

// Reconciler brings queue and flags in line with the ledger. Two pods at once do no harm: each move is compare-and-set.
// One Reconciler is for one goroutine.
type Reconciler struct {
	Ledger     *ledger.Store
	Queue      Queue
	Tasks      Tasks
	TaskID     func(ledger.Due) string
	PlanID     func(ledger.Run) string
	Flags      Flags
	Caches     map[string]Cache // by name
	Settler    Settler
	Alerts     *alert.Dispatcher
	PodDead    time.Duration // policy.pod_dead
	Attempts   int           // policy.retry.attempts
	BackoffMax time.Duration // policy.retry.backoff.max
	Watch      config.Watch  // policy.watch
	Log        *slog.Logger
	Actions    *prometheus.CounterVec // by action; NewActions

	// Tasks that were active at the last reconciliation although nothing came of them:
	pulled   map[string]bool // of units that nobody had claimed
	planning map[string]bool // of runs that had no plan
	taken    map[string]int  // announcements, by how often they were seen
}

// NewActions is the counter of what reconciliation did.
func NewActions(reg prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "prewarm_reconcile_actions_total",
		Help: "What the reconciliation put right, by action: take_over, enqueue_unit, enqueue_plan, copy_request, end, flag, lost, reopen.",
	}, []string{"action"})
	reg.MustRegister(c)
	for _, action := range []string{"take_over", "enqueue_unit", "enqueue_plan", "copy_request", "end", "flag", "lost", "reopen"} {
		c.WithLabelValues(action)
	}
	return c
}

// Run reconciles at once and then again and again until the context ends.
func (r *Reconciler) Run(ctx context.Context) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for n := 0; ; n++ {
		step := r.takeOver
		if n%int(every/glance) == 0 {
			step = r.Once
		}
		if err := step(ctx); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "reconcile; it is tried again", "error", err)
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
		r.stuck(ctx),
		r.overtime(ctx),
		r.end(ctx),
		r.lost(ctx),
		r.copyRequests(ctx),
		r.planRuns(ctx),
		r.carry(ctx),
		r.refill(ctx),
		r.flag(ctx),
		r.tell(ctx),
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
		if err := r.take(ctx, u, "its pod died", alert.Alert{
			Name: alert.PodDied, Severity: alert.Warning, Run: u.RunID,
			Summary: fmt.Sprintf("pod %s died while it was loading; its units go on elsewhere from where they stopped", u.Owner),
			Remedy:  "look at the pod's last log and its memory limit",
		}); err != nil {
			return err
		}
	}
	return nil
}

// take takes one unit over and says so.
func (r *Reconciler) take(ctx context.Context, u ledger.Unit, why string, told alert.Alert) error {
	settled, err := r.Ledger.TakeOver(ctx, u, r.Attempts, why)
	if errors.Is(err, ledger.ErrFenced) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Actions.WithLabelValues("take_over").Inc()
	r.Alerts.Raise(ctx, told)
	if u.Attempts >= r.Attempts {
		return r.Settler.Settle(ctx, u.RunID, settled)
	}
	run, err := r.Ledger.Run(ctx, u.RunID)
	if err != nil {
		return err
	}
	u.TaskSeq++ // by the take-over; what is lost here is found by refill
	return r.Tasks.Units(ctx, []ledger.Due{{Unit: u, ShopID: run.ShopID, Deadline: run.Deadline, PlannedStart: run.PlannedStart, Urgent: run.Urgent}})
}

// planRuns enqueues the plans of runs that have waited too long for one.
func (r *Reconciler) planRuns(ctx context.Context) error {
	runs, err := r.Ledger.Unplanned(ctx, batch)
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		r.planning = nil
		return nil
	}
	live, err := r.Queue.LiveTasks(ctx, tasks.QueueIntake)
	if err != nil {
		return err
	}
	now, err := r.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	planning := map[string]bool{}
	for _, run := range runs {
		// As with units: a plan that is active at two reconciliations in a row may be a dead pod's, and making it twice is
		// harmless.
		enqueue, task := r.Tasks.Plan, live[r.PlanID(run)]
		if task.State == queue.Active {
			if planning[run.ID] = true; !r.planning[run.ID] {
				continue
			}
			enqueue = r.Tasks.Replan
		}
		if task.At.After(now.Add(late)) { // of a pod with a wrong clock
			enqueue = r.Tasks.Replan
		}
		if err := enqueue(ctx, run); err != nil {
			return err
		}
		r.Actions.WithLabelValues("enqueue_plan").Inc()
	}
	r.planning = planning
	return nil
}

// carry opens units whose keys wait for a new expiry and that nobody sees to, and those of ready runs that failed at it, after as long
// as the longest wait between two attempts; refill makes their tasks.
func (r *Reconciler) carry(ctx context.Context) error {
	n, err := r.Ledger.Uncarried(ctx, batch)
	r.Actions.WithLabelValues("reopen").Add(float64(n))
	failed, err2 := r.Ledger.FailedReady(ctx, r.BackoffMax, batch)
	r.Actions.WithLabelValues("reopen").Add(float64(len(failed)))
	for _, u := range failed {
		r.Log.WarnContext(ctx, "a unit of a ready run had failed; it is tried again, and until then its keys expire too early", "run", u.RunID, "unit", u.Unit, "error", u.LastError)
	}
	return errors.Join(err, err2)
}

// late is how far behind its time a task may be put off before that is a fault.
const late = 30 * time.Second

// misplaced says that a task is to run later than anything but a pod with a wrong clock would have put it.
func (r *Reconciler) misplaced(t queue.LiveTask, d ledger.Due, now time.Time) bool {
	latest := now.Add(2 * r.BackoffMax)
	if d.PlannedStart.After(latest) {
		latest = d.PlannedStart
	}
	return t.At.After(latest.Add(late))
}

// copiesAfter is how many reconciliations in a row an announcement is seen active before it is taken for a dead pod's. The
// largest takes seconds.
const copiesAfter = 3

// copyRequests enqueues announcements again whose pod died with them in hand, which asynq notices after one to two
// minutes, or never. One that is answered twice is a duplicate, no more.
func (r *Reconciler) copyRequests(ctx context.Context) error {
	live, err := r.Queue.LiveTasks(ctx, tasks.QueueIntake)
	if err != nil {
		return err
	}
	taken := map[string]int{}
	for id, task := range live {
		if task.State != queue.Active || strings.HasPrefix(id, queue.PlanPrefix) {
			continue
		}
		taken[id] = r.taken[id] + 1
		if taken[id] != copiesAfter {
			continue
		}
		if err := r.Queue.Copy(ctx, tasks.QueueIntake, id); err != nil {
			return err
		}
		r.Actions.WithLabelValues("copy_request").Inc()
	}
	r.taken = taken
	return nil
}

// end closes runs whose broadcast is over and that nobody will work on any more.
func (r *Reconciler) end(ctx context.Context) error {
	runs, err := r.Ledger.Ended(ctx, batch)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := r.Settler.Ended(ctx, run, "reconciliation"); err != nil {
			return err
		}
		r.Actions.WithLabelValues("end").Inc()
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
	now, err := r.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	live := map[string]queue.LiveTask{}
	for _, q := range []string{tasks.QueueUrgent, tasks.QueueWarm} {
		ids, err := r.Queue.LiveTasks(ctx, q)
		if err != nil {
			return err
		}
		maps.Copy(live, ids)
	}
	pulled := map[string]bool{}
	var again []ledger.Due
	for _, d := range lost {
		id := r.TaskID(d)
		if task, ok := live[id]; ok && !r.misplaced(task, d, now) {
			// A pod can die between pulling a task and claiming its unit; asynq finds that after one to two minutes. A handler
			// claims within moments, so a task that is active twice in a row without a claim is as good as lost. If it is not,
			// it finds itself superseded.
			if task.State != queue.Active {
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
