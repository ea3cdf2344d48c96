package queue

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

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
		require.Equal(t, headers, task.Headers)
		require.Equal(t, "{}", string(task.Payload))
	}
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
