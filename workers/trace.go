package workers

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/tracing"
)

// Traced has the spans of tasks' work belong to those that enqueued them.
func Traced(t *tracing.Tracer, next asynq.Handler) asynq.Handler {
	if t == nil {
		return next
	}
	return asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		return next.ProcessTask(t.FromTask(ctx, task.Headers()), task)
	})
}

// unless is an error that is not one of what belongs to an ordinary evening.
func unless(err, ordinary error) error {
	if errors.Is(err, ordinary) {
		return nil
	}
	return err
}
