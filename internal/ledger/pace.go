package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// OpenWork is what is left of one dataset of one run.
type OpenWork struct {
	RunID         string
	ShopID        string
	BroadcastID   string
	Dataset       string
	Epoch         int
	Tier          string
	StartsAt      time.Time // of the broadcast
	Deadline      time.Time
	PlannedStart  time.Time
	Begun         bool // the run's first unit was claimed
	Urgent        bool // it begins at once, whatever is planned
	Units         int
	RowsEstimated int64 // of these units
	RowsDone      int64
	Longest       int64 // rows left of the unit that has most
}

// OpenWork is what is left of what is not paused, of runs whose broadcast is not over, by urgency.
func (s *Store) OpenWork(ctx context.Context) ([]OpenWork, error) {
	const run = `r.run_id, r.shop_id, r.broadcast_id, r.epoch, r.tier, r.starts_us, r.deadline_us, r.planned_start_us, r.started_us, r.urgent, u.dataset`
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT `+run+`, COUNT(*), SUM(u.rows_estimated), SUM(u.rows_done), MAX(u.rows_estimated - u.rows_done)
		FROM runs r JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch
		WHERE r.state IN ('planned', 'warming', 'ready') AND r.ends_us > :now AND u.state IN ('waiting', 'running') AND `+unitNotPaused+`
		GROUP BY r.run_id, u.dataset`+byUrgency))
	if err != nil {
		return nil, fmt.Errorf("list open work: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []OpenWork
	for rows.Next() {
		var w OpenWork
		var starts, deadline, start, started int64
		if err := rows.Scan(&w.RunID, &w.ShopID, &w.BroadcastID, &w.Epoch, &w.Tier, &starts, &deadline, &start, &started, &w.Urgent, &w.Dataset,
			&w.Units, &w.RowsEstimated, &w.RowsDone, &w.Longest); err != nil {
			return nil, fmt.Errorf("list open work: %w", err)
		}
		w.StartsAt, w.Deadline, w.PlannedStart, w.Begun = fromMicros(starts), fromMicros(deadline), fromMicros(start), started > 0
		all = append(all, w)
	}
	return all, rows.Err()
}

// Rates reads what was learned of each dataset into rates that decode makes; what it cannot read is left out.
func (s *Store) Rates(ctx context.Context, decode func(dataset string, state []byte) error) error {
	rows, err := s.db.QueryContext(ctx, `SELECT dataset, state FROM rates`)
	if err != nil {
		return fmt.Errorf("read rates: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var dataset, state string
		if err := rows.Scan(&dataset, &state); err != nil {
			return fmt.Errorf("read rates: %w", err)
		}
		if err := decode(dataset, []byte(state)); err != nil {
			return fmt.Errorf("read rate of dataset %s: %w", dataset, err)
		}
	}
	return rows.Err()
}

// MergeRate changes what was learned of a dataset: merge gets what is there, nil for nothing, and answers what it is to
// be. It is called again if another pod was faster.
func (s *Store) MergeRate(ctx context.Context, dataset string, merge func(state []byte) (any, error)) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var version int64
		var state string
		var old []byte
		err := tx.QueryRowContext(ctx, `SELECT version, state FROM rates WHERE dataset = ?`, dataset).Scan(&version, &state)
		switch {
		case err == nil:
			old = []byte(state)
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("read rate: %w", err)
		}
		merged, err := merge(old)
		if err != nil {
			return err
		}
		text, err := json.Marshal(merged)
		if err != nil {
			return fmt.Errorf("encode rate: %w", err)
		}
		var n int64
		if old == nil {
			n, err = s.exec(ctx, tx, s.dialect.insertIgnore+` INTO rates (dataset, version, state, updated_us) VALUES (?, 1, ?, :now)`, dataset, string(text))
		} else {
			n, err = s.exec(ctx, tx, `UPDATE rates SET version = version + 1, state = ?, updated_us = :now WHERE dataset = ? AND version = ?`, string(text), dataset, version)
		}
		return matched(n, err, "write rate")
	})
}

// Override is what somebody has set the width to, as it was stored; nil for nothing.
func (s *Store) Override(ctx context.Context) ([]byte, error) {
	var state string
	err := s.db.QueryRowContext(ctx, `SELECT state FROM width_override WHERE id = 1`).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the width's override: %w", err)
	}
	return []byte(state), nil
}

// SetOverride stores what somebody sets the width to, and writes it into the timeline of everything; nil ends it.
func (s *Store) SetOverride(ctx context.Context, state any, by By) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := s.exec(ctx, tx, `DELETE FROM width_override`); err != nil {
			return fmt.Errorf("end the width's override: %w", err)
		}
		if state != nil {
			text, err := json.Marshal(state)
			if err != nil {
				return fmt.Errorf("encode the width's override: %w", err)
			}
			if _, err := s.exec(ctx, tx, `INSERT INTO width_override (id, state, updated_us) VALUES (1, ?, :now)`, string(text)); err != nil {
				return fmt.Errorf("write the width's override: %w", err)
			}
		}
		return s.note(ctx, tx, Event{Unit: -1, Stage: StageWidth, Who: by.Who, Message: by.Why})
	})
}
