package queue

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/tasks"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const run = "0198c0ffee0198c0ffee0198c0ffee01"

func open(t *testing.T, cfg config.Redis) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Open(t.Context(), "queue", cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func fresh(t *testing.T) (*Queue, redis.UniversalClient) {
	t.Helper()
	client := open(t, config.Redis{URL: testenv.Redis(t).URL})
	return New(client), client
}

func load(unit int) LoadTask {
	return LoadTask{
		Load: tasks.Load{Run: run, Unit: unit, Epoch: 1, Shop: "1001", Dataset: "users"}, Queue: tasks.QueueWarm,
		ID: tasks.LoadID(time.Unix(1_700_000_000, 0), run, 1, unit, 1), MaxRetry: 3, Timeout: 1500 * time.Millisecond,
	}
}

// serve runs asynq's server on the queues until the test ends.
func serve(t *testing.T, client redis.UniversalClient, handler asynq.HandlerFunc) {
	t.Helper()
	queues := map[string]int{}
	for _, name := range tasks.Queues {
		queues[name] = 1
	}
	server := asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency: 4, Queues: queues, LogLevel: asynq.FatalLevel, TaskCheckInterval: 10 * time.Millisecond,
		ShutdownTimeout: time.Second, RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Hour },
	})
	require.NoError(t, server.Start(handler))
	t.Cleanup(server.Shutdown)
}

// everyState leaves one unit task in every state, and the queue paused.
func everyState(t *testing.T, q *Queue, client redis.UniversalClient) map[asynq.TaskState]LoadTask {
	t.Helper()
	states := map[asynq.TaskState]LoadTask{
		asynq.TaskStateActive: load(1), asynq.TaskStateRetry: load(2), asynq.TaskStateArchived: load(3),
		asynq.TaskStateCompleted: load(4), asynq.TaskStateScheduled: load(5), asynq.TaskStatePending: load(6),
	}
	running, finish := make(chan struct{}), make(chan struct{})
	serve(t, client, func(_ context.Context, task *asynq.Task) error {
		p, err := tasks.ParseLoad(task.Payload())
		switch {
		case err != nil:
			return err
		case p.Unit == 1:
			close(running)
			<-finish
		case p.Unit == 2:
			return errors.New("try again")
		case p.Unit == 3:
			return fmt.Errorf("no use: %w", asynq.SkipRetry)
		}
		return nil
	})
	t.Cleanup(func() { close(finish) })
	for state, task := range states {
		if state == asynq.TaskStateScheduled {
			task.At = time.Now().Add(time.Hour)
		}
		if state != asynq.TaskStatePending {
			task.Timeout = time.Hour
			require.NoError(t, q.EnqueueLoad(t.Context(), task))
		}
	}
	<-running
	reached := func(id string, state asynq.TaskState) bool {
		info, err := q.inspector.GetTaskInfo(tasks.QueueWarm, id)
		return err == nil && info.State == state
	}
	for state, task := range states {
		if state != asynq.TaskStatePending {
			require.Eventually(t, func() bool { return reached(task.ID, state) }, 20*time.Second, 5*time.Millisecond, state)
		}
	}
	require.NoError(t, q.inspector.PauseQueue(tasks.QueueWarm))
	require.NoError(t, q.EnqueueLoad(t.Context(), states[asynq.TaskStatePending]))
	return states
}
