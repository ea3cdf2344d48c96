package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prewarm-go/prewarm/tasks"
	"github.com/redis/go-redis/v9"
)

// State is where a task that will run, or runs, stands.
type State string

// States of live tasks.
const (
	Pending   State = "pending"   // to be run now
	Scheduled State = "scheduled" // to be run at its time
	Retry     State = "retry"     // to be run again
	Active    State = "active"    // a server has it
)

// MaxLive is the most tasks of one queue that LiveTasks reads: some 20 MB, and 50 ms of Redis' time. It stands for
// 2 billion rows in units of 10,000.
const MaxLive = 200_000

// ErrTooMany: the queue holds more than MaxLive tasks. Ask for them one by one with Live.
var ErrTooMany = errors.New("too many tasks in the queue to list")

// queuesKey is the set of the queues that asynq knows.
const queuesKey = "asynq:queues"

// key is where asynq 0.26 keeps a queue's tasks of one state: lists for pending and active, sorted sets for the others.
// They are read without its inspector, which reads every task's payload, page by page while tasks move between states,
// and fails for a whole queue when one task's body is lost.
func key(queue, part string) string { return "asynq:{" + queue + "}:" + part }

// Drop deletes a task in whatever state it can be deleted. One that is not there is fine; one that is active is left to
// its handler, which asks the ledger.
func (q *Queue) Drop(ctx context.Context, queue, id string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	err := q.inspector.DeleteTask(queue, id)
	if err == nil || gone(err) {
		return nil
	}
	// What asynq says of an active task has no sentinel; the task's state tells. It may have moved meanwhile.
	info, infoErr := q.inspector.GetTaskInfo(queue, id)
	if infoErr == nil && info.State == asynq.TaskStateActive || gone(infoErr) {
		return nil
	}
	return fmt.Errorf("delete task %s of queue %s: %w", id, queue, err)
}

func gone(err error) bool {
	return errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound)
}

// Live says whether a task will run or runs: it is pending, scheduled, waiting for its retry, or active.
func (q *Queue) Live(ctx context.Context, queue, id string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, context.Cause(ctx)
	}
	info, err := q.inspector.GetTaskInfo(queue, id)
	switch {
	case gone(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up task %s of queue %s: %w", id, queue, err)
	}
	switch info.State {
	case asynq.TaskStatePending, asynq.TaskStateScheduled, asynq.TaskStateRetry, asynq.TaskStateActive:
		return true, nil
	default:
		return false, nil
	}
}

// LiveTask is where a live task stands, and when it is to run: zero if that is now. The time is by the clock of the pod
// that put it there.
type LiveTask struct {
	State State
	At    time.Time
}

// LiveTasks are all live tasks of a queue by their ids, at one moment: a task that moves from one state to another is
// never missed. ErrTooMany if there are more than MaxLive.
func (q *Queue) LiveTasks(ctx context.Context, queue string) (map[string]LiveTask, error) {
	tx := q.redis.TxPipeline()
	const last = MaxLive // inclusive, so one more than may be
	later := map[State]*redis.ZSliceCmd{
		Scheduled: tx.ZRangeWithScores(ctx, key(queue, "scheduled"), 0, last),
		Retry:     tx.ZRangeWithScores(ctx, key(queue, "retry"), 0, last),
	}
	now := map[State]*redis.StringSliceCmd{
		Pending: tx.LRange(ctx, key(queue, "pending"), 0, last),
		Active:  tx.LRange(ctx, key(queue, "active"), 0, last),
	}
	if _, err := tx.Exec(ctx); err != nil {
		return nil, fmt.Errorf("list tasks of queue %s: %w", queue, err)
	}
	live := map[string]LiveTask{}
	for state, reply := range later {
		for _, z := range reply.Val() {
			if id, ok := z.Member.(string); ok {
				live[id] = LiveTask{state, time.Unix(int64(z.Score), 0)}
			}
		}
	}
	for state, reply := range now {
		for _, id := range reply.Val() {
			live[id] = LiveTask{State: state}
		}
	}
	if len(live) > MaxLive {
		return nil, fmt.Errorf("queue %s: %w: more than %d", queue, ErrTooMany, MaxLive)
	}
	return live, nil
}

// Soon is within what a scheduled task is work that is about to come: a new pod takes a minute or two to be of use.
const Soon = 5 * time.Minute

// Depth is how many tasks a queue holds, by state.
type Depth struct {
	Queue                             string
	Pending, Scheduled, Retry, Active int64
	DueSoon                           int64         // of the scheduled, those that are due within Soon
	Archived, Completed               int64         // will not run
	Paused                            bool          // by a person, in asynqmon
	Latency                           time.Duration // how long the oldest pending task has waited; 0 if asynq does not say
}

// Depths are the depths of all queues. One that nothing was ever enqueued to is empty.
func (q *Queue) Depths(ctx context.Context) ([]Depth, error) {
	depths := make([]Depth, len(tasks.Queues))
	for i, name := range tasks.Queues {
		d, err := q.depth(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("depth of queue %s: %w", name, err)
		}
		depths[i] = d
	}
	return depths, nil
}

func (q *Queue) depth(ctx context.Context, queue string) (Depth, error) {
	pipe := q.redis.Pipeline()
	pending, active := pipe.LLen(ctx, key(queue, "pending")), pipe.LLen(ctx, key(queue, "active"))
	oldest := pipe.LRange(ctx, key(queue, "pending"), -1, -1)
	scheduled, retry := pipe.ZCard(ctx, key(queue, "scheduled")), pipe.ZCard(ctx, key(queue, "retry"))
	archived, completed := pipe.ZCard(ctx, key(queue, "archived")), pipe.ZCard(ctx, key(queue, "completed"))
	soon := pipe.ZCount(ctx, key(queue, "scheduled"), "-inf", strconv.FormatInt(time.Now().Add(Soon).Unix(), 10))
	paused := pipe.Exists(ctx, key(queue, "paused"))
	if _, err := pipe.Exec(ctx); err != nil {
		return Depth{}, err
	}
	d := Depth{
		Queue: queue, Pending: pending.Val(), Scheduled: scheduled.Val(), DueSoon: soon.Val(), Retry: retry.Val(), Active: active.Val(),
		Archived: archived.Val(), Completed: completed.Val(), Paused: paused.Val() > 0,
	}
	if len(oldest.Val()) == 0 {
		return d, nil
	}
	since, err := q.redis.HGet(ctx, key(queue, "t:"+oldest.Val()[0]), "pending_since").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return Depth{}, err
	}
	if ns, err := strconv.ParseInt(since, 10, 64); err == nil {
		d.Latency = max(0, time.Since(time.Unix(0, ns)))
	}
	return d, nil
}
