package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Times are a broadcast's times and the plan's that follow from them.
type Times struct {
	StartsAt, EndsAt, Deadline, PlannedStart time.Time
	Urgent                                   bool
}

// Reschedule moves a run that is planned, warming or ready from the times that old was read with to new ones. If the
// end moved, so must the expiries of the keys that are written: see moveExpiries. It returns ErrState if the run has moved on meanwhile: read it again and decide anew.
func (s *Store) Reschedule(ctx context.Context, old Run, t Times, requestID string) error {
	return s.onAdmitted(ctx, old.ID, func(tx *sql.Tx) error {
		former, err := s.lockEnds(ctx, tx, old)
		if err != nil {
			return err
		}
		n, err := s.exec(ctx, tx, `UPDATE runs SET former_us = ?, starts_us = ?, ends_us = ?, deadline_us = ?, planned_start_us = ?, urgent = ?,
			request_id = ?, updated_us = :now, late = CASE WHEN ready_us > ? THEN 1 ELSE 0 END
			WHERE run_id = ? AND epoch = ? AND state IN ('planned', 'warming', 'ready') AND starts_us = ? AND ends_us = ?`,
			former, micros(t.StartsAt), micros(t.EndsAt), micros(t.Deadline), micros(t.PlannedStart), t.Urgent,
			requestID, micros(t.Deadline), old.ID, old.Epoch, micros(old.StartsAt), micros(old.EndsAt))
		if err := matched(n, err, "reschedule run"); err != nil {
			return err
		}
		moved := fmt.Sprintf("from %s - %s to %s - %s", stamp(old.StartsAt), stamp(old.EndsAt), stamp(t.StartsAt), stamp(t.EndsAt))
		if err := s.note(ctx, tx, runEvent(old.ID, old.Epoch, StageRescheduled, upstream(requestID, moved))); err != nil {
			return err
		}
		// The tasks of units that wait are superseded by ones at the new time.
		if _, err := s.exec(ctx, tx, `UPDATE units SET task_seq = task_seq + 1 WHERE run_id = ? AND epoch = ? AND state = 'waiting'`,
			old.ID, old.Epoch); err != nil {
			return fmt.Errorf("supersede tasks: %w", err)
		}
		if t.EndsAt.Equal(old.EndsAt) {
			return nil
		}
		return s.moveExpiries(ctx, tx, old.ID, old.Epoch)
	})
}

// Revive makes a skipped or cancelled run a planned one, with new times and under a new epoch.
func (s *Store) Revive(ctx context.Context, old Run, t Times, tier string, force bool, requestID string) error {
	return s.onAdmitted(ctx, old.ID, func(tx *sql.Tx) error {
		former, err := s.lockEnds(ctx, tx, old)
		if err != nil {
			return err
		}
		n, err := s.exec(ctx, tx, `UPDATE runs SET former_us = ?, state = 'planned', reason = '', last_error = '', epoch = epoch + 1, attempts = attempts + 1,
			tier = ?, forced = ?, request_id = ?, starts_us = ?, ends_us = ?, deadline_us = ?, planned_start_us = ?, urgent = ?,
			planned_us = 0, started_us = 0, ready_us = 0, flagged_us = 0, late = 0, updated_us = :now
			WHERE run_id = ? AND epoch = ? AND state IN ('skipped', 'cancelled')`,
			former, tier, force, requestID, micros(t.StartsAt), micros(t.EndsAt), micros(t.Deadline), micros(t.PlannedStart), t.Urgent, old.ID, old.Epoch)
		if err := matched(n, err, "revive run"); err != nil {
			return err
		}
		return s.note(ctx, tx, runEvent(old.ID, old.Epoch+1, StageAccepted, upstream(requestID, "it was "+string(old.State))))
	})
}

// Retry takes a failed run up again where it stopped; a run whose plan had failed is planned again. Times, if not nil,
// are the broadcast's new ones.
func (s *Store) Retry(ctx context.Context, id string, t *Times, by By) error {
	return s.onAdmitted(ctx, id, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET state = CASE WHEN started_us = 0 THEN 'planned' ELSE 'warming' END,
			attempts = attempts + 1, updated_us = :now, ready_us = 0, flagged_us = 0 WHERE run_id = ? AND state = 'failed'`, id)
		if err := matched(n, err, "retry run"); err != nil {
			return s.why(ctx, tx, id, err)
		}
		if err := s.release(ctx, tx, id, StageRetried, by); err != nil {
			return err
		}
		if t != nil {
			former, err := s.formerEnds(ctx, tx, id)
			if err != nil {
				return err
			}
			if _, err := s.exec(ctx, tx, `UPDATE runs SET former_us = ?, starts_us = ?, ends_us = ?, deadline_us = ?, planned_start_us = ?, urgent = ? WHERE run_id = ?`,
				former, micros(t.StartsAt), micros(t.EndsAt), micros(t.Deadline), micros(t.PlannedStart), t.Urgent, id); err != nil {
				return fmt.Errorf("move run: %w", err)
			}
		}
		var epoch int
		if err := tx.QueryRowContext(ctx, `SELECT epoch FROM runs WHERE run_id = ?`, id).Scan(&epoch); err != nil {
			return fmt.Errorf("read run: %w", err)
		}
		if _, err := s.exec(ctx, tx, `UPDATE units SET state = 'waiting', attempts = 0, task_seq = task_seq + 1, updated_us = :now
			WHERE run_id = ? AND epoch = ? AND state = 'failed'`, id, epoch); err != nil {
			return fmt.Errorf("open failed units: %w", err)
		}
		if t != nil {
			if err := s.moveExpiries(ctx, tx, id, epoch); err != nil {
				return err
			}
		}
		// A failed run can have nothing left to do: all that had failed was already loaded by a task run by hand.
		_, err = s.settle(ctx, tx, id, by.Who)
		return err
	})
}

// Restart begins a run from scratch under a new epoch, at once. Claims of the old epoch are fenced.
func (s *Store) Restart(ctx context.Context, id string, by By) error {
	return s.onAdmitted(ctx, id, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET state = 'planned', reason = '', last_error = '', epoch = epoch + 1, attempts = attempts + 1,
			urgent = 1, planned_start_us = :now, planned_us = 0, started_us = 0, ready_us = 0, flagged_us = 0, late = 0, updated_us = :now
			WHERE run_id = ? AND state IN ('planned', 'warming', 'ready', 'failed', 'cancelled', 'skipped')`, id)
		if err := matched(n, err, "restart run"); err != nil {
			return s.why(ctx, tx, id, err)
		}
		if err := s.release(ctx, tx, id, StageRestarted, by); err != nil {
			return err
		}
		return s.cancelUnits(ctx, tx, id)
	})
}

// Cancel stops a run: its units are taken out of the queue's reach and the claims on them are fenced.
func (s *Store) Cancel(ctx context.Context, id string, by By) error {
	return s.tx(ctx, func(tx *sql.Tx) error { return s.cancel(ctx, tx, id, by) })
}

func (s *Store) cancel(ctx context.Context, tx *sql.Tx, id string, by By) error {
	n, err := s.exec(ctx, tx, `UPDATE runs SET state = 'cancelled', reason = ?, updated_us = :now
		WHERE run_id = ? AND state IN ('planned', 'warming', 'ready', 'failed')`, clip(cmp.Or(by.Why, "by "+by.Who)), id)
	if err := matched(n, err, "cancel run"); err != nil {
		return s.why(ctx, tx, id, err)
	}
	if err := s.release(ctx, tx, id, StageCancelled, by); err != nil {
		return err
	}
	return s.cancelUnits(ctx, tx, id)
}

// release notes what a person or upstream did to a run, which ends a pause of the run alone.
func (s *Store) release(ctx context.Context, tx *sql.Tx, id, stage string, by By) error {
	if _, err := s.exec(ctx, tx, `DELETE FROM switches WHERE kind = 'run' AND id = ?`, id); err != nil {
		return fmt.Errorf("end pause: %w", err)
	}
	return s.note(ctx, tx, runEvent(id, 0, stage, by))
}

func (s *Store) cancelUnits(ctx context.Context, tx *sql.Tx, id string) error {
	if _, err := s.exec(ctx, tx, `UPDATE units SET state = 'cancelled', updated_us = :now WHERE run_id = ? AND state IN ('waiting', 'running', 'failed')`, id); err != nil {
		return fmt.Errorf("cancel units: %w", err)
	}
	return nil
}

// FailPlan marks a run whose plan could not be written as failed.
func (s *Store) FailPlan(ctx context.Context, id string, epoch int, msg string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET state = 'failed', last_error = ?, updated_us = :now
			WHERE run_id = ? AND epoch = ? AND state = 'planned' AND planned_us = 0`, clip(msg), id, epoch)
		if err := matched(n, err, "fail plan"); err != nil {
			return err
		}
		return s.note(ctx, tx, runEvent(id, epoch, StageFailed, By{Who: "planner", Why: msg}))
	})
}

// Flagged records that the ready flag of a ready run was set in Redis.
func (s *Store) Flagged(ctx context.Context, id string, epoch int) error {
	n, err := s.exec(ctx, s.db, `UPDATE runs SET flagged_us = :now WHERE run_id = ? AND epoch = ? AND state = 'ready'`, id, epoch)
	return matched(n, err, "record ready flag")
}

// matched turns "no row matched" into ErrState.
func matched(n int64, err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n == 0 {
		return fmt.Errorf("%s: %w", what, ErrState)
	}
	return nil
}

// why tells a run that is not there from one in another state.
func (s *Store) why(ctx context.Context, tx *sql.Tx, id string, err error) error {
	if !errors.Is(err, ErrState) {
		return err
	}
	var state RunState
	switch e := tx.QueryRowContext(ctx, `SELECT state FROM runs WHERE run_id = ?`, id).Scan(&state); {
	case errors.Is(e, sql.ErrNoRows):
		return ErrNotFound
	case e != nil:
		return e
	}
	return fmt.Errorf("%w: it is %s", ErrState, state)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
