package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/tasks"
)

// Urgency orders runs: the nearer deadline goes first, and of equal ones a key account's.
type Urgency struct {
	Deadline time.Time
	Tier     string
}

// Urgency of the run.
func (r Run) Urgency() Urgency { return Urgency{r.Deadline, r.Tier} }

// Before says whether u is to be done before o.
func (u Urgency) Before(o Urgency) bool {
	if !u.Deadline.Equal(o.Deadline) {
		return u.Deadline.Before(o.Deadline)
	}
	return u.Tier == tasks.TierKA && o.Tier != tasks.TierKA
}

// byUrgency is the same order in SQL, of runs (r).
const byUrgency = ` ORDER BY r.deadline_us, CASE WHEN r.tier = '` + tasks.TierKA + `' THEN 0 ELSE 1 END, r.run_id`

// DueRun is a run whose planned start has come, and that has units which nobody has tried yet.
type DueRun struct {
	ID    string
	Epoch int
	Urgency
}

// untried is a unit (u) that waits, whose dataset is not paused, and whose attempts are all to come: what has failed waits for
// its own task, which comes after the backoff.
const untried = `u.state = 'waiting' AND u.attempts = 0 AND NOT EXISTS (SELECT 1 FROM switches w WHERE w.kind = 'dataset' AND w.id = u.dataset)`

// DueRuns are the most urgent of the runs that are due and not paused, in the order of their urgency.
func (s *Store) DueRuns(ctx context.Context, limit int) ([]DueRun, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT r.run_id, r.epoch, r.deadline_us, r.tier FROM runs r
		WHERE r.state IN ('planned', 'warming') AND r.ends_us > :now AND r.planned_us > 0 AND r.planned_start_us <= :now AND `+notPaused+`
		AND EXISTS (SELECT 1 FROM units u WHERE u.run_id = r.run_id AND u.epoch = r.epoch AND `+untried+`)`+byUrgency+` LIMIT ?`), limit)
	if err != nil {
		return nil, fmt.Errorf("list due runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var due []DueRun
	for rows.Next() {
		var d DueRun
		var deadline int64
		if err := rows.Scan(&d.ID, &d.Epoch, &deadline, &d.Tier); err != nil {
			return nil, fmt.Errorf("list due runs: %w", err)
		}
		d.Deadline = fromMicros(deadline)
		due = append(due, d)
	}
	return due, rows.Err()
}

// Untried are the first units of a run's epoch that wait and were never tried, by their numbers.
func (s *Store) Untried(ctx context.Context, run string, epoch, limit int) ([]int, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT u.unit FROM units u WHERE u.run_id = ? AND u.epoch = ? AND `+untried+` ORDER BY u.unit LIMIT ?`, run, epoch, limit)
	if err != nil {
		return nil, fmt.Errorf("list untried units: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var units []int
	for rows.Next() {
		var unit int
		if err := rows.Scan(&unit); err != nil {
			return nil, fmt.Errorf("list untried units: %w", err)
		}
		units = append(units, unit)
	}
	return units, rows.Err()
}

// Move is a planned start that is to be another one.
type Move struct {
	RunID    string
	Epoch    int
	From, To time.Time
}

// MoveStarts moves the planned starts of runs that have not begun and are not urgent, and returns the moves that it made:
// of a run that has begun, or that somebody else has moved meanwhile, the start stays. The units need new tasks then (Requeue).
func (s *Store) MoveStarts(ctx context.Context, moves []Move) ([]Move, error) {
	const atOnce = 100 // rows are locked until all of them are moved
	var moved []Move
	for rest := moves; len(rest) > 0; {
		part := rest[:min(atOnce, len(rest))]
		rest = rest[len(part):]
		var done []Move
		if err := s.tx(ctx, func(tx *sql.Tx) (err error) {
			done, err = s.moveStarts(ctx, tx, part)
			return err
		}); err != nil {
			return moved, err
		}
		moved = append(moved, done...)
	}
	return moved, nil
}

func (s *Store) moveStarts(ctx context.Context, tx *sql.Tx, moves []Move) ([]Move, error) {
	var moved []Move
	for _, m := range moves {
		n, err := s.exec(ctx, tx, `UPDATE runs SET planned_start_us = ?, updated_us = :now WHERE run_id = ? AND epoch = ? AND state = 'planned'
			AND started_us = 0 AND urgent = 0 AND planned_start_us = ?`, micros(m.To), m.RunID, m.Epoch, micros(m.From))
		switch err := matched(n, err, "move start"); {
		case err == nil:
			moved = append(moved, m)
			why := fmt.Sprintf("its start from %s to %s, for a level load", stamp(m.From), stamp(m.To))
			if err := s.note(ctx, tx, runEvent(m.RunID, m.Epoch, StageMoved, By{Who: "planner", Why: why})); err != nil {
				return nil, err
			}
		case !errors.Is(err, ErrState):
			return nil, err
		}
	}
	return moved, nil
}
