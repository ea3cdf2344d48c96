package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/refresh"
)

// ChangesHandler takes in what is told of changed rows. What became of it is the task's result, which asynqmon shows.
type ChangesHandler struct {
	Intake *refresh.Intake
	Alerts *alert.Dispatcher
}

// ProcessTask implements asynq.Handler.
func (h *ChangesHandler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	answer, err := h.Intake.Accept(ctx, t.Payload(), "asynq", "asynq")
	if errors.Is(err, change.ErrMalformed) {
		return badTask(ctx, h.Alerts, t, err)
	}
	if load.Unavailable(err) {
		return &later{in: serverAway, why: err.Error()}
	}
	if err != nil {
		return &failed{in: soonAgain(ctx), err: err}
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, _ = t.ResultWriter().Write(text) // for people
	return nil
}

// soonAgain is when changes are tried again that could not be taken in: asynq's own delay begins at a quarter of a minute, and the
// cache would be wrong for as long. It doubles from a second to a minute, so that 25 attempts last for 20 minutes.
func soonAgain(ctx context.Context) time.Duration {
	n, _ := asynq.GetRetryCount(ctx) // 0 outside a task
	return min(time.Second<<min(n, 6), time.Minute)
}
