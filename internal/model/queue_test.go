//go:build !race

package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/tasks"
)

// recoverAfter is when asynq gives a task to others whose server has gone silent.
const recoverAfter = 90 * time.Second

// taskQueue is asynq as far as the protocol sees it: tasks with ids that stay taken while a task is retained.
type taskQueue struct {
	w     *world
	tasks map[string]*task
	order []*task // of their making, lost ones included: what may turn up once more
}

type task struct {
	id      string
	load    tasks.Load
	isPlan  bool
	urgent  bool
	retries int
	state   queue.State // "" for completed and archived
	due     time.Time   // active: when asynq takes it back if its server is gone
	by      *actor      // the slot that has it
	lost    bool        // it is no longer in Redis
}

// delivery is a task in a handler's hands. An echo is one that the queue does not know of: late, or twice.
type delivery struct {
	*task
	echo bool
	seq  int
}

func (d *delivery) short() string {
	if d.isPlan {
		return fmt.Sprintf("plan %s.%d", shortRun(d.load.Run), d.load.Epoch)
	}
	return fmt.Sprintf("%s.%d unit %d #%d", shortRun(d.load.Run), d.load.Epoch, d.load.Unit, d.seq)
}

// runNames are the runs' broadcasts: their ids are random and say nothing.
var runNames sync.Map

func shortRun(id string) string {
	if name, ok := runNames.Load(id[:min(len(id), 32)]); ok { // a lease's value goes on behind it
		return name.(string)
	}
	return "?"
}

func (q *taskQueue) add(t *task) {
	if _, ok := q.tasks[t.id]; ok {
		return
	}
	t.state = queue.Pending
	if t.due.After(time.Now()) {
		t.state = queue.Scheduled
	}
	q.tasks[t.id] = t
	q.order = append(q.order, t)
}

// Plan implements intake.Tasks and upkeep.Tasks, as plan.Tasks and queue.EnqueuePlan do it.
func (q *taskQueue) Plan(ctx context.Context, run ledger.Run) error {
	p := tasks.Plan{Run: run.ID, Epoch: run.Epoch}
	return q.w.gate(ctx, toQueue, fmt.Sprintf("queue: enqueue plan of %s.%d", shortRun(run.ID), run.Epoch), func() {
		id := queue.PlanID(p)
		if t, ok := q.tasks[id]; ok {
			if t.state != "" {
				return
			}
			delete(q.tasks, id)
		}
		q.add(&task{id: id, isPlan: true, load: tasks.Load{Run: run.ID, Epoch: run.Epoch}})
	})
}

// Replan implements upkeep.Tasks, as queue.EnqueuePlanAgain does it.
func (q *taskQueue) Replan(ctx context.Context, run ledger.Run) error {
	p := tasks.Plan{Run: run.ID, Epoch: run.Epoch}
	return q.w.gate(ctx, toQueue, fmt.Sprintf("queue: enqueue plan of %s.%d again", shortRun(run.ID), run.Epoch), func() {
		q.add(&task{id: fmt.Sprintf("%s.again%d", queue.PlanID(p), len(q.order)), isPlan: true, load: tasks.Load{Run: run.ID, Epoch: run.Epoch}})
	})
}

// Nudge implements intake.Tasks: nobody hears it, and the pods look by themselves.
func (q *taskQueue) Nudge(ctx context.Context) error {
	return q.w.gate(ctx, toQueue, "queue: nudge", func() {})
}

// Copy implements upkeep.Queue: no announcement comes by the queue.
func (q *taskQueue) Copy(context.Context, string, string) error { return nil }

// Units implements intake.Tasks and upkeep.Tasks, as plan.Tasks does it.
func (q *taskQueue) Units(ctx context.Context, due []ledger.Due) error {
	if len(due) == 0 {
		return nil
	}
	what := make([]string, len(due))
	for i, d := range due {
		what[i] = fmt.Sprintf("%s.%d unit %d #%d", shortRun(d.RunID), d.Epoch, d.Unit.Unit, d.TaskSeq)
	}
	return q.w.gate(ctx, toQueue, "queue: enqueue "+strings.Join(what, ", "), func() {
		for _, d := range due {
			at := d.PlannedStart
			if d.Touch {
				at = time.Time{}
			}
			q.add(&task{id: plan.TaskID(d), urgent: plan.Lane(d.Urgent) == tasks.QueueUrgent, due: at,
				load: tasks.Load{Run: d.RunID, Unit: d.Unit.Unit, Epoch: d.Epoch}})
		}
	})
}

// Ensure implements upkeep.Queue.
func (q *taskQueue) Ensure(context.Context) error { return nil }

// LiveTasks implements upkeep.Queue.
func (q *taskQueue) LiveTasks(ctx context.Context, lane string) (map[string]queue.LiveTask, error) {
	var live map[string]queue.LiveTask
	err := q.w.gate(ctx, toQueue, "queue: list "+lane, func() {
		live = map[string]queue.LiveTask{}
		for id, t := range q.tasks {
			if t.state != "" && laneOf(t) == lane {
				live[id] = t.live()
			}
		}
	})
	return live, err
}

func (t *task) live() queue.LiveTask {
	l := queue.LiveTask{State: t.state}
	if t.state == queue.Scheduled || t.state == queue.Retry {
		l.At = t.due
	}
	return l
}

// ready are the tasks that a server could pull now, the urgent ones first, in asynq's order. What a dead server had is
// among them once asynq has noticed.
func (q *taskQueue) ready() []*task {
	now := time.Now()
	var out []*task
	for _, t := range q.order {
		switch {
		case t.lost || t.state == "":
		case t.state == queue.Active && (!t.by.pod.dead || t.due.After(now)):
		case t.due.After(now):
		default:
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *task) int { return strings.Compare(order[laneOf(a)]+a.id, order[laneOf(b)]+b.id) })
	return out
}

func laneOf(t *task) string {
	if t.isPlan {
		return tasks.QueueIntake
	}
	return plan.Lane(t.urgent)
}

// order is which of the queues is asked first.
var order = map[string]string{tasks.QueueIntake: "0", tasks.QueueUrgent: "1", tasks.QueueWarm: "2"}

// drop loses tasks; with nil all of them, as FLUSHALL does.
func (q *taskQueue) drop(one *task) {
	for _, t := range q.order {
		if one == nil || t == one {
			t.lost = true
			delete(q.tasks, t.id)
		}
	}
}

// finish is what asynq does with a handler's result.
func (q *taskQueue) finish(d *delivery, err error) {
	t := d.task
	if d.echo || t.lost || q.tasks[t.id] != t {
		return
	}
	t.by = nil
	switch {
	case err == nil || errors.Is(err, asynq.SkipRetry):
		t.state = ""
		return
	case fmt.Sprintf("%T", err) != "*workers.later":
		if t.retries++; t.retries > attempts {
			t.state = "" // archived
			return
		}
	}
	wait := time.Second
	if t.retries > 0 {
		wait = 5 * time.Second << (t.retries - 1)
	}
	t.state, t.due = queue.Retry, time.Now().Add(wait)
}

func (d *delivery) payload() []byte {
	text, err := json.Marshal(d.load)
	if err != nil {
		panic(err)
	}
	return text
}
