package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/tracing"
	"github.com/prewarm-go/prewarm/tasks"
)

func TestACopyOfATaskCarriesItsHeaders(t *testing.T) {
	t.Parallel()
	q, _ := fresh(t)
	headers := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "sender": "crm"}
	_, err := q.client.EnqueueContext(t.Context(), asynq.NewTaskWithHeaders(tasks.TypeRequest, []byte("{}"), headers), asynq.Queue(tasks.QueueIntake), asynq.TaskID("first"))
	require.NoError(t, err)
	require.NoError(t, q.Copy(t.Context(), tasks.QueueIntake, "first"))
	list, err := q.inspector.ListPendingTasks(tasks.QueueIntake)
	require.NoError(t, err)
	require.Len(t, list, 2)
	for _, task := range list {
		want := maps.Clone(headers)
		if task.ID != "first" {
			want[againOf] = "first"
		}
		require.Equal(t, want, task.Headers)
		require.Equal(t, "{}", string(task.Payload))
	}
}

func TestADeliveryKnowsItsTaskAndWhetherItIsTheFirst(t *testing.T) {
	t.Parallel()
	q, client := fresh(t)
	queue := "q" + rand.Text()
	type delivery struct {
		id    string
		again bool
	}
	seen := make(chan delivery, 10)
	server := asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency: 1, Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel, DelayedTaskCheckInterval: 100 * time.Millisecond,
		TaskCheckInterval: 100 * time.Millisecond,
		IsFailure:         func(error) bool { return false }, // as for a pod that died: the retries are not counted
		RetryDelayFunc:    func(int, error, *asynq.Task) time.Duration { return 0 },
	})
	require.NoError(t, server.Start(asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		id, again, err := q.Delivery(ctx, task)
		if err != nil {
			return err
		}
		seen <- delivery{id, again}
		if !again {
			return errors.New("cut off")
		}
		return nil
	})))
	defer server.Shutdown()
	_, err := q.client.EnqueueContext(t.Context(), asynq.NewTask(tasks.TypeRequest, []byte("{}")), asynq.Queue(queue), asynq.TaskID("first"), asynq.Retention(time.Hour))
	require.NoError(t, err)
	require.Equal(t, delivery{"first", false}, <-seen)
	require.Equal(t, delivery{"first", true}, <-seen)
	require.Eventually(t, func() bool { done, _ := q.inspector.ListCompletedTasks(queue); return len(done) == 1 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, q.Copy(t.Context(), queue, "first"))
	require.Equal(t, delivery{"first", true}, <-seen)
}

func TestTasksCarryTheSpanThatTheyWereMadeIn(t *testing.T) {
	t.Parallel()
	q, _ := fresh(t)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(collector.Close)
	tracer, err := tracing.New(t.Context(), config.Tracing{Endpoint: collector.URL, Sample: 1}, "pod", "v", slog.Default())
	require.NoError(t, err)
	ctx, span := tracing.Start(tracer.FromTask(t.Context(), nil), "plan")
	require.NoError(t, q.EnqueuePlan(ctx, tasks.Plan{Run: run, Epoch: 1}, 1))
	require.NoError(t, q.EnqueuePlanAgain(ctx, tasks.Plan{Run: run, Epoch: 1}, 1))
	unit := load(1)
	require.NoError(t, q.EnqueueLoad(ctx, unit))
	list, err := q.inspector.ListPendingTasks(tasks.QueueIntake)
	require.NoError(t, err)
	require.Len(t, list, 2)
	info, err := q.inspector.GetTaskInfo(unit.Queue, unit.ID)
	require.NoError(t, err)
	for _, task := range append(list, info) {
		require.Equal(t, tracing.Headers(ctx), task.Headers)
	}
	span.End(nil)
	require.NoError(t, tracer.Close())
}
