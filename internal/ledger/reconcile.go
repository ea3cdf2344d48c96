package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Pod is one process of the cluster.
type Pod struct {
	ID        string
	Version   string
	Slots     int
	Rows      int64 // written since it started
	StartedAt time.Time
	BeatAt    time.Time
}

// Beat says that a pod is alive. Liveness is kept here and not in Redis, so that one clock, the database's, decides it
// in the same statement that takes the work away.
func (s *Store) Beat(ctx context.Context, p Pod) error {
	n, err := s.exec(ctx, s.db, `UPDATE pods SET beat_us = :now, slots = ?, rows_written = ? WHERE pod = ?`, p.Slots, p.Rows, p.ID)
	if err == nil && n == 0 {
		_, err = s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO pods (pod, version, slots, rows_written, started_us, beat_us) VALUES (?, ?, ?, ?, :now, :now)`,
			p.ID, p.Version, p.Slots, p.Rows)
	}
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// Leave removes a pod that has handed its work back.
func (s *Store) Leave(ctx context.Context, pod string) error {
	_, err := s.exec(ctx, s.db, `DELETE FROM pods WHERE pod = ?`, pod)
	if err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// Pods are the pods whose heartbeat is younger than dead.
func (s *Store) Pods(ctx context.Context, dead time.Duration) ([]Pod, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT pod, version, slots, rows_written, started_us, beat_us FROM pods WHERE beat_us > :now - ? ORDER BY started_us, pod`),
		dead.Microseconds())
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var pods []Pod
	for rows.Next() {
		var p Pod
		var started, beat int64
		if err := rows.Scan(&p.ID, &p.Version, &p.Slots, &p.Rows, &started, &beat); err != nil {
			return nil, fmt.Errorf("list pods: %w", err)
		}
		p.StartedAt, p.BeatAt = fromMicros(started), fromMicros(beat)
		pods = append(pods, p)
	}
	return pods, rows.Err()
}

// ForgetPods removes pods that have been dead for a day.
func (s *Store) ForgetPods(ctx context.Context) error {
	if _, err := s.exec(ctx, s.db, `DELETE FROM pods WHERE beat_us < :now - 86400000000`); err != nil {
		return fmt.Errorf("forget pods: %w", err)
	}
	return nil
}

// Orphans are running units whose pod is dead: no heartbeat for longer than dead.
func (s *Store) Orphans(ctx context.Context, dead time.Duration, limit int) ([]Unit, error) {
	return s.units(ctx, s.db, `JOIN runs r ON r.run_id = u.run_id AND r.epoch = u.epoch LEFT JOIN pods p ON p.pod = u.owner
		WHERE r.state IN ('warming', 'ready') AND r.ends_us > :now AND u.state = 'running' AND (p.pod IS NULL OR p.beat_us <= :now - ?) LIMIT ?`, dead.Microseconds(), limit)
}

// Running are running units with what is needed to judge how long they take.
type Running struct {
	Unit
	ShopID   string
	Deadline time.Time
	Now      time.Time // the database's clock
}

// Running are the running units of open runs, those that moved longest ago first.
func (s *Store) Running(ctx context.Context, limit int) ([]Running, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT `+unitColumns+`, r.shop_id, r.deadline_us, :now FROM runs r
		JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch
		WHERE r.state IN ('warming', 'ready') AND r.ends_us > :now AND u.state = 'running' ORDER BY u.updated_us LIMIT ?`), limit)
	if err != nil {
		return nil, fmt.Errorf("list running units: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Running
	for rows.Next() {
		var r Running
		var deadline, now int64
		u, err := scanUnit(tail{rows, []any{&r.ShopID, &deadline, &now}})
		if err != nil {
			return nil, err
		}
		r.Unit, r.Deadline, r.Now = u, fromMicros(deadline), fromMicros(now)
		out = append(out, r)
	}
	return out, rows.Err()
}

// Ended are open runs whose broadcast is over: nobody needs them any more.
func (s *Store) Ended(ctx context.Context, limit int) ([]Run, error) {
	return s.runs(ctx, `r.state IN ('planned', 'warming') AND r.ends_us <= :now`, limit)
}

// Warming are the runs that are being warmed.
func (s *Store) Warming(ctx context.Context, limit int) ([]Run, error) {
	return s.runs(ctx, `r.state = 'warming' AND r.ends_us > :now`, limit)
}

// Cached are runs that have put something into the cache, and whose broadcast is not over.
func (s *Store) Cached(ctx context.Context, limit int) ([]Run, error) {
	return s.runs(ctx, `r.state IN ('warming', 'ready', 'failed') AND r.started_us > 0 AND r.ends_us > :now`, limit)
}

// Held are the running units that a pod holds.
func (s *Store) Held(ctx context.Context, pod string) ([]Unit, error) {
	return s.units(ctx, s.db, `JOIN runs r ON r.run_id = u.run_id AND r.epoch = u.epoch
		WHERE r.state IN ('warming', 'ready') AND r.ends_us > :now AND u.state = 'running' AND u.owner = ?`, pod)
}

// TakeOver takes a running unit from an owner that does not work on it any more, for the reason why: the fence moves on, so that whatever the owner
// still writes is refused, and the unit waits for its next attempt under a new task number. At most attempts claims
// are made in all; with those used up it has failed. ErrFenced: the unit moved meanwhile; nothing was done.
func (s *Store) TakeOver(ctx context.Context, u Unit, attempts int, why string) (Settled, error) {
	state := UnitWaiting
	if u.Attempts >= attempts {
		state = UnitFailed
	}
	msg := fmt.Sprintf("%s (pod %s, attempt %d of %d)", why, u.Owner, u.Attempts, attempts)
	return s.end(ctx, u, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE units SET state = ?, recovers = claim, claim = claim + 1, task_seq = task_seq + 1, last_error = ?, updated_us = :now`+fence,
			append([]any{state, msg}, fenceArgs(u)...)...)
		if err != nil {
			return fmt.Errorf("take unit over: %w", err)
		}
		if n == 0 {
			return ErrFenced
		}
		return s.note(ctx, tx, unitEvent(u, StageTakenOver, reconciliation, msg))
	})
}

// Due is a unit that waits, with what its task needs of the run.
type Due struct {
	Unit
	ShopID       string
	Deadline     time.Time
	PlannedStart time.Time
	Urgent       bool
}

// Waiting are units that wait for a task, of runs that are not paused and whose broadcast is not over, after the given position (run, unit), in that order.
func (s *Store) Waiting(ctx context.Context, afterRun string, afterUnit, limit int) ([]Due, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT `+unitColumns+`, r.shop_id, r.deadline_us, r.planned_start_us, r.urgent
		FROM runs r JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch
		WHERE r.state IN ('planned', 'warming', 'ready') AND r.ends_us > :now AND `+unitNotPaused+`
		AND u.state = 'waiting' AND (u.run_id > ? OR (u.run_id = ? AND u.unit > ?))
		ORDER BY u.run_id, u.unit LIMIT ?`), afterRun, afterRun, afterUnit, limit)
	if err != nil {
		return nil, fmt.Errorf("list waiting units: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var due []Due
	for rows.Next() {
		var d Due
		var deadline, start int64
		u, err := scanUnit(tail{rows, []any{&d.ShopID, &deadline, &start, &d.Urgent}})
		if err != nil {
			return nil, err
		}
		d.Unit, d.Deadline, d.PlannedStart = u, fromMicros(deadline), fromMicros(start)
		due = append(due, d)
	}
	return due, rows.Err()
}

// WaitingOf are the waiting units of one run, as Waiting gives them.
func (s *Store) WaitingOf(ctx context.Context, run Run) ([]Due, error) {
	units, err := s.units(ctx, s.db, `WHERE u.run_id = ? AND u.epoch = ? AND u.state = 'waiting' ORDER BY u.unit`, run.ID, run.Epoch)
	if err != nil {
		return nil, err
	}
	due := make([]Due, len(units))
	for i, u := range units {
		due[i] = Due{Unit: u, ShopID: run.ShopID, Deadline: run.Deadline, PlannedStart: run.PlannedStart, Urgent: run.Urgent}
	}
	return due, nil
}

// tail scans extra columns behind those of another scan.
type tail struct {
	scanner
	extra []any
}

func (t tail) Scan(dest ...any) error { return t.scanner.Scan(append(dest, t.extra...)...) }

// Supersede moves a waiting unit on to a new task number, which it returns; tasks with older numbers are dropped by
// whoever gets them. ErrFenced: the unit moved meanwhile and needs no new task.
func (s *Store) Supersede(ctx context.Context, u Unit) (seq int, err error) {
	n, err := s.exec(ctx, s.db, `UPDATE units SET task_seq = task_seq + 1 WHERE run_id = ? AND epoch = ? AND unit = ? AND task_seq = ? AND state = 'waiting'`,
		u.RunID, u.Epoch, u.Unit, u.TaskSeq)
	if err != nil {
		return 0, fmt.Errorf("supersede task: %w", err)
	}
	if n == 0 {
		return 0, ErrFenced
	}
	return u.TaskSeq + 1, nil
}

// Flaggable are the runs of broadcasts that are not over, as far as their flags are concerned: ShopID, BroadcastID, State,
// Epoch and EndsAt are set. A ready run should have a ready flag, any other should not.
func (s *Store) Flaggable(ctx context.Context) ([]Run, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT r.run_id, r.shop_id, r.broadcast_id, r.state, r.epoch, r.ends_us FROM runs r
		WHERE r.state IN ('planned', 'warming', 'ready', 'failed', 'cancelled') AND r.ends_us > :now`))
	if err != nil {
		return nil, fmt.Errorf("list runs for their flags: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var runs []Run
	for rows.Next() {
		var r Run
		var ends int64
		if err := rows.Scan(&r.ID, &r.ShopID, &r.BroadcastID, &r.State, &r.Epoch, &ends); err != nil {
			return nil, fmt.Errorf("list runs for their flags: %w", err)
		}
		r.EndsAt = fromMicros(ends)
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// runs are the runs that meet a condition, those with the earliest deadline first.
func (s *Store) runs(ctx context.Context, where string, limit int, args ...any) ([]Run, error) {
	rows, err := s.db.QueryContext(ctx, s.text(runSelect+` WHERE `+where+` GROUP BY r.run_id ORDER BY r.deadline_us LIMIT ?`), append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var runs []Run
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// Requeue moves the waiting units of a run on to new task numbers and returns them, as after a pause in which their tasks
// were dropped.
func (s *Store) Requeue(ctx context.Context, run Run) ([]Due, error) {
	if _, err := s.exec(ctx, s.db, `UPDATE units SET task_seq = task_seq + 1 WHERE run_id = ? AND epoch = ? AND state = 'waiting'`,
		run.ID, run.Epoch); err != nil {
		return nil, fmt.Errorf("supersede tasks: %w", err)
	}
	return s.WaitingOf(ctx, run)
}

// Now is the database's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var us int64
	if err := s.db.QueryRowContext(ctx, s.text(`SELECT :now`)).Scan(&us); err != nil {
		return time.Time{}, fmt.Errorf("read the ledger's clock: %w", err)
	}
	return fromMicros(us), nil
}

// Gone says whether an error means that the work is no longer the caller's.
func Gone(err error) bool { return errors.Is(err, ErrFenced) || errors.Is(err, ErrNotClaimable) }

// Backlog is what open runs have still to do.
type Backlog struct {
	Rows          int64     // estimated less done
	FirstDeadline time.Time // of the open runs; zero: none is open
	Now           time.Time
}

// Backlog sums up the open runs.
func (s *Store) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	var deadline, now int64
	err := s.db.QueryRowContext(ctx, s.text(`SELECT COALESCE(SUM(left_rows), 0), COALESCE(MIN(deadline_us), 0), :now FROM (
		SELECT r.deadline_us, SUM(CASE WHEN u.state IN ('waiting', 'running') AND u.rows_estimated > u.rows_done
			THEN u.rows_estimated - u.rows_done ELSE 0 END) AS left_rows
		FROM runs r LEFT JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch
		WHERE r.state IN ('planned', 'warming') GROUP BY r.run_id, r.deadline_us) q`)).Scan(&b.Rows, &deadline, &now)
	if err != nil {
		return Backlog{}, fmt.Errorf("sum up the backlog: %w", err)
	}
	b.FirstDeadline, b.Now = fromMicros(deadline), fromMicros(now)
	return b, nil
}
