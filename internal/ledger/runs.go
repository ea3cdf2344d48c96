package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const runColumns = `r.run_id, r.shop_id, r.broadcast_id, r.request_id, r.tier, r.forced, r.starts_us, r.ends_us,
	r.deadline_us, r.planned_start_us, r.state, r.reason, r.epoch, r.attempts, r.last_error, r.late, r.urgent,
	r.planned_us, r.started_us, r.ready_us, r.flagged_us, r.created_us, r.updated_us, r.rows_estimated`

// The sums are over the units of the run's present epoch.
const runSums = `COALESCE(SUM(u.rows_done), 0), COUNT(u.unit),
	COALESCE(SUM(CASE WHEN u.state = 'done' THEN 1 ELSE 0 END), 0),
	COALESCE(SUM(CASE WHEN u.state = 'failed' THEN 1 ELSE 0 END), 0)`

const runSelect = `SELECT ` + runColumns + `, ` + runSums + `
	FROM runs r LEFT JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch`

type scanner interface{ Scan(dest ...any) error }

func scanRun(row scanner) (Run, error) {
	var r Run
	var starts, ends, deadline, plannedStart, planned, started, ready, flagged, created, updated int64
	err := row.Scan(&r.ID, &r.ShopID, &r.BroadcastID, &r.RequestID, &r.Tier, &r.Force, &starts, &ends,
		&deadline, &plannedStart, &r.State, &r.Reason, &r.Epoch, &r.Attempts, &r.LastError, &r.Late, &r.Urgent,
		&planned, &started, &ready, &flagged, &created, &updated, &r.RowsEstimated,
		&r.RowsDone, &r.UnitsTotal, &r.UnitsDone, &r.UnitsFailed)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNotFound
	}
	if err != nil {
		return Run{}, fmt.Errorf("read run: %w", err)
	}
	r.StartsAt, r.EndsAt, r.Deadline, r.PlannedStart = fromMicros(starts), fromMicros(ends), fromMicros(deadline), fromMicros(plannedStart)
	r.PlannedAt, r.StartedAt, r.ReadyAt, r.FlaggedAt = fromMicros(planned), fromMicros(started), fromMicros(ready), fromMicros(flagged)
	r.CreatedAt, r.UpdatedAt = fromMicros(created), fromMicros(updated)
	return r, nil
}

// Create writes a new run, unless the shop's broadcast has one: then created is false and run is the one there is.
// The unique key on (shop, broadcast) decides between any number of callers.
func (s *Store) Create(ctx context.Context, r Run) (run Run, created bool, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, s.dialect.insertIgnore+` INTO runs (run_id, shop_id, broadcast_id, state, reason, last_error,
			rows_estimated, urgent, tier, forced, request_id, starts_us, ends_us, deadline_us, planned_start_us, created_us, updated_us)
			VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, :now, :now)`,
			r.ID, r.ShopID, r.BroadcastID, r.State, clip(r.Reason), r.RowsEstimated, r.Urgent, r.Tier, r.Force, r.RequestID,
			micros(r.StartsAt), micros(r.EndsAt), micros(r.Deadline), micros(r.PlannedStart))
		if created = n == 1; err != nil || !created {
			return err
		}
		stage := StageAccepted
		if r.State == RunSkipped {
			stage = StageSkipped
		}
		return s.note(ctx, tx, runEvent(r.ID, 1, stage, upstream(r.RequestID, r.Reason)))
	})
	if err != nil {
		return Run{}, false, fmt.Errorf("create run: %w", err)
	}
	run, err = s.RunOf(ctx, r.ShopID, r.BroadcastID)
	return run, created, err
}

// upstream is who stands in the timeline for what a request asked for.
func upstream(requestID, why string) By { return By{Who: "request " + requestID, Why: why} }

// RunOf is the run of a shop's broadcast, or ErrNotFound.
func (s *Store) RunOf(ctx context.Context, shop, broadcast string) (Run, error) {
	return scanRun(s.db.QueryRowContext(ctx, runSelect+` WHERE r.shop_id = ? AND r.broadcast_id = ? GROUP BY r.run_id`, shop, broadcast))
}

// Run is one run, or ErrNotFound.
func (s *Store) Run(ctx context.Context, id string) (Run, error) {
	return scanRun(s.db.QueryRowContext(ctx, runSelect+` WHERE r.run_id = ? GROUP BY r.run_id`, id))
}

// RunFilter selects runs; zero fields select all.
type RunFilter struct {
	States    []RunState
	Shop      string
	Broadcast string
	After     string    // the last run id of the page before
	Limit     int       // 0: 100
	EndsAfter time.Time // only broadcasts that end later than this
}

// Runs are the runs that match, newest first, and the After of the next page ("" on the last one).
func (s *Store) Runs(ctx context.Context, f RunFilter) (runs []Run, next string, err error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(cond string, vals ...any) {
		where = append(where, cond)
		args = append(args, vals...)
	}
	if len(f.States) > 0 {
		vals := make([]any, len(f.States))
		for i, st := range f.States {
			vals[i] = st
		}
		add("r.state IN ("+marks(len(vals))+")", vals...)
	}
	if f.Shop != "" {
		add("r.shop_id = ?", f.Shop)
	}
	if f.Broadcast != "" {
		add("r.broadcast_id = ?", f.Broadcast)
	}
	if f.After != "" {
		add("r.run_id < ?", f.After)
	}
	if !f.EndsAfter.IsZero() {
		add("r.ends_us > ?", micros(f.EndsAfter))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	// The page of runs is cut before their units are summed up.
	rows, err := s.db.QueryContext(ctx, `SELECT `+runColumns+`, `+runSums+` FROM (SELECT * FROM runs r WHERE `+
		strings.Join(where, " AND ")+fmt.Sprintf(` ORDER BY r.run_id DESC LIMIT %d) r
		LEFT JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch GROUP BY r.run_id ORDER BY r.run_id DESC`, limit+1), args...)
	if err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, "", err
		}
		runs = append(runs, r)
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("list runs: %w", err)
	}
	if len(runs) > limit {
		runs = runs[:limit]
		next = runs[limit-1].ID
	}
	return runs, next, nil
}

// Totals are the number of runs by state, of broadcasts that end after since.
func (s *Store) Totals(ctx context.Context, since time.Time) (map[RunState]int, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT state, COUNT(*) FROM runs WHERE ends_us > ? GROUP BY state`, micros(since))
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	totals := map[RunState]int{}
	for rows.Next() {
		var st RunState
		var n int
		if err := rows.Scan(&st, &n); err != nil {
			return nil, fmt.Errorf("count runs: %w", err)
		}
		totals[st] = n
	}
	return totals, rows.Err()
}

// Ends are when a shop's keys must not yet have expired, and when they were to expire before.
type Ends struct {
	// Needed is the latest end of the shop's runs that have put something into the cache or are about to, or zero: a run that
	// ends earlier must not shorten what they have written. A broadcast of tomorrow does not count before its time.
	Needed time.Time
	// Former are the ends of all the shop's runs, and those that they had before they were moved.
	Former []time.Time
}

// formerKept is how many ends of a run are remembered.
const formerKept = 20

// Ends are those of a shop.
func (s *Store) Ends(ctx context.Context, shop string) (e Ends, err error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT r.ends_us, r.former_us, CASE WHEN r.state = 'ready' OR (r.state IN ('warming', 'failed') AND r.started_us > 0)
		OR (r.state = 'planned' AND r.planned_start_us <= :now) THEN 1 ELSE 0 END FROM runs r WHERE r.shop_id = ? AND r.ends_us > :now - 172800000000`), shop)
	if err != nil {
		return Ends{}, fmt.Errorf("read how long shop %s is needed: %w", shop, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var us int64
		var former string
		var counts bool
		if err := rows.Scan(&us, &former, &counts); err != nil {
			return Ends{}, fmt.Errorf("read how long shop %s is needed: %w", shop, err)
		}
		end := fromMicros(us)
		if e.Former = append(e.Former, end); counts && end.After(e.Needed) {
			e.Needed = end
		}
		for _, text := range strings.Fields(former) {
			if us, err := strconv.ParseInt(text, 10, 64); err == nil {
				e.Former = append(e.Former, fromMicros(us))
			}
		}
	}
	return e, rows.Err()
}

// formerEnds appends the end that a run has now to those that it had, in the text form that Ends reads.
func (s *Store) formerEnds(ctx context.Context, tx *sql.Tx, run string) (string, error) {
	var us int64
	var former string
	if err := tx.QueryRowContext(ctx, `SELECT ends_us, former_us FROM runs WHERE run_id = ?`, run).Scan(&us, &former); err != nil {
		return "", fmt.Errorf("read former ends: %w", err)
	}
	all := append(strings.Fields(former), strconv.FormatInt(us, 10))
	return strings.Join(all[max(0, len(all)-formerKept):], " "), nil
}

// Times are a broadcast's times and the plan's that follow from them.
type Times struct {
	StartsAt, EndsAt, Deadline, PlannedStart time.Time
	Urgent                                   bool
}

// Reschedule moves a run that is planned, warming or ready from the times that old was read with to new ones. If the
// end moved, units that have written keys are opened again to move those keys' expiry (touch), without loading them
// again. It returns ErrState if the run has moved on meanwhile: read it again and decide anew.
func (s *Store) Reschedule(ctx context.Context, old Run, t Times, requestID string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		former, err := s.formerEnds(ctx, tx, old.ID)
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
		if _, err := s.exec(ctx, tx, `UPDATE units SET touch = 1, state = 'waiting', attempts = 0, claim = claim + 1, task_seq = task_seq + 1,
			updated_us = :now WHERE run_id = ? AND epoch = ? AND state IN ('running', 'done')`, old.ID, old.Epoch); err != nil {
			return fmt.Errorf("open units: %w", err)
		}
		_, err = s.exec(ctx, tx, `UPDATE units SET touch = 1 WHERE run_id = ? AND epoch = ? AND state IN ('waiting', 'failed') AND pages > 0`,
			old.ID, old.Epoch)
		return err
	})
}

// Revive makes a skipped or cancelled run a planned one, with new times and under a new epoch.
func (s *Store) Revive(ctx context.Context, old Run, t Times, tier string, force bool, requestID string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		former, err := s.formerEnds(ctx, tx, old.ID)
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
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET state = CASE WHEN started_us = 0 THEN 'planned' ELSE 'warming' END,
			attempts = attempts + 1, updated_us = :now, ready_us = 0, flagged_us = 0 WHERE run_id = ? AND state = 'failed'`, id)
		if err := matched(n, err, "retry run"); err != nil {
			return s.why(ctx, tx, id, err)
		}
		if err := s.release(ctx, tx, id, StageRetried, by); err != nil {
			return err
		}
		touch := 0
		if t != nil {
			touch = 1
			former, err := s.formerEnds(ctx, tx, id)
			if err != nil {
				return err
			}
			if _, err := s.exec(ctx, tx, `UPDATE runs SET former_us = ?, starts_us = ?, ends_us = ?, deadline_us = ?, planned_start_us = ?, urgent = ? WHERE run_id = ?`,
				former, micros(t.StartsAt), micros(t.EndsAt), micros(t.Deadline), micros(t.PlannedStart), t.Urgent, id); err != nil {
				return fmt.Errorf("move run: %w", err)
			}
			if _, err := s.exec(ctx, tx, `UPDATE units SET state = 'waiting', touch = 1, claim = claim + 1, attempts = 0, task_seq = task_seq + 1
				WHERE run_id = ? AND epoch = (SELECT epoch FROM runs WHERE run_id = ?) AND state = 'done'`, id, id); err != nil {
				return fmt.Errorf("open units: %w", err)
			}
		}
		if _, err := s.exec(ctx, tx, `UPDATE units SET state = 'waiting', attempts = 0, task_seq = task_seq + 1, updated_us = :now,
			touch = CASE WHEN ? = 1 AND pages > 0 THEN 1 ELSE touch END
			WHERE run_id = ? AND epoch = (SELECT epoch FROM runs WHERE run_id = ?) AND state = 'failed'`, touch, id, id); err != nil {
			return fmt.Errorf("open failed units: %w", err)
		}
		// A failed run can have nothing left to do: all that had failed was already loaded by a task run by hand.
		_, err = s.settle(ctx, tx, id, by.Who)
		return err
	})
}

// Restart begins a run from scratch under a new epoch, at once. Claims of the old epoch are fenced.
func (s *Store) Restart(ctx context.Context, id string, by By) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
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
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET state = 'cancelled', reason = ?, updated_us = :now
			WHERE run_id = ? AND state IN ('planned', 'warming', 'ready', 'failed')`, clip(cmp.Or(by.Why, "by "+by.Who)), id)
		if err := matched(n, err, "cancel run"); err != nil {
			return s.why(ctx, tx, id, err)
		}
		if err := s.release(ctx, tx, id, StageCancelled, by); err != nil {
			return err
		}
		return s.cancelUnits(ctx, tx, id)
	})
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

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
