package app

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/plan"
)

// starts carries out where the plan moves the starts of runs.
type starts struct {
	ledger *ledger.Store
	tasks  *plan.Tasks
}

// move moves starts in the ledger, and gives their units new tasks: a task that comes before its run's start was run by hand.
// What is interrupted here is found by the reconciliation.
func (s starts) move(ctx context.Context, moves []ledger.Move) error {
	moved, err := s.ledger.MoveStarts(ctx, moves)
	for _, m := range moved {
		if err != nil {
			return err
		}
		err = s.requeue(ctx, m.RunID)
	}
	return err
}

func (s starts) requeue(ctx context.Context, id string) error {
	run, err := s.ledger.Run(ctx, id)
	if err != nil {
		return err
	}
	due, err := s.ledger.Requeue(ctx, run)
	if err != nil {
		return err
	}
	return s.tasks.Units(ctx, due)
}
