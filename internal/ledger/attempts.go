package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Attempt is how one attempt at a unit has spent its time. What is neither reading nor writing nor held is the lease, the claim
// and the like.
type Attempt struct {
	RunID   string
	Unit    int
	Outcome string // done, handed_back, failed …
	From    time.Time
	To      time.Time
	Read    time.Duration // waiting for pages to be read
	Write   time.Duration // writing pages and recording them
	Held    time.Duration // before a page, as all work was
	DB      time.Duration // of the statements that read, part of it hidden behind the writing
	Rows    int64
	Bytes   int64
}

// NoteAttempt records how the attempt of a claim went; it has just ended.
func (s *Store) NoteAttempt(ctx context.Context, u Unit, a Attempt) error {
	_, err := s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO attempts (run_id, epoch, unit, claim, outcome, from_us, to_us, read_us, write_us, held_us, db_us, loaded, bytes)
		VALUES (?, ?, ?, ?, ?, ?, :now, ?, ?, ?, ?, ?, ?)`, u.RunID, u.Epoch, u.Unit, u.Claim, a.Outcome, micros(u.ClaimedAt),
		a.Read.Microseconds(), a.Write.Microseconds(), a.Held.Microseconds(), a.DB.Microseconds(), a.Rows, a.Bytes)
	if err != nil {
		return fmt.Errorf("record attempt: %w", err)
	}
	return nil
}

// Attempts are those of a run's epoch, as they were recorded: the attempt of a pod that died was not.
func (s *Store) Attempts(ctx context.Context, run Run) ([]Attempt, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT run_id, unit, outcome, from_us, to_us, read_us, write_us, held_us, db_us, loaded, bytes
		FROM attempts WHERE run_id = ? AND epoch = ? ORDER BY unit, claim`, run.ID, run.Epoch)
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Attempt
	for rows.Next() {
		var a Attempt
		var from, to, read, write, held, db int64
		if err := rows.Scan(&a.RunID, &a.Unit, &a.Outcome, &from, &to, &read, &write, &held, &db, &a.Rows, &a.Bytes); err != nil {
			return nil, fmt.Errorf("list attempts: %w", err)
		}
		a.From, a.To = fromMicros(from), fromMicros(to)
		for _, d := range []struct {
			into *time.Duration
			us   int64
		}{{&a.Read, read}, {&a.Write, write}, {&a.Held, held}, {&a.DB, db}} {
			*d.into = time.Duration(d.us) * time.Microsecond
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// Throttle is a time in which work was held back, and by what.
type Throttle struct {
	From, To time.Time
	Cause    string // a signal, or "by hand"
	Reason   string
}

// Throttled says that work is held back now, since from, which the first call answers: zero begins anew.
func (s *Store) Throttled(ctx context.Context, from time.Time, cause, reason string) (time.Time, error) {
	if from.IsZero() {
		now, err := s.Now(ctx)
		if err != nil {
			return from, err
		}
		_, err = s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO throttles (from_us, to_us, cause, reason) VALUES (?, ?, ?, ?)`, micros(now), micros(now), cause, clip(reason))
		if err != nil {
			return from, fmt.Errorf("record throttle: %w", err)
		}
		return now, nil
	}
	if _, err := s.exec(ctx, s.db, `UPDATE throttles SET to_us = :now WHERE from_us = ?`, micros(from)); err != nil {
		return from, fmt.Errorf("record throttle: %w", err)
	}
	return from, nil
}

// Throttles are those that touch [from, to).
func (s *Store) Throttles(ctx context.Context, from, to time.Time) ([]Throttle, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT from_us, to_us, cause, reason FROM throttles WHERE to_us > ? AND from_us < ? ORDER BY from_us`, micros(from), micros(to))
	if err != nil {
		return nil, fmt.Errorf("list throttles: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Throttle
	for rows.Next() {
		var t Throttle
		var from, to int64
		if err := rows.Scan(&from, &to, &t.Cause, &t.Reason); err != nil {
			return nil, fmt.Errorf("list throttles: %w", err)
		}
		t.From, t.To = fromMicros(from), fromMicros(to)
		all = append(all, t)
	}
	return all, rows.Err()
}

// RunsOn are the runs whose broadcasts start in [from, to), by their start.
func (s *Store) RunsOn(ctx context.Context, from, to time.Time, limit int) ([]Run, error) {
	return s.runs(ctx, `r.starts_us >= ? AND r.starts_us < ?`, limit, micros(from), micros(to))
}

// RequestsOn are the requests received in [from, to), oldest first.
func (s *Store) RequestsOn(ctx context.Context, from, to time.Time) (all []Request, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+requestColumns+` FROM requests WHERE received_us >= ? AND received_us < ? ORDER BY received_us`, micros(from), micros(to))
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		r, err := scanRequest(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// reportKept is how long attempts and throttles are kept: 35 days.
const reportKept = 35 * 24 * time.Hour

// SendReport says whether the report of a day is the caller's to send: once, of any number of callers.
func (s *Store) SendReport(ctx context.Context, day string) (bool, error) {
	n, err := s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO reports (day, sent_us) VALUES (?, :now)`, day)
	if err != nil {
		return false, fmt.Errorf("record report: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	for _, table := range []string{"attempts", "throttles"} {
		if _, err := s.exec(ctx, s.db, `DELETE FROM `+table+` WHERE to_us < :now - ?`, reportKept.Microseconds()); err != nil {
			return true, fmt.Errorf("trim %s: %w", table, err)
		}
	}
	return true, nil
}
