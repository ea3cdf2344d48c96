package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

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
		return err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, _ = t.ResultWriter().Write(text) // for people
	return nil
}
