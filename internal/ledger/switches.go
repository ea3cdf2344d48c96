package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Scope is what a switch acts on: everything, a shop, a run, or a dataset of all shops.
type Scope struct{ Kind, ID string }

// Kinds of scopes.
const (
	ScopeAll     = "all"
	ScopeShop    = "shop"
	ScopeRun     = "run"
	ScopeDataset = "dataset"
)

func (s Scope) String() string {
	if s.Kind == ScopeAll {
		return "everything"
	}
	return s.Kind + " " + s.ID
}

// Switch is a pause that is in force.
type Switch struct {
	Scope
	Who, Why string
	Since    time.Time
}

// String says who paused what, and why.
func (w Switch) String() string {
	text := w.Scope.String() + " is paused by " + w.Who
	if w.Why != "" {
		text += ": " + w.Why
	}
	return text
}

// Pause stops the work on everything, a shop, a run or a dataset at the next page boundaries, also of runs that come later, until it
// is resumed. Pausing twice changes nothing and is no error. ErrNotFound, ErrState: there is no such run, or it is over.
func (s *Store) Pause(ctx context.Context, on Scope, by By) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		e := Event{ShopID: shopOf(on), Unit: -1, Stage: StagePaused, Who: by.Who, Message: messageOf(on, by)}
		if on.Kind == ScopeRun {
			n, err := s.exec(ctx, tx, `UPDATE runs SET updated_us = :now WHERE run_id = ? AND state IN ('planned', 'warming', 'ready', 'failed')`, on.ID)
			if err := matched(n, err, "pause run"); err != nil {
				return s.why(ctx, tx, on.ID, err)
			}
			e.RunID = on.ID
		}
		n, err := s.exec(ctx, tx, s.dialect.insertIgnore+` INTO switches (kind, id, who, why, set_us) VALUES (?, ?, ?, ?, :now)`,
			on.Kind, on.ID, clipWho(by.Who), clip(by.Why))
		if err != nil {
			return fmt.Errorf("pause %s: %w", on, err)
		}
		if n == 0 {
			return nil
		}
		return s.note(ctx, tx, e)
	})
}

// Resume ends a pause. ErrState if it is not paused; a wider pause may be in force all the same.
func (s *Store) Resume(ctx context.Context, on Scope, by By) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `DELETE FROM switches WHERE kind = ? AND id = ?`, on.Kind, on.ID)
		if err != nil {
			return fmt.Errorf("resume %s: %w", on, err)
		}
		if n == 0 {
			return fmt.Errorf("%w: %s is not paused", ErrState, on)
		}
		e := Event{ShopID: shopOf(on), Unit: -1, Stage: StageResumed, Who: by.Who, Message: messageOf(on, by)}
		if on.Kind == ScopeRun {
			e.RunID = on.ID
		}
		return s.note(ctx, tx, e)
	})
}

func shopOf(on Scope) string {
	if on.Kind == ScopeShop {
		return on.ID
	}
	return ""
}

// messageOf names a dataset, for which an event has no column.
func messageOf(on Scope, by By) string {
	switch {
	case on.Kind != ScopeDataset:
		return by.Why
	case by.Why == "":
		return on.String()
	}
	return on.String() + ": " + by.Why
}

// covers joins the switches (w) that pause a run (r) as a whole.
const covers = `w.kind = 'all' OR (w.kind = 'shop' AND w.id = r.shop_id) OR (w.kind = 'run' AND w.id = r.run_id)`

// notPaused is a condition on a run (r), unitNotPaused on a unit (u) of a run (r).
const (
	notPaused     = `NOT EXISTS (SELECT 1 FROM switches w WHERE ` + covers + `)`
	unitNotPaused = `NOT EXISTS (SELECT 1 FROM switches w WHERE ` + covers + ` OR (w.kind = 'dataset' AND w.id = u.dataset))`
)

const switchColumns = `w.kind, w.id, w.who, w.why, w.set_us`

// Switches are the pauses in force, the widest first.
func (s *Store) Switches(ctx context.Context) ([]Switch, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+switchColumns+` FROM switches w ORDER BY w.kind, w.id`)
	if err != nil {
		return nil, fmt.Errorf("list switches: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Switch
	for rows.Next() {
		var w Switch
		var us int64
		if err := rows.Scan(&w.Kind, &w.ID, &w.Who, &w.Why, &us); err != nil {
			return nil, fmt.Errorf("list switches: %w", err)
		}
		w.Since = fromMicros(us)
		all = append(all, w)
	}
	return all, rows.Err()
}

// Paused is the widest switch that pauses a dataset of a run, or nil; "" asks for the run as a whole.
func (s *Store) Paused(ctx context.Context, run Run, dataset string) (*Switch, error) {
	var w Switch
	var us int64
	err := s.db.QueryRowContext(ctx, `SELECT `+switchColumns+` FROM switches w WHERE kind = 'all' OR (kind = 'shop' AND id = ?) OR (kind = 'run' AND id = ?)
		OR (kind = 'dataset' AND id = ?) ORDER BY w.kind LIMIT 1`, run.ShopID, run.ID, dataset).Scan(&w.Kind, &w.ID, &w.Who, &w.Why, &us)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // not paused
	}
	if err != nil {
		return nil, fmt.Errorf("read switch: %w", err)
	}
	w.Since = fromMicros(us)
	return &w, nil
}

// Covers says whether the switch pauses a dataset of a run; "" asks for the run as a whole.
func (w Switch) Covers(shop, run, dataset string) bool {
	switch w.Kind {
	case ScopeAll:
		return true
	case ScopeShop:
		return w.ID == shop
	case ScopeRun:
		return w.ID == run
	case ScopeDataset:
		return w.ID == dataset
	}
	return false
}

// Task is what a task's handler asks before it begins.
type Task struct {
	Run    Run // without its sums
	Unit   Unit
	Paused *Switch   // what pauses it, if anything
	Now    time.Time // the database's clock
}

// Task is a unit of an epoch, with its run as it stands now. ErrNotFound: there is no such run, or no such unit.
func (s *Store) Task(ctx context.Context, run string, epoch, unit int) (t Task, err error) {
	r := &t.Run
	r.ID = run
	var starts, ends, deadline, start, started, now int64
	t.Unit, err = scanUnit(tail{s.db.QueryRowContext(ctx, s.text(`SELECT `+unitColumns+`, r.shop_id, r.broadcast_id, r.state, r.epoch, r.tier,
		r.starts_us, r.ends_us, r.deadline_us, r.planned_start_us, r.started_us, :now FROM units u JOIN runs r ON r.run_id = u.run_id
		WHERE u.run_id = ? AND u.epoch = ? AND u.unit = ?`), run, epoch, unit),
		[]any{&r.ShopID, &r.BroadcastID, &r.State, &r.Epoch, &r.Tier, &starts, &ends, &deadline, &start, &started, &now}})
	if err != nil {
		return Task{}, err
	}
	r.StartsAt, r.EndsAt, r.Deadline, t.Now = fromMicros(starts), fromMicros(ends), fromMicros(deadline), fromMicros(now)
	r.PlannedStart, r.StartedAt = fromMicros(start), fromMicros(started)
	t.Paused, err = s.Paused(ctx, *r, t.Unit.Dataset)
	return t, err
}

// Claimed names a claim of a unit.
type Claimed struct {
	RunID string
	Epoch int
	Unit  int
	Claim int64
}

// Standing are those of the claims that still stand: the newest of their unit, of the run's epoch, and running, or done
// by them. The others were cancelled or taken over.
func (s *Store) Standing(ctx context.Context, claims []Claimed) (map[Claimed]bool, error) {
	if len(claims) == 0 {
		return map[Claimed]bool{}, nil
	}
	args := make([]any, 0, 4*len(claims))
	for _, c := range claims {
		args = append(args, c.RunID, c.Epoch, c.Unit, c.Claim)
	}
	where := strings.TrimSuffix(strings.Repeat("(u.run_id = ? AND u.epoch = ? AND u.unit = ? AND u.claim = ?) OR ", len(claims)), " OR ")
	rows, err := s.db.QueryContext(ctx, `SELECT u.run_id, u.epoch, u.unit, u.claim FROM units u
		JOIN runs r ON r.run_id = u.run_id AND r.epoch = u.epoch WHERE u.state IN ('running', 'done') AND (`+where+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("look at claims: %w", err)
	}
	defer func() { _ = rows.Close() }()
	standing := map[Claimed]bool{}
	for rows.Next() {
		var c Claimed
		if err := rows.Scan(&c.RunID, &c.Epoch, &c.Unit, &c.Claim); err != nil {
			return nil, fmt.Errorf("look at claims: %w", err)
		}
		standing[c] = true
	}
	return standing, rows.Err()
}
