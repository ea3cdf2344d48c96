package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is what was told of a row that changed, or of all rows of a shop's dataset.
type Change struct {
	ID         int64
	Via        string // how it came: http, asynq, …
	Who        string
	About      string // what the sender called it by: a dataset, or a table
	Dataset    string // empty: none that is known
	ShopID     string
	RowKey     string // the row's cursor; empty: all of the shop's dataset
	Op         string
	Before     string // JSON; empty: not told
	After      string
	Needed     bool   // it asks for something to be done
	Why        string // why not
	Urgent     bool   // it must be out of the cache first
	ChangedAt  time.Time
	ReceivedAt time.Time
	HandledAt  time.Time
	HandledBy  string
}

// Pending is a row that is to be read again, or all of a shop's dataset (RowKey "").
type Pending struct {
	ShopID  string
	Dataset string
	RowKey  string
	Urgent  bool  // it may have to leave the cache, and goes first
	Times   int64 // how often it has changed since it was last read
	NotedAt time.Time
}

// MaxRowKey is the longest cursor that can be noted, in characters.
const MaxRowKey = 500

// changeRows bounds one INSERT of changes.
const changeRows = 500

// cached is a condition on a run (r): some of it stands in the cache, and its broadcast is not over.
const cached = `r.ends_us > :now AND r.state IN ('planned', 'warming', 'ready', 'failed') AND (r.started_us > 0 OR r.epoch > 1)`

// SaveChanges records changes, and notes those that are needed as pending. All or none.
func (s *Store) SaveChanges(ctx context.Context, changes []Change) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var pending []Pending
		for rest := changes; len(rest) > 0; {
			part := rest[:min(changeRows, len(rest))]
			rest = rest[len(part):]
			if err := s.insertChanges(ctx, tx, part); err != nil {
				return err
			}
		}
		for _, c := range changes {
			if c.Needed {
				pending = append(pending, Pending{ShopID: c.ShopID, Dataset: c.Dataset, RowKey: c.RowKey, Urgent: c.Urgent})
			}
		}
		return s.pend(ctx, tx, pending)
	})
}

func (s *Store) insertChanges(ctx context.Context, tx *sql.Tx, changes []Change) error {
	args := make([]any, 0, 12*len(changes))
	for _, c := range changes {
		args = append(args, c.Via, clipWho(c.Who), clipWho(c.About), c.Dataset, c.ShopID, c.RowKey, c.Op, clip(c.Before), clip(c.After), c.Needed, clipWho(c.Why), micros(c.ChangedAt))
	}
	values := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, :now), ", len(changes)), ", ")
	if _, err := s.exec(ctx, tx, `INSERT INTO changes (via, who, about, dataset, shop_id, row_key, op, before_row, after_row, needed, why, changed_us, received_us) VALUES `+values, args...); err != nil {
		return fmt.Errorf("record changes: %w", err)
	}
	return nil
}

// pend notes rows that are to be read again, in one order, so that no two wait for each other.
func (s *Store) pend(ctx context.Context, on execer, rows []Pending) error {
	slices.SortFunc(rows, func(a, b Pending) int {
		return cmp.Or(strings.Compare(a.ShopID, b.ShopID), strings.Compare(a.Dataset, b.Dataset), strings.Compare(a.RowKey, b.RowKey))
	})
	for len(rows) > 0 {
		part := rows[:min(changeRows, len(rows))]
		rows = rows[len(part):]
		args := make([]any, 0, 4*len(part))
		for _, p := range part {
			args = append(args, p.ShopID, p.Dataset, p.RowKey, p.Urgent)
		}
		values := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, :now), ", len(part)), ", ")
		if _, err := s.exec(ctx, on, `INSERT INTO pending (shop_id, dataset, row_key, urgent, noted_us) VALUES `+values+` `+s.dialect.onTaken+` times = times + 1`, args...); err != nil {
			return fmt.Errorf("note changed rows: %w", err)
		}
	}
	return nil
}

// Pend notes rows that are to be read again, without a record of why, and how far the feed that told of them has been
// read; nil: no feed did.
func (s *Store) Pend(ctx context.Context, rows []Pending, feed *Feed) error {
	if feed == nil {
		return s.tx(ctx, func(tx *sql.Tx) error { return s.pend(ctx, tx, rows) })
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.pend(ctx, tx, rows); err != nil {
			return err
		}
		return s.saveFeed(ctx, tx, *feed)
	})
}

// Group is the rows of a shop's dataset.
type Group struct{ ShopID, Dataset string }

// Pending are rows that are to be read again and whose shop is not paused, the urgent ones first, then those that have
// waited longest, but none of the groups that somebody is at. upto is the newest change that may be among them: it is of the
// same statement, so that no change can be among the rows and be newer.
func (s *Store) Pending(ctx context.Context, but []Group, limit int) (rows []Pending, upto int64, err error) {
	var args []any
	except := ""
	for _, g := range but {
		except += " AND NOT (p.shop_id = ? AND p.dataset = ?)"
		args = append(args, g.ShopID, g.Dataset)
	}
	found, err := s.db.QueryContext(ctx, `SELECT p.shop_id, p.dataset, p.row_key, p.urgent, p.times, p.noted_us, (SELECT COALESCE(MAX(id), 0) FROM changes) FROM pending p
		WHERE NOT EXISTS (SELECT 1 FROM switches w WHERE w.kind = 'all' OR (w.kind = 'shop' AND w.id = p.shop_id) OR (w.kind = 'dataset' AND w.id = p.dataset))`+except+`
		ORDER BY p.urgent DESC, p.noted_us LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, 0, fmt.Errorf("list changed rows: %w", err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var p Pending
		var us int64
		if err := found.Scan(&p.ShopID, &p.Dataset, &p.RowKey, &p.Urgent, &p.Times, &us, &upto); err != nil {
			return nil, 0, fmt.Errorf("list changed rows: %w", err)
		}
		p.NotedAt = fromMicros(us)
		rows = append(rows, p)
	}
	return rows, upto, found.Err()
}

// Handled takes rows of one shop's dataset off the list, unless they have changed again since they were listed, and records
// by whom the changes up to the given one were handled.
func (s *Store) Handled(ctx context.Context, rows []Pending, upto int64, who string) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for len(rows) > 0 {
			part := rows[:min(changeRows, len(rows))]
			rows = rows[len(part):]
			if err := s.handled(ctx, tx, part, upto, who); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) handled(ctx context.Context, tx *sql.Tx, rows []Pending, upto int64, who string) error {
	shop, dataset := rows[0].ShopID, rows[0].Dataset
	gone := []any{shop, dataset}
	keys := []any{who, shop, dataset, upto}
	for _, p := range rows {
		gone = append(gone, p.RowKey, p.Times)
		keys = append(keys, p.RowKey)
	}
	each := strings.TrimSuffix(strings.Repeat("(row_key = ? AND times = ?) OR ", len(rows)), " OR ")
	if _, err := s.exec(ctx, tx, `DELETE FROM pending WHERE shop_id = ? AND dataset = ? AND (`+each+`)`, gone...); err != nil {
		return fmt.Errorf("take changed rows off the list: %w", err)
	}
	if upto == 0 {
		return nil
	}
	if _, err := s.exec(ctx, tx, `UPDATE changes SET handled_us = :now, handled_by = ? WHERE shop_id = ? AND dataset = ? AND handled_us = 0 AND needed = 1
		AND id <= ? AND row_key IN (`+marks(len(rows))+`)`, keys...); err != nil {
		return fmt.Errorf("record handled changes: %w", err)
	}
	return nil
}

// PendingCount is how many rows are to be read again, and since when the first of them waits.
func (s *Store) PendingCount(ctx context.Context) (n int64, since time.Time, err error) {
	var us int64
	if err := s.db.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(noted_us), 0) FROM pending`).Scan(&n, &us); err != nil {
		return 0, time.Time{}, fmt.Errorf("count changed rows: %w", err)
	}
	return n, fromMicros(us), nil
}

// Changes are recorded changes, newest first, from before the given id on (0: from the newest on); of one shop, if it is
// not empty.
func (s *Store) Changes(ctx context.Context, shop string, before int64, limit int) ([]Change, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, via, who, about, dataset, shop_id, row_key, op, before_row, after_row, needed, why, changed_us, received_us, handled_us, handled_by
		FROM changes WHERE (? = '' OR shop_id = ?) AND (? = 0 OR id < ?) ORDER BY id DESC LIMIT ?`, shop, shop, before, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Change
	for rows.Next() {
		var c Change
		var changed, received, handled int64
		if err := rows.Scan(&c.ID, &c.Via, &c.Who, &c.About, &c.Dataset, &c.ShopID, &c.RowKey, &c.Op, &c.Before, &c.After, &c.Needed, &c.Why, &changed, &received, &handled, &c.HandledBy); err != nil {
			return nil, fmt.Errorf("list changes: %w", err)
		}
		c.ChangedAt, c.ReceivedAt, c.HandledAt = fromMicros(changed), fromMicros(received), fromMicros(handled)
		all = append(all, c)
	}
	return all, rows.Err()
}

// The record of changes is kept for so long, and not beyond so many.
const (
	changesDays = 3
	changesMost = 1_000_000
	changesTrim = 20_000 // at a time
)

// TrimChanges removes what is too old of the record of changes, a part of it at a time.
func (s *Store) TrimChanges(ctx context.Context) error {
	var first, last int64
	if err := s.db.QueryRowContext(ctx, `SELECT COALESCE(MIN(id), 0), COALESCE(MAX(id), 0) FROM changes`).Scan(&first, &last); err != nil {
		return fmt.Errorf("trim changes: %w", err)
	}
	if first == 0 {
		return nil
	}
	if _, err := s.exec(ctx, s.db, `DELETE FROM changes WHERE id < ? AND (id <= ? OR received_us < :now - ?)`,
		first+changesTrim, last-changesMost, int64(changesDays)*24*time.Hour.Microseconds()); err != nil {
		return fmt.Errorf("trim changes: %w", err)
	}
	return nil
}
