package workers

import (
	"context"
	"fmt"
	"strings"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/tasks"
)

// IntakeMux routes what the intake server gets.
func IntakeMux(request *RequestHandler, changes *ChangesHandler, plan *PlanHandler, alerts *alert.Dispatcher) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		switch t.Type() {
		case tasks.TypeRequest:
			return request.ProcessTask(ctx, t)
		case tasks.TypeChanges:
			return changes.ProcessTask(ctx, t)
		case tasks.TypePlan:
			return plan.ProcessTask(ctx, t)
		}
		return badTask(ctx, alerts, t, fmt.Errorf("task type %q is not known; send %q or %q", t.Type(), tasks.TypeRequest, tasks.TypeChanges))
	})
}

// LoadMux routes what a slot gets.
func LoadMux(load *LoadHandler, alerts *alert.Dispatcher) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		if strings.HasPrefix(t.Type(), tasks.LoadPrefix) {
			return load.ProcessTask(ctx, t)
		}
		return badTask(ctx, alerts, t, fmt.Errorf("task type %q does not belong into this queue", t.Type()))
	})
}

// badTask archives a task that nobody can work on, with the reason, and says so.
func badTask(ctx context.Context, alerts *alert.Dispatcher, t *asynq.Task, err error) error {
	id, _ := asynq.GetTaskID(ctx)
	alerts.Raise(ctx, alert.Alert{
		Name: alert.BadTask, Severity: alert.Warning, About: "task " + id,
		Summary: fmt.Sprintf("task %s was archived: %v", id, err),
		Remedy:  "look at its payload in asynqmon, mend the sender, and delete the task",
	})
	return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
}
