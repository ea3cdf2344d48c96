package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/internal/tracing"
	"github.com/prewarm-go/prewarm/tasks"
)

// RequestHandler works on announcements. The outcomes are the task's result, which asynqmon shows.
type RequestHandler struct {
	Intake *intake.Intake
	Queue  *queue.Queue
	Alerts *alert.Dispatcher
}

// ProcessTask implements asynq.Handler.
func (h *RequestHandler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	id, again, err := h.Queue.Delivery(ctx, t)
	if err != nil {
		return &later{in: serverAway, why: err.Error()}
	}
	answer, err := h.Intake.Accept(ledger.OfTask(ctx, id, again), t.Payload(), "asynq")
	if errors.Is(err, intake.ErrMalformed) || errors.Is(err, intake.ErrTooLarge) {
		return badTask(ctx, h.Alerts, t, err)
	}
	if load.Unavailable(err) {
		return &later{in: serverAway, why: err.Error()}
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	// The result is for people: a request that was answered must not be answered again because it could not be shown.
	_, _ = t.ResultWriter().Write(text)
	return nil
}

// PlanHandler works on plans.
type PlanHandler struct {
	Planner *plan.Planner
	Ledger  PlanLedger
	Retry   RetryPolicy
	Alerts  *alert.Dispatcher
	Hold    func() string // why none is to be begun now, or ""
}

// PlanLedger is where a plan that cannot be made is recorded.
type PlanLedger interface {
	FailPlan(ctx context.Context, run string, epoch int, msg string) error
}

// ProcessTask implements asynq.Handler.
func (h *PlanHandler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	p, err := tasks.ParsePlan(t.Payload())
	if err != nil {
		return badTask(ctx, h.Alerts, t, err)
	}
	if why := h.Hold(); why != "" {
		return &later{in: serverAway, why: why}
	}
	ctx, span := tracing.Start(ctx, "plan", tracing.Text("run", p.Run), tracing.Count("epoch", p.Epoch))
	err = h.Planner.Plan(ctx, p.Run, p.Epoch)
	span.End(err)
	if err == nil {
		return nil
	}
	if errors.Is(err, plan.ErrHeld) {
		return &later{in: serverAway, why: err.Error()}
	}
	if load.Unavailable(err) {
		h.Alerts.Raise(ctx, unavailable(err))
		return &later{in: serverAway, why: err.Error()}
	}
	tried, _ := asynq.GetRetryCount(ctx)
	if !h.Retry.over(err, tried+1) {
		return &failed{in: backoff(h.Retry.Backoff, tried+1), err: err}
	}
	if e := h.Ledger.FailPlan(ctx, p.Run, p.Epoch, "plan: "+err.Error()); e != nil {
		return errors.Join(err, e)
	}
	h.Alerts.Raise(ctx, alert.Alert{
		Name: alert.RunFailed, Severity: alert.Critical, Run: p.Run,
		Summary: fmt.Sprintf("run %s could not be planned", p.Run), Why: err.Error(),
		Remedy: fmt.Sprintf("mend the cause, then `prewarm retry %s`", p.Run),
	})
	return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
}
