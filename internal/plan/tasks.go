package plan

import (
	"context"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/tasks"
)

// unitTimeout ends a unit's task that hangs. A unit of 10,000 rows takes well under a second on healthy servers and
// some minutes on ones that throttle.
const unitTimeout = 15 * time.Minute

// Tasks makes the queue's tasks for what the ledger says is to be done. What it enqueues twice is there once.
type Tasks struct {
	Queue    *queue.Queue
	Attempts int // policy.retry.attempts
}

// Plan enqueues the planning of a run.
func (t *Tasks) Plan(ctx context.Context, run ledger.Run) error {
	return t.Queue.EnqueuePlan(ctx, tasks.Plan{Run: run.ID, Epoch: run.Epoch}, t.Attempts)
}

// Replan enqueues it under another id, beside one that seems to be lost.
func (t *Tasks) Replan(ctx context.Context, run ledger.Run) error {
	return t.Queue.EnqueuePlanAgain(ctx, tasks.Plan{Run: run.ID, Epoch: run.Epoch}, t.Attempts)
}

// Nudge tells all pods to look at the switches now.
func (t *Tasks) Nudge(ctx context.Context) error { return t.Queue.Nudge(ctx) }

// IDOf is the id of the task that plans a run.
func IDOf(run ledger.Run) string { return queue.PlanID(tasks.Plan{Run: run.ID, Epoch: run.Epoch}) }

// Units enqueues the tasks of units that wait, each under its newest task number.
func (t *Tasks) Units(ctx context.Context, due []ledger.Due) error {
	load := make([]queue.LoadTask, len(due))
	for i, d := range due {
		load[i] = queue.LoadTask{
			Load:  tasks.Load{Run: d.RunID, Unit: d.Unit.Unit, Epoch: d.Epoch, Shop: d.ShopID, Dataset: d.Dataset, From: d.From, To: d.To},
			ID:    TaskID(d),
			Queue: Lane(d.Urgent),
			At:    dueAt(d),
			// One more than the attempts: the ledger counts them, and a task that only waited must not be archived.
			MaxRetry: t.Attempts,
			Timeout:  unitTimeout,
		}
	}
	return t.Queue.EnqueueLoads(ctx, load)
}

// dueAt is when a unit's task runs: at its run's start, or at once (zero) if keys of it that are written wait for their
// new expiry, because they may be gone by the start.
func dueAt(d ledger.Due) time.Time {
	if d.Touch {
		return time.Time{}
	}
	return d.PlannedStart
}

// TaskID is the id of a waiting unit's newest task.
func TaskID(d ledger.Due) string {
	return tasks.LoadID(d.Deadline, d.RunID, d.Epoch, d.Unit.Unit, d.TaskSeq)
}

// Lane is the queue of a run's units.
func Lane(urgent bool) string {
	if urgent {
		return tasks.QueueUrgent
	}
	return tasks.QueueWarm
}
