// Package queue owns prewarm's side of asynq: it enqueues tasks so that doing it twice changes nothing, takes them back,
// and tells what is in the queues. The ledger is the truth about the work; the queue only dispatches it and can be
// rebuilt at any time. The asynq servers that run tasks belong to package workers.
package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prewarm-go/prewarm/internal/tracing"
	"github.com/prewarm-go/prewarm/tasks"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	// retention is how long completed tasks can be seen in asynqmon: a whole evening, at some 750 B each.
	retention = 12 * time.Hour
	// enqueuers is how many tasks are sent at once: with 2.4 ms to Redis, 1 goroutine enqueued 389 tasks/s, 16 6,200.
	enqueuers = 16

	// planTime bounds the planning of one run: hops through 2 million rows take a second, or a minute beside a busy source.
	planTime = 5 * time.Minute
)

// Queue is the client and inspector of asynq. It is for any number of goroutines.
//
// asynq's inspector takes no context: Drop and Live are bounded by the timeouts of the connection instead.
type Queue struct {
	redis     redis.UniversalClient
	client    *asynq.Client
	inspector *asynq.Inspector
}

// New is a Queue on a Redis or Redis Cluster. The client's owner closes it.
func New(client redis.UniversalClient) *Queue {
	return &Queue{
		redis:     client,
		client:    asynq.NewClientFromRedisClient(client),
		inspector: asynq.NewInspectorFromRedisClient(client),
	}
}

// LoadTask is a unit's task.
type LoadTask struct {
	tasks.Load
	ID       string        // tasks.LoadID's
	Queue    string        // tasks.QueueWarm or QueueUrgent
	At       time.Time     // not before; past or zero: now
	MaxRetry int           // how often asynq tries again after the first attempt
	Timeout  time.Duration // of one attempt; rounded up to whole seconds, all that asynq knows. Zero is asynq's 30 minutes
}

// EnqueueLoad enqueues a unit's task. If there is a task of that id already, whatever its state, nothing is done.
func (q *Queue) EnqueueLoad(ctx context.Context, t LoadTask) error {
	task, err := tasks.NewLoad(t.Load)
	if err != nil {
		return err
	}
	_, err = q.client.EnqueueContext(ctx, within(ctx, task), asynq.Queue(t.Queue), asynq.TaskID(t.ID), asynq.ProcessAt(t.At),
		asynq.MaxRetry(t.MaxRetry), asynq.Timeout(wholeSeconds(t.Timeout)), asynq.Retention(retention))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue task %s of queue %s: %w", t.ID, t.Queue, err)
	}
	return nil
}

// within has a task without options of its own carry the context's span.
func within(ctx context.Context, task *asynq.Task) *asynq.Task {
	if headers := tracing.Headers(ctx); headers != nil {
		return asynq.NewTaskWithHeaders(task.Type(), task.Payload(), headers)
	}
	return task
}

// EnqueueLoads enqueues many, in no order. After an error some are enqueued and some are not; doing it all again is safe.
func (q *Queue) EnqueueLoads(ctx context.Context, loads []LoadTask) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(enqueuers)
	for _, t := range loads {
		g.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return q.EnqueueLoad(ctx, t)
		})
	}
	return g.Wait()
}

// wholeSeconds rounds up: asynq cuts, and takes 500 ms for no timeout.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// PlanPrefix begins the ids of all tasks that plan a run.
const PlanPrefix = "plan."

// PlanID is the id of the task that plans a run.
func PlanID(p tasks.Plan) string { return fmt.Sprintf(PlanPrefix+"%s.%d", p.Run, p.Epoch) }

// EnqueuePlanAgain enqueues the planning of a run under an id of its own, beside a task that looks active and may be lost.
func (q *Queue) EnqueuePlanAgain(ctx context.Context, p tasks.Plan, maxRetry int) error {
	task, err := tasks.NewPlan(p)
	if err != nil {
		return err
	}
	id := PlanID(p) + "." + rand.Text()
	if _, err := q.client.EnqueueContext(ctx, within(ctx, task), asynq.Queue(tasks.QueueIntake), asynq.TaskID(id),
		asynq.MaxRetry(maxRetry), asynq.Timeout(planTime), asynq.Retention(retention)); err != nil {
		return fmt.Errorf("enqueue task %s: %w", id, err)
	}
	return nil
}

// againOf is the header of a copy that names the task it is a copy of.
const againOf = "prewarm-again-of"

// Delivery is which task a delivery is of, in the hands of its handler, and whether the queue has delivered it before: its pod was cut off
// before it could say that it was done, or it had failed. asynq does not tell its handlers.
func (q *Queue) Delivery(ctx context.Context, t *asynq.Task) (id string, again bool, err error) {
	if id = t.Headers()[againOf]; id != "" {
		return id, true, nil
	}
	id, _ = asynq.GetTaskID(ctx)
	queue, _ := asynq.GetQueueName(ctx)
	info, err := q.inspector.GetTaskInfo(queue, id)
	if gone(err) {
		return id, false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("look up task %s of queue %s: %w", id, queue, err)
	}
	return id, !info.LastFailedAt.IsZero(), nil
}

// Copy enqueues what a task says once more, under an id of its own, to be run now: it is the same task to Delivery. A task that is gone is no error.
func (q *Queue) Copy(ctx context.Context, queue, id string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	info, err := q.inspector.GetTaskInfo(queue, id)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up task %s of queue %s: %w", id, queue, err)
	}
	headers := map[string]string{againOf: id}
	maps.Copy(headers, info.Headers) // a copy's copy is of the same task
	if _, err := q.client.EnqueueContext(ctx, asynq.NewTaskWithHeaders(info.Type, info.Payload, headers), asynq.Queue(queue), asynq.TaskID(rand.Text()),
		asynq.MaxRetry(info.MaxRetry), asynq.Timeout(info.Timeout), asynq.Retention(info.Retention)); err != nil {
		return fmt.Errorf("enqueue task %s again: %w", id, err)
	}
	return nil
}

// EnqueuePlan enqueues the task that plans a run, unless it is in the queue and will run or runs. One that is completed
// or archived is replaced: whoever asks knows from the ledger that the plan is not complete. maxRetry is how often asynq
// tries again after the first attempt.
func (q *Queue) EnqueuePlan(ctx context.Context, p tasks.Plan, maxRetry int) error {
	task, err := tasks.NewPlan(p)
	if err != nil {
		return err
	}
	id := PlanID(p)
	for try := 0; ; try++ {
		_, err = q.client.EnqueueContext(ctx, within(ctx, task), asynq.Queue(tasks.QueueIntake), asynq.TaskID(id),
			asynq.MaxRetry(maxRetry), asynq.Timeout(planTime), asynq.Retention(retention))
		if !errors.Is(err, asynq.ErrTaskIDConflict) || try == 1 {
			break // twice taken: somebody else enqueued it between the two
		}
		if live, err := q.Live(ctx, tasks.QueueIntake, id); err != nil || live {
			return err
		}
		if err := q.Drop(ctx, tasks.QueueIntake, id); err != nil {
			return err
		}
	}
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue task %s: %w", id, err)
	}
	return nil
}

// EnqueueRequest announces broadcasts through the queue, as an upstream does, and returns the task's id.
func (q *Queue) EnqueueRequest(ctx context.Context, r tasks.Request) (id string, err error) {
	task, err := tasks.NewRequest(r)
	if err != nil {
		return "", err
	}
	id = rand.Text() // asynq's own ids have a "-", where asynqmon cuts them
	if _, err := q.client.EnqueueContext(ctx, task, asynq.TaskID(id)); err != nil {
		return "", fmt.Errorf("enqueue request: %w", err)
	}
	return id, nil
}

// SwitchChannel is where pods hear that a switch was turned.
const SwitchChannel = "prewarm:switches"

// Nudge tells all pods to look at the switches and at what they have in hand now. They do so by themselves too, a little
// later, so an error needs no repeat.
func (q *Queue) Nudge(ctx context.Context) error {
	if err := q.redis.Publish(ctx, SwitchChannel, "").Err(); err != nil {
		return fmt.Errorf("tell the pods of a switch: %w", err)
	}
	return nil
}

// Ensure makes every queue known to asynq's inspector, asynqmon and metrics: a client of asynq registers a queue once in
// its life, so after a loss of Redis' data the queues work and cannot be seen. Call it now and then.
func (q *Queue) Ensure(ctx context.Context) error {
	names := make([]any, len(tasks.Queues))
	for i, name := range tasks.Queues {
		names[i] = name
	}
	if err := q.redis.SAdd(ctx, queuesKey, names...).Err(); err != nil {
		return fmt.Errorf("register queues: %w", err)
	}
	return nil
}
