package queue

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/tasks"
	"github.com/stretchr/testify/require"
)

func TestAUnitsTaskIsEnqueuedOnceWithItsOptions(t *testing.T) {
	t.Parallel()
	q, _ := fresh(t)
	task := load(7)
	task.At = time.Now().Add(time.Hour).Truncate(time.Second)
	for range 2 {
		require.NoError(t, q.EnqueueLoad(t.Context(), task))
	}
	list, err := q.inspector.ListScheduledTasks(tasks.QueueWarm)
	require.NoError(t, err)
	require.Len(t, list, 1)
	info := list[0]
	require.Equal(t, task.ID, info.ID)
	require.Equal(t, "load:users", info.Type)
	require.Equal(t, 3, info.MaxRetry)
	require.Equal(t, 2*time.Second, info.Timeout, "1.5 s, rounded up")
	require.Equal(t, retention, info.Retention)
	require.True(t, task.At.Equal(info.NextProcessAt))
	require.True(t, info.Deadline.IsZero(), "deadlines live in the ledger")
	parsed, err := tasks.ParseLoad(info.Payload)
	require.NoError(t, err)
	require.Equal(t, task.Load, parsed)
}

func TestTimeoutsAreWholeSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]time.Duration{
		0: 0, 1: time.Second, 500 * time.Millisecond: time.Second, time.Second: time.Second, time.Second + 1: 2 * time.Second,
	} {
		require.Equal(t, want, wholeSeconds(d), d)
	}
}

func TestManyTasksAreEnqueuedAndAgainChangesNothing(t *testing.T) {
	t.Parallel()
	q, _ := fresh(t)
	var many []LoadTask
	for unit := range 500 {
		many = append(many, load(unit))
	}
	require.NoError(t, q.EnqueueLoads(t.Context(), many[:300]))
	require.NoError(t, q.EnqueueLoads(t.Context(), many))
	live, err := q.LiveTasks(t.Context(), tasks.QueueWarm)
	require.NoError(t, err)
	require.Len(t, live, 500)
	require.NoError(t, q.EnqueueLoads(t.Context(), nil))
}

func TestATaskThatCannotBeEnqueuedIsAnError(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	q := New(open(t, config.Redis{URL: server.URL}))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopping")
	cancel(why)
	require.Error(t, q.EnqueueLoads(ctx, []LoadTask{load(1)}))
	server.Kill()
	many := make([]LoadTask, 100)
	for i := range many {
		many[i] = load(i)
	}
	start := time.Now()
	require.ErrorContains(t, q.EnqueueLoads(t.Context(), many), "enqueue task")
	require.Less(t, time.Since(start), 10*time.Second, "the first error stops the others")
}

func TestAFrozenRedisDoesNotHoldAnEnqueueBeyondItsContext(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	q := New(open(t, config.Redis{URL: server.URL}))
	require.NoError(t, q.EnqueueLoad(t.Context(), load(1)))
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	require.Error(t, q.EnqueueLoads(ctx, []LoadTask{load(2), load(3)}))
	require.Less(t, time.Since(start), time.Second)
	server.Thaw()
	require.NoError(t, q.EnqueueLoads(t.Context(), []LoadTask{load(2), load(3)}), "what arrived after all is no conflict")
}

func TestAPlanIsEnqueuedOnceWhileItLivesAndAgainAfterwards(t *testing.T) {
	t.Parallel()
	q, client := fresh(t)
	plan := tasks.Plan{Run: run, Epoch: 2}
	for range 2 {
		require.NoError(t, q.EnqueuePlan(t.Context(), plan, 4))
	}
	list, err := q.inspector.ListPendingTasks(tasks.QueueIntake)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, tasks.TypePlan, list[0].Type)
	require.Equal(t, 4, list[0].MaxRetry)
	require.Equal(t, planTime, list[0].Timeout)

	results := make(chan error, 2)
	ran := make(chan struct{}, 2)
	serve(t, client, func(context.Context, *asynq.Task) error {
		ran <- struct{}{}
		return <-results
	})
	<-ran
	require.NoError(t, q.EnqueuePlan(t.Context(), plan, 4), "active: it is being planned")
	state := func(want asynq.TaskState) func() bool {
		return func() bool {
			info, err := q.inspector.GetTaskInfo(tasks.QueueIntake, PlanID(plan))
			return err == nil && info.State == want
		}
	}
	results <- asynq.SkipRetry
	require.Eventually(t, state(asynq.TaskStateArchived), 20*time.Second, 5*time.Millisecond)
	require.Empty(t, ran)
	require.NoError(t, q.EnqueuePlan(t.Context(), plan, 4), "archived: planned again")
	<-ran
	results <- nil
	require.Eventually(t, state(asynq.TaskStateCompleted), 20*time.Second, 5*time.Millisecond)
	require.NoError(t, q.EnqueuePlan(t.Context(), plan, 4), "completed, and not planned says who asks")
	<-ran
	results <- nil
}

func TestARequestIsWhatAnUpstreamSends(t *testing.T) {
	t.Parallel()
	q, _ := fresh(t)
	want := tasks.Request{RequestID: "r-1", Broadcasts: []tasks.Broadcast{{ShopID: "1001", BroadcastID: "b-1"}}}
	id, err := q.EnqueueRequest(t.Context(), want)
	require.NoError(t, err)
	require.NotContains(t, id, "-")
	info, err := q.inspector.GetTaskInfo(tasks.QueueIntake, id)
	require.NoError(t, err)
	require.Equal(t, tasks.TypeRequest, info.Type)
	var got tasks.Request
	require.NoError(t, json.Unmarshal(info.Payload, &got))
	require.Equal(t, want, got)
}

func TestEnsureMakesQueuesVisibleAgainAfterALossOfData(t *testing.T) {
	t.Parallel()
	q, client := fresh(t)
	require.NoError(t, q.EnqueueLoad(t.Context(), load(1)))
	require.NoError(t, client.FlushDB(t.Context()).Err())
	require.NoError(t, q.EnqueueLoad(t.Context(), load(1)))
	queues, err := q.inspector.Queues()
	require.NoError(t, err)
	require.Empty(t, queues, "asynq does this by itself now: Ensure can go")
	require.NoError(t, q.Ensure(t.Context()))
	queues, err = q.inspector.Queues()
	require.NoError(t, err)
	require.ElementsMatch(t, tasks.Queues, queues)
	info, err := q.inspector.GetQueueInfo(tasks.QueueWarm)
	require.NoError(t, err)
	require.Equal(t, 1, info.Pending)
}
