package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const unitColumns = `u.run_id, u.epoch, u.unit, u.dataset, u.state, u.key_from, u.key_to, u.key_cursor, u.rows_estimated, u.rows_done,
	u.pages, u.rejects, u.attempts, u.claim, u.owner, u.task_seq, u.touch, u.last_error, u.started_us, u.updated_us, u.finished_us,
	u.claimed_us, u.recovers, u.marked, u.as_of_us, u.carries, u.cache_name`

func scanUnit(row scanner) (Unit, error) {
	var u Unit
	var started, updated, finished, claimed, asOf int64
	err := row.Scan(&u.RunID, &u.Epoch, &u.Unit, &u.Dataset, &u.State, &u.From, &u.To, &u.Cursor, &u.RowsEstimated, &u.RowsDone,
		&u.Pages, &u.Rejects, &u.Attempts, &u.Claim, &u.Owner, &u.TaskSeq, &u.Touch, &u.LastError, &started, &updated, &finished,
		&claimed, &u.Recovers, &u.Marked, &asOf, &u.Carries, &u.Cache)
	if errors.Is(err, sql.ErrNoRows) {
		return Unit{}, ErrNotFound
	}
	if err != nil {
		return Unit{}, fmt.Errorf("read unit: %w", err)
	}
	u.StartedAt, u.UpdatedAt, u.FinishedAt, u.ClaimedAt = fromMicros(started), fromMicros(updated), fromMicros(finished), fromMicros(claimed)
	u.AsOf = fromMicros(asOf)
	return u, nil
}

// Unit is one unit, or ErrNotFound.
func (s *Store) Unit(ctx context.Context, run string, epoch, unit int) (Unit, error) {
	return scanUnit(s.db.QueryRowContext(ctx, `SELECT `+unitColumns+` FROM units u WHERE run_id = ? AND epoch = ? AND unit = ?`, run, epoch, unit))
}

// Units are the units of one epoch of a run, in order.
func (s *Store) Units(ctx context.Context, run string, epoch int) ([]Unit, error) {
	return s.units(ctx, s.db, `WHERE u.run_id = ? AND u.epoch = ? ORDER BY u.unit`, run, epoch)
}

func (s *Store) units(ctx context.Context, on execer, tail string, args ...any) ([]Unit, error) {
	rows, err := on.QueryContext(ctx, s.text(`SELECT `+unitColumns+` FROM units u `+tail), args...)
	if err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var units []Unit
	for rows.Next() {
		u, err := scanUnit(rows)
		if err != nil {
			return nil, err
		}
		units = append(units, u)
	}
	return units, rows.Err()
}

// Claim takes a unit that waits (or that failed and is run again by hand) for owner. seq is the number of the task that
// asks: any but the newest is refused, and so is a unit of an older epoch or of a run that is over. What comes back is
// the unit as it stands: Cursor says where to go on, Claim is the fence for every later write.
func (s *Store) Claim(ctx context.Context, run string, epoch, unit, seq int, owner string) (Unit, error) {
	var claimed Unit
	err := s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.start(ctx, tx, run, epoch, owner); err != nil {
			return err
		}
		n, err := s.exec(ctx, tx, `UPDATE units SET state = 'running', claim = claim + 1, owner = ?, attempts = attempts + 1, updated_us = :now,
			claimed_us = :now, started_us = CASE WHEN started_us = 0 THEN :now ELSE started_us END
			WHERE run_id = ? AND epoch = ? AND unit = ? AND task_seq = ? AND state IN ('waiting', 'failed')`, owner, run, epoch, unit, seq)
		if err != nil {
			return fmt.Errorf("claim unit: %w", err)
		}
		if n == 0 {
			return ErrNotClaimable
		}
		claimed, err = scanUnit(tx.QueryRowContext(ctx, `SELECT `+unitColumns+` FROM units u WHERE run_id = ? AND epoch = ? AND unit = ?`, run, epoch, unit))
		if err != nil || claimed.Recovers == 0 {
			return err
		}
		e := unitEvent(claimed, StageRecovering, owner, claimed.LastError)
		e.Recovers = claimed.Recovers
		return s.note(ctx, tx, e)
	})
	return claimed, err
}

// start locks the run of a claim and marks it as warming. The claims after the first find that done.
func (s *Store) start(ctx context.Context, tx *sql.Tx, run string, epoch int, owner string) error {
	n, err := s.exec(ctx, tx, `UPDATE runs SET updated_us = :now, state = CASE WHEN state = 'ready' THEN 'ready' ELSE 'warming' END
		WHERE run_id = ? AND epoch = ? AND state IN ('warming', 'failed', 'ready') AND planned_us > 0 AND started_us > 0`, run, epoch)
	if err != nil {
		return fmt.Errorf("claim unit: %w", err)
	}
	if n > 0 {
		return nil
	}
	n, err = s.exec(ctx, tx, `UPDATE runs SET updated_us = :now, state = CASE WHEN state = 'ready' THEN 'ready' ELSE 'warming' END, started_us = :now
		WHERE run_id = ? AND epoch = ? AND state IN ('planned', 'warming', 'failed', 'ready') AND planned_us > 0 AND started_us = 0`, run, epoch)
	if err != nil {
		return fmt.Errorf("claim unit: %w", err)
	}
	if n == 0 {
		return ErrNotClaimable
	}
	return s.note(ctx, tx, runEvent(run, epoch, StageStarted, By{Who: owner}))
}

// fence is the end of every statement that writes to a claimed unit.
const fence = ` WHERE run_id = ? AND epoch = ? AND unit = ? AND claim = ? AND state = 'running'`

func fenceArgs(u Unit) []any { return []any{u.RunID, u.Epoch, u.Unit, u.Claim} }

// Checkpoint records how far a claimed unit has come: u's Cursor, RowsDone, Pages, Rejects and Marked, and the rows that were
// rejected since the last checkpoint. ErrFenced: stop at once.
func (s *Store) Checkpoint(ctx context.Context, u Unit, rejected []Reject) error {
	if len(rejected) == 0 {
		return s.checkpoint(ctx, s.db, u, "")
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.checkpoint(ctx, tx, u, ""); err != nil {
			return err
		}
		return s.reject(ctx, tx, u, rejected)
	})
}

func (s *Store) checkpoint(ctx context.Context, on execer, u Unit, also string) error {
	args := append([]any{u.Cursor, u.RowsDone, u.Pages, u.Rejects, u.Marked, micros(u.AsOf)}, fenceArgs(u)...)
	n, err := s.exec(ctx, on, `UPDATE units SET key_cursor = ?, rows_done = ?, pages = ?, rejects = ?, marked = ?, as_of_us = ?, updated_us = :now`+also+fence, args...)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if n == 0 {
		return ErrFenced
	}
	return nil
}

func (s *Store) reject(ctx context.Context, tx *sql.Tx, u Unit, rejected []Reject) error {
	for _, r := range rejected {
		if _, err := s.exec(ctx, tx, s.dialect.insertIgnore+` INTO rejects (run_id, epoch, unit, row_key, error, rejected_us) VALUES (?, ?, ?, ?, ?, :now)`,
			u.RunID, u.Epoch, u.Unit, clipKey(r.RowKey), clip(r.Error)); err != nil {
			return fmt.Errorf("record reject: %w", err)
		}
	}
	return nil
}

// HandBack gives a claimed unit back untried, as a pod does that is being stopped or that waits for a server: the attempt
// does not count. The same reason again, as while a server is away, makes no second entry in the timeline.
func (s *Store) HandBack(ctx context.Context, u Unit, why string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE units SET state = 'waiting', attempts = attempts - 1, claim = claim + 1, last_error = ?, updated_us = :now`+fence,
			append([]any{clip(why)}, fenceArgs(u)...)...)
		if err != nil {
			return fmt.Errorf("hand unit back: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		if u.LastError == clip(why) {
			return nil
		}
		return s.note(ctx, tx, unitEvent(u, StageHandedBack, u.Owner, why))
	})
}

// Settled is what became of a run when one of its units ended.
type Settled string

// Still open; became ready by this very call; became failed by this very call.
const (
	StillOpen Settled = ""
	NowReady  Settled = "ready"
	NowFailed Settled = "failed"
)

// Finish marks a claimed unit as done, with its last checkpoint. Of all callers one is told NowReady: the one whose
// unit was the run's last.
func (s *Store) Finish(ctx context.Context, u Unit, rejected []Reject) (Settled, error) {
	return s.end(ctx, u, func(tx *sql.Tx) error {
		if err := s.checkpoint(ctx, tx, u, `, state = 'done', touch = 0, finished_us = :now, last_error = ''`); err != nil {
			return err
		}
		return s.reject(ctx, tx, u, rejected)
	})
}

// Fail records why a claimed unit's attempt failed. With final false the unit waits for its next attempt; with final
// true it has failed, and the run with it once nothing else of it is open. The cursor stays where it is.
func (s *Store) Fail(ctx context.Context, u Unit, msg string, final bool) (Settled, error) {
	state := UnitWaiting
	if final {
		state = UnitFailed
	}
	return s.end(ctx, u, func(tx *sql.Tx) error {
		if _, err := s.exec(ctx, tx, `UPDATE runs SET last_error = ? WHERE run_id = ?`, clip(msg), u.RunID); err != nil {
			return fmt.Errorf("fail unit: %w", err)
		}
		n, err := s.exec(ctx, tx, `UPDATE units SET state = ?, last_error = ?, recovers = claim, updated_us = :now`+fence,
			append([]any{state, clip(msg)}, fenceArgs(u)...)...)
		if err != nil {
			return fmt.Errorf("fail unit: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		return s.note(ctx, tx, unitEvent(u, StageAttemptEnded, u.Owner, msg))
	})
}

// end runs the last write to a unit with the run's row locked, and settles the run.
func (s *Store) end(ctx context.Context, u Unit, write func(*sql.Tx) error) (Settled, error) {
	var settled Settled
	err := s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET updated_us = :now WHERE run_id = ? AND epoch = ?`, u.RunID, u.Epoch)
		if err != nil {
			return fmt.Errorf("lock run: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		if err := write(tx); err != nil {
			return err
		}
		settled, err = s.settle(ctx, tx, u.RunID, u.Owner)
		return err
	})
	return settled, err
}

// settle ends a warming run of which nothing is open any more, keys that wait for a new expiry included. The run's row must be locked by tx: the counts are then
// those after every unit that ended before.
func (s *Store) settle(ctx context.Context, tx *sql.Tx, run, who string) (Settled, error) {
	var total, open, failed int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(CASE WHEN u.state IN ('waiting', 'running') OR (u.state = 'done' AND u.touch = 1) THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN u.state = 'failed' THEN 1 ELSE 0 END), 0)
		FROM units u JOIN runs r ON r.run_id = u.run_id AND r.epoch = u.epoch WHERE u.run_id = ?`, run).Scan(&total, &open, &failed)
	if err != nil {
		return StillOpen, fmt.Errorf("count units: %w", err)
	}
	set, settled := `state = 'ready', ready_us = :now, last_error = '', late = CASE WHEN :now > deadline_us THEN 1 ELSE 0 END`, NowReady
	switch {
	case open > 0 || total == 0:
		return StillOpen, nil
	case failed > 0:
		set, settled = `state = 'failed'`, NowFailed
	}
	n, err := s.exec(ctx, tx, `UPDATE runs SET `+set+`, updated_us = :now WHERE run_id = ? AND state = 'warming'`, run)
	if err != nil {
		return StillOpen, fmt.Errorf("settle run: %w", err)
	}
	if n == 0 {
		return StillOpen, nil
	}
	by := By{Who: who}
	if settled == NowFailed {
		by.Why = fmt.Sprintf("%d of %d units failed", failed, total)
	}
	return settled, s.note(ctx, tx, runEvent(run, 0, string(settled), by))
}

// Rejects are a run's rejected rows of its present epoch, at most limit.
func (s *Store) Rejects(ctx context.Context, run string, limit int) ([]RejectedRow, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT j.unit, u.dataset, j.row_key, j.error, j.rejected_us FROM rejects j
		JOIN runs r ON r.run_id = j.run_id AND r.epoch = j.epoch
		JOIN units u ON u.run_id = j.run_id AND u.epoch = j.epoch AND u.unit = j.unit
		WHERE j.run_id = ? ORDER BY j.unit, j.row_key LIMIT ?`, run, limit)
	if err != nil {
		return nil, fmt.Errorf("list rejects: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []RejectedRow
	for rows.Next() {
		var r RejectedRow
		var us int64
		if err := rows.Scan(&r.Unit, &r.Dataset, &r.RowKey, &r.Error, &us); err != nil {
			return nil, fmt.Errorf("list rejects: %w", err)
		}
		r.At = fromMicros(us)
		out = append(out, r)
	}
	return out, rows.Err()
}

// RejectedRow is a reject as it is read back.
type RejectedRow struct {
	Unit    int
	Dataset string
	RowKey  string
	Error   string
	At      time.Time
}

// clipKey fits a key into its column: 255 characters.
func clipKey(key string) string {
	if r := []rune(key); len(r) > 255 {
		return string(r[:254]) + "…"
	}
	return key
}
