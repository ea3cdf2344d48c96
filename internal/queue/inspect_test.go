package queue

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/tasks"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestTasksInEveryState(t *testing.T) {
	t.Parallel()
	q, client := fresh(t)
	ctx := t.Context()
	states := everyState(t, q, client)

	live, err := q.LiveTasks(ctx, tasks.QueueWarm)
	require.NoError(t, err)
	want := map[string]State{}
	for state, name := range map[asynq.TaskState]State{
		asynq.TaskStateActive: Active, asynq.TaskStateRetry: Retry, asynq.TaskStateScheduled: Scheduled, asynq.TaskStatePending: Pending,
	} {
		want[states[state].ID] = name
	}
	require.Len(t, live, len(want))
	for id, state := range want {
		require.Equal(t, state, live[id].State, id)
		require.Equal(t, state == Retry || state == Scheduled, !live[id].At.IsZero(), id)
	}

	for state, task := range states {
		got, err := q.Live(ctx, tasks.QueueWarm, task.ID)
		require.NoError(t, err, state)
		require.Equal(t, state != asynq.TaskStateArchived && state != asynq.TaskStateCompleted, got, state)
	}

	depths, err := q.Depths(ctx)
	require.NoError(t, err)
	require.Len(t, depths, len(tasks.Queues))
	for i, d := range depths {
		require.Equal(t, tasks.Queues[i], d.Queue)
		if d.Queue == tasks.QueueWarm {
			require.Positive(t, d.Latency)
			require.Less(t, d.Latency, time.Minute)
			d.Latency = 0
			require.Equal(t, Depth{
				Queue: tasks.QueueWarm, Pending: 1, Scheduled: 1, Retry: 1, Active: 1, Archived: 1, Completed: 1, Paused: true,
			}, d)
		} else {
			require.Equal(t, Depth{Queue: d.Queue}, d)
		}
	}

	for state, task := range states {
		require.NoError(t, q.Drop(ctx, tasks.QueueWarm, task.ID), state)
		require.NoError(t, q.Drop(ctx, tasks.QueueWarm, task.ID), "a second time: %s", state)
		_, err := q.inspector.GetTaskInfo(tasks.QueueWarm, task.ID)
		if state == asynq.TaskStateActive {
			require.NoError(t, err, "left to its handler")
		} else {
			require.ErrorIs(t, err, asynq.ErrTaskNotFound, state)
		}
	}
}

func TestAQueueThatIsNotThereYetIsEmpty(t *testing.T) {
	t.Parallel()
	q, _ := fresh(t)
	ctx := t.Context()
	live, err := q.Live(ctx, tasks.QueueUrgent, "any")
	require.NoError(t, err)
	require.False(t, live)
	require.NoError(t, q.Drop(ctx, tasks.QueueUrgent, "any"))
	ids, err := q.LiveTasks(ctx, tasks.QueueUrgent)
	require.NoError(t, err)
	require.Empty(t, ids)
	depths, err := q.Depths(ctx)
	require.NoError(t, err)
	require.Len(t, depths, len(tasks.Queues))
}

func TestOneLostTaskBodyDoesNotHideTheDepths(t *testing.T) {
	t.Parallel()
	q, client := fresh(t)
	require.NoError(t, q.EnqueueLoads(t.Context(), []LoadTask{load(1), load(2)}))
	for _, task := range []LoadTask{load(1), load(2)} {
		require.NoError(t, client.Del(t.Context(), key(tasks.QueueWarm, "t:"+task.ID)).Err())
	}
	_, err := q.inspector.GetQueueInfo(tasks.QueueWarm)
	require.Error(t, err, "asynq's own fails")
	depths, err := q.Depths(t.Context())
	require.NoError(t, err)
	require.Contains(t, depths, Depth{Queue: tasks.QueueWarm, Pending: 2})
}

func TestAQueueTooLongToListSaysSo(t *testing.T) {
	t.Parallel()
	q, client := fresh(t)
	for from := 0; from < MaxLive; from += 2000 { // in pieces: other tests use this server too
		var some []redis.Z
		for i := range 2000 {
			some = append(some, redis.Z{Score: float64(from + i), Member: fmt.Sprint("task.", from+i)})
		}
		require.NoError(t, client.ZAdd(t.Context(), key(tasks.QueueWarm, "scheduled"), some...).Err())
	}
	live, err := q.LiveTasks(t.Context(), tasks.QueueWarm)
	require.NoError(t, err)
	require.Len(t, live, MaxLive)
	require.NoError(t, q.EnqueueLoad(t.Context(), load(1)))
	_, err = q.LiveTasks(t.Context(), tasks.QueueWarm)
	require.ErrorIs(t, err, ErrTooMany)
	found, err := q.Live(t.Context(), tasks.QueueWarm, load(1).ID)
	require.NoError(t, err)
	require.True(t, found)
}

func TestALostRedisIsAnErrorAndNotAnEmptyQueue(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	q := New(open(t, config.Redis{URL: server.URL}))
	require.NoError(t, q.EnqueueLoad(t.Context(), load(1)))
	server.Kill()
	ctx := t.Context()
	_, err := q.Live(ctx, tasks.QueueWarm, load(1).ID)
	require.Error(t, err)
	_, err = q.LiveTasks(ctx, tasks.QueueWarm)
	require.Error(t, err)
	_, err = q.Depths(ctx)
	require.Error(t, err)
	require.Error(t, q.Drop(ctx, tasks.QueueWarm, load(1).ID))
	require.Error(t, q.Ensure(ctx))
}

func TestTheQueueWorksOnRedisCluster(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, bus, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	node := testenv.OwnRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus)
	direct := redis.NewClient(&redis.Options{Addr: node.Addr})
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	require.NoError(t, direct.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	client := open(t, config.Redis{URL: "redis://" + node.Addr, Cluster: true})
	require.Eventually(t, func() bool { return client.Set(t.Context(), "up", "1", 0).Err() == nil }, 20*time.Second, 20*time.Millisecond)

	q := New(client)
	require.NoError(t, q.EnqueueLoads(t.Context(), []LoadTask{load(1), load(2)}))
	require.NoError(t, q.Ensure(t.Context()))
	live, err := q.LiveTasks(t.Context(), tasks.QueueWarm)
	require.NoError(t, err)
	require.Len(t, live, 2)
	depths, err := q.Depths(t.Context())
	require.NoError(t, err)
	require.Len(t, depths, len(tasks.Queues))
	require.NoError(t, q.Drop(t.Context(), tasks.QueueWarm, load(1).ID))
	found, err := q.Live(t.Context(), tasks.QueueWarm, load(1).ID)
	require.NoError(t, err)
	require.False(t, found)
}

func TestWhatIsDueSoonIsTold(t *testing.T) {
	t.Parallel()
	q, _ := fresh(t)
	now := time.Now()
	for i, in := range []time.Duration{time.Minute, Soon - time.Minute, Soon + time.Minute, time.Hour} {
		require.NoError(t, q.EnqueueLoad(t.Context(), LoadTask{Load: tasks.Load{Run: "r", Unit: i, Epoch: 1, Dataset: "users"},
			ID: tasks.LoadID(now, "r", 1, i, 0), Queue: tasks.QueueWarm, At: now.Add(in)}))
	}
	depths, err := q.Depths(t.Context())
	require.NoError(t, err)
	require.Contains(t, depths, Depth{Queue: tasks.QueueWarm, Scheduled: 4, DueSoon: 2})
}
