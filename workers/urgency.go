package workers

import (
	"context"
	"errors"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/tracing"
)

const (
	// dueEvery is how old a pod's list of due runs may be: the list costs the ledger a millisecond or two, a unit takes a
	// slot a tenth of a second or more.
	dueEvery = 500 * time.Millisecond
	// dueMost is how many runs the list has. Slots of all pods begin with its first.
	dueMost = 16
	// dueUnits is how many units of one run are tried for.
	dueUnits = 16
	// dueApart is among how many of the first slots choose that come at the same moment: nearly in order, and seldom the same.
	dueApart = 4
)

// dueRuns are the runs that were due at a time of the pod's clock, in the order of their urgency.
type dueRuns struct {
	at   time.Time
	runs []ledger.DueRun
}

// giveWay works on a unit that is more urgent than the task's, if there is one. asynq runs tasks in the order in which they
// came to be due, so a task is only a permit to work: what is worked on is decided here. The task goes back to the queue
// afterwards, for its own unit, and the other unit's task finds it done.
func (h *LoadHandler) giveWay(ctx context.Context, t *ledger.Task) error {
	runs, err := h.dueBefore(ctx, t)
	if err != nil {
		return h.unavailable(err)
	}
	for _, r := range runs {
		if r.ID == t.Run.ID { // the list is older than its new times
			continue
		}
		units, err := h.Ledger.Untried(ctx, r.ID, r.Epoch, dueUnits)
		if err != nil {
			return h.unavailable(err)
		}
		for i := range units {
			unit := units[(i+t.Unit.Unit%dueApart)%len(units)]
			other, err := h.Ledger.Task(ctx, r.ID, r.Epoch, unit)
			if errors.Is(err, ledger.ErrNotFound) {
				continue
			}
			if err != nil {
				return h.unavailable(err)
			}
			if pointless(&other, r.Epoch, other.Unit.TaskSeq) != "" {
				continue
			}
			err = h.hold(tracing.Apart(ctx), other.Run, other.Unit) // whose plan is another's
			if errors.Is(err, errTaken) {
				continue
			}
			var away *later
			if errors.As(err, &away) && away.shop {
				break // another run has the shop
			}
			if away != nil {
				return err
			}
			return &later{why: "it gave way to run " + r.ID}
		}
	}
	return nil
}

// dueBefore are the due runs that are more urgent than a task's.
func (h *LoadHandler) dueBefore(ctx context.Context, t *ledger.Task) ([]ledger.DueRun, error) {
	known := h.due.Load()
	if known == nil || time.Since(known.at) >= dueEvery {
		runs, err := h.Ledger.DueRuns(ctx, dueMost)
		if err != nil {
			return nil, err
		}
		known = &dueRuns{time.Now(), runs}
		h.due.Store(known)
	}
	n := 0
	for n < len(known.runs) && known.runs[n].Before(t.Run.Urgency()) {
		n++
	}
	return known.runs[:n], nil
}
