package workers

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
)

// noteAttempt records how an attempt spent its time, for the report; the report does without those that could not be recorded.
func (h *LoadHandler) noteAttempt(ctx context.Context, u ledger.Unit, outcome string, s load.Spent) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterward)
	defer cancel()
	err := h.Ledger.NoteAttempt(ctx, u, ledger.Attempt{Outcome: outcome, Read: s.Read, Write: s.Write, Held: s.Held, DB: s.DB, Rows: s.Rows, Bytes: s.Bytes})
	if err != nil {
		h.Log.DebugContext(ctx, "record attempt", "run", u.RunID, "unit", u.Unit, "error", err)
	}
}
