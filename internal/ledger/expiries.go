package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// # Moved ends
//
// The keys of units that have `touch` wait for the broadcast's new expiry. A unit that was in the middle sees to its own, up to
// its cursor, before it goes on. Those that are done stay so, and one of them in each dataset is opened again to carry the move
// for all (`carries`): it looks for the dataset's keys in the cache, and ends it for all of them at once (Carried). Where keys
// cannot be found like that it opens the others too, and each reads its own from the source (Reopen). So does the
// reconciliation with those that nobody carries any more (Uncarried). A unit that has failed for good with this leaves its run ready,
// as all is in the cache: the reconciliation opens it again after a while (FailedReady).

// moveExpiries has the expiries of all keys moved that a run's epoch has written. Its row must be locked by tx.
func (s *Store) moveExpiries(ctx context.Context, tx *sql.Tx, run string, epoch int) error {
	// A unit carries only what it was opened for: `carries` means nothing without `touch`.
	for _, statement := range []string{
		`UPDATE units SET carries = carries * touch, touch = 1, state = 'waiting', attempts = 0, claim = claim + 1, task_seq = task_seq + 1,
			updated_us = :now WHERE run_id = ? AND epoch = ? AND state = 'running'`,
		`UPDATE units SET carries = carries * touch, touch = 1 WHERE run_id = ? AND epoch = ? AND state IN ('waiting', 'failed') AND pages > 0`,
		`UPDATE units SET touch = 1, carries = 0 WHERE run_id = ? AND epoch = ? AND state = 'done'`,
	} {
		if _, err := s.exec(ctx, tx, statement, run, epoch); err != nil {
			return fmt.Errorf("open units: %w", err)
		}
	}
	carriers, err := s.carriers(ctx, tx, run, epoch)
	if err != nil {
		return err
	}
	for _, unit := range carriers {
		if _, err := s.exec(ctx, tx, `UPDATE units SET carries = 1, state = 'waiting', attempts = 0, claim = claim + 1, task_seq = task_seq + 1, updated_us = :now
			WHERE run_id = ? AND epoch = ? AND unit = ?`, run, epoch, unit); err != nil {
			return fmt.Errorf("open units: %w", err)
		}
	}
	return nil
}

// uncarried are units u whose keys wait for a new expiry and that no other unit sees to.
const uncarried = `u.state = 'done' AND u.touch = 1 AND NOT EXISTS (SELECT 1 FROM units o WHERE o.run_id = u.run_id AND o.epoch = u.epoch
	AND o.dataset = u.dataset AND o.touch = 1 AND o.carries = 1 AND o.state IN ('waiting', 'running'))`

// carriers are the first of the units of each dataset that nobody carries.
func (s *Store) carriers(ctx context.Context, tx *sql.Tx, run string, epoch int) (units []int, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT MIN(u.unit) FROM units u WHERE u.run_id = ? AND u.epoch = ? AND `+uncarried+` GROUP BY u.dataset`, run, epoch)
	if err != nil {
		return nil, fmt.Errorf("look for units to open: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var unit int
		if err := rows.Scan(&unit); err != nil {
			return nil, fmt.Errorf("look for units to open: %w", err)
		}
		units = append(units, unit)
	}
	return units, rows.Err()
}

// Touched records that the expiry of the keys up to the cursor has been moved.
func (s *Store) Touched(ctx context.Context, u Unit) error {
	n, err := s.exec(ctx, s.db, `UPDATE units SET touch = 0, updated_us = :now`+fence, fenceArgs(u)...)
	if err != nil {
		return fmt.Errorf("record touch: %w", err)
	}
	if n == 0 {
		return ErrFenced
	}
	return nil
}

// Written is how many rows of a unit's run have been written to its cache: what a moved end is about there.
func (s *Store) Written(ctx context.Context, u Unit) (rows int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COALESCE(SUM(rows_done), 0) FROM units WHERE run_id = ? AND epoch = ? AND cache_name = ?`, u.RunID, u.Epoch, u.Cache).Scan(&rows)
	if err != nil {
		return 0, fmt.Errorf("count what was written: %w", err)
	}
	return rows, nil
}

// Carried records that a claimed unit has moved the expiries of all of its dataset's finished units, and finishes it.
func (s *Store) Carried(ctx context.Context, u Unit, what string) (Settled, error) {
	return s.end(ctx, u, func(tx *sql.Tx) error {
		if err := s.checkpoint(ctx, tx, u, `, state = 'done', touch = 0, carries = 0, finished_us = :now, last_error = ''`); err != nil {
			return err
		}
		if _, err := s.exec(ctx, tx, `UPDATE units SET touch = 0, updated_us = :now WHERE run_id = ? AND epoch = ? AND dataset = ? AND state = 'done' AND touch = 1`,
			u.RunID, u.Epoch, u.Dataset); err != nil {
			return fmt.Errorf("record moved expiries: %w", err)
		}
		return s.note(ctx, tx, unitEvent(u, StageExtended, u.Owner, what))
	})
}

// Reopen has each finished unit of a dataset see to the expiries of its own keys, the claimed one that should have carried the
// move for all of them included, which goes on with it. ErrFenced: it is not the caller's any more.
func (s *Store) Reopen(ctx context.Context, u Unit, why string) error {
	_, err := s.end(ctx, u, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE units SET carries = 0, updated_us = :now`+fence, fenceArgs(u)...)
		if err != nil {
			return fmt.Errorf("reopen units: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		if err := s.reopen(ctx, tx, u); err != nil {
			return err
		}
		return s.note(ctx, tx, unitEvent(u, StageExtended, u.Owner, "the keys are read from the source: "+why))
	})
	return err
}

// reopen opens the finished units of a dataset of which keys wait for their new expiry.
func (s *Store) reopen(ctx context.Context, tx *sql.Tx, u Unit) error {
	if _, err := s.exec(ctx, tx, `UPDATE units SET state = 'waiting', carries = 0, attempts = 0, claim = claim + 1, task_seq = task_seq + 1, updated_us = :now
		WHERE run_id = ? AND epoch = ? AND dataset = ? AND state = 'done' AND touch = 1`, u.RunID, u.Epoch, u.Dataset); err != nil {
		return fmt.Errorf("reopen units: %w", err)
	}
	return nil
}

// Uncarried opens the finished units whose keys wait for a new expiry and that nobody sees to: the unit that carried the move
// has failed, began anew because the cache had lost it, or was worked on by an older release. It says how many datasets of
// runs these were.
func (s *Store) Uncarried(ctx context.Context, limit int) (n int, err error) {
	lost, err := s.units(ctx, s.db, `JOIN runs r ON r.run_id = u.run_id AND r.epoch = u.epoch
		WHERE r.state IN ('warming', 'ready') AND r.ends_us > :now AND `+uncarried+`
		AND NOT EXISTS (SELECT 1 FROM units f WHERE f.run_id = u.run_id AND f.epoch = u.epoch AND f.dataset = u.dataset AND f.state = 'done' AND f.touch = 1 AND f.unit < u.unit)
		LIMIT ?`, limit)
	if err != nil {
		return 0, err
	}
	for _, u := range lost {
		err := s.tx(ctx, func(tx *sql.Tx) error {
			locked, err := s.exec(ctx, tx, `UPDATE runs SET updated_us = :now WHERE run_id = ? AND epoch = ? AND state IN ('warming', 'ready')`, u.RunID, u.Epoch)
			if err := matched(locked, err, "reopen units"); err != nil {
				return err
			}
			return s.reopen(ctx, tx, u)
		})
		if errors.Is(err, ErrState) {
			continue
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// FailedReady opens the units of ready runs again that failed for good some time ago, which only those can that were opened to move
// expiries. Their keys would expire before the broadcast has ended, and nobody can retry a run that is ready. Each sees to its own
// keys, and has all its attempts. It returns them as they were.
func (s *Store) FailedReady(ctx context.Context, ago time.Duration, limit int) (opened []Unit, err error) {
	failed, err := s.units(ctx, s.db, `JOIN runs r ON r.run_id = u.run_id AND r.epoch = u.epoch
		WHERE r.state = 'ready' AND r.ends_us > :now AND u.state = 'failed' AND u.updated_us <= :now - ? LIMIT ?`, ago.Microseconds(), limit)
	if err != nil {
		return nil, err
	}
	for _, u := range failed {
		err := s.tx(ctx, func(tx *sql.Tx) error {
			n, err := s.exec(ctx, tx, `UPDATE runs SET updated_us = :now WHERE run_id = ? AND epoch = ? AND state = 'ready'`, u.RunID, u.Epoch)
			if err := matched(n, err, "open failed unit"); err != nil {
				return err
			}
			n, err = s.exec(ctx, tx, `UPDATE units SET state = 'waiting', carries = 0, attempts = 0, claim = claim + 1, task_seq = task_seq + 1, updated_us = :now
				WHERE run_id = ? AND epoch = ? AND unit = ? AND claim = ? AND state = 'failed'`, u.RunID, u.Epoch, u.Unit, u.Claim)
			if err := matched(n, err, "open failed unit"); err != nil {
				return err
			}
			return s.note(ctx, tx, unitEvent(u, StageRetried, reconciliation, "it had failed, and the shop is needed for longer: "+u.LastError))
		})
		switch {
		case err == nil:
			opened = append(opened, u)
		case !errors.Is(err, ErrState):
			return opened, err
		}
	}
	return opened, nil
}
