package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

const runColumns = `r.run_id, r.shop_id, r.broadcast_id, r.request_id, r.tier, r.forced, r.starts_us, r.ends_us,
	r.deadline_us, r.planned_start_us, r.state, r.reason, r.epoch, r.attempts, r.last_error, r.late, r.urgent,
	r.planned_us, r.started_us, r.ready_us, r.flagged_us, r.audited_us, r.created_us, r.updated_us, r.rows_estimated, r.after_us`

// The sums are over the units of the run's present epoch.
const runSums = `COALESCE(SUM(u.rows_done), 0), COUNT(u.unit),
	COALESCE(SUM(CASE WHEN u.state = 'done' THEN 1 ELSE 0 END), 0),
	COALESCE(SUM(CASE WHEN u.state = 'failed' THEN 1 ELSE 0 END), 0)`

const runSelect = `SELECT ` + runColumns + `, ` + runSums + `
	FROM runs r LEFT JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch`

type scanner interface{ Scan(dest ...any) error }

func scanRun(row scanner) (Run, error) {
	var r Run
	var starts, ends, deadline, plannedStart, planned, started, ready, flagged, audited, created, updated, after int64
	err := row.Scan(&r.ID, &r.ShopID, &r.BroadcastID, &r.RequestID, &r.Tier, &r.Force, &starts, &ends,
		&deadline, &plannedStart, &r.State, &r.Reason, &r.Epoch, &r.Attempts, &r.LastError, &r.Late, &r.Urgent,
		&planned, &started, &ready, &flagged, &audited, &created, &updated, &r.RowsEstimated, &after,
		&r.RowsDone, &r.UnitsTotal, &r.UnitsDone, &r.UnitsFailed)
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, ErrNotFound
	}
	if err != nil {
		return Run{}, fmt.Errorf("read run: %w", err)
	}
	r.StartsAt, r.EndsAt, r.Deadline, r.PlannedStart = fromMicros(starts), fromMicros(ends), fromMicros(deadline), fromMicros(plannedStart)
	r.PlannedAt, r.StartedAt, r.ReadyAt, r.FlaggedAt = fromMicros(planned), fromMicros(started), fromMicros(ready), fromMicros(flagged)
	r.AuditedAt, r.CreatedAt, r.UpdatedAt = fromMicros(audited), fromMicros(created), fromMicros(updated)
	r.AfterEnd = time.Duration(after) * time.Microsecond
	return r, nil
}

// Create writes a new run, unless the shop's broadcast has one: then created is false and run is the one there is.
// The unique key on (shop, broadcast) decides between any number of callers.
func (s *Store) Create(ctx context.Context, r Run) (run Run, created bool, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		if r.State != RunSkipped {
			if err := s.admitted(ctx, tx, r.ShopID); err != nil {
				return err
			}
		}
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

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }
