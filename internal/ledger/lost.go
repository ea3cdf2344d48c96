package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// LostUnit is a unit of which the cache has lost pages. What it is known by must still hold when it is taken back.
type LostUnit struct {
	Unit   int
	Marked int64 // its stamp when the loss was seen
	Claim  int64 // the claim that saw it; 0: the reconciliation did
}

// Loss is what a cache has lost of a run.
type Loss struct {
	Units []LostUnit // their loading begins anew
	Start time.Time  // not before
	By    By
}

// Lost takes the units that the cache has lost back to their beginning, and a ready run back to warming, which it is
// urgently. The claims on those units are fenced. A failed run stays failed; its units begin anew when it is retried.
// ErrState: the run or all of the units have moved on, and nothing was done.
func (s *Store) Lost(ctx context.Context, run Run, l Loss) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET urgent = 1, planned_start_us = ?, ready_us = 0, flagged_us = 0, late = 0, updated_us = :now,
			state = CASE WHEN state = 'ready' THEN 'warming' ELSE state END
			WHERE run_id = ? AND epoch = ? AND state IN ('warming', 'ready', 'failed')`, micros(l.Start), run.ID, run.Epoch)
		if err := matched(n, err, "take lost units back"); err != nil {
			return err
		}
		taken := int64(0)
		for rest := l.Units; len(rest) > 0; {
			part := rest[:min(insertRows, len(rest))]
			rest = rest[len(part):]
			args := []any{run.ID, run.Epoch}
			for _, u := range part {
				args = append(args, u.Unit, u.Marked, u.Claim, u.Claim)
			}
			n, err := s.exec(ctx, tx, `UPDATE units SET state = CASE WHEN state = 'failed' THEN 'failed' ELSE 'waiting' END, key_cursor = '',
				rows_done = 0, pages = 0, rejects = 0, marked = 0, touch = 0, carries = 0, attempts = 0, claim = claim + 1, task_seq = task_seq + 1, updated_us = :now
				WHERE run_id = ? AND epoch = ? AND state <> 'cancelled' AND (`+
				strings.TrimSuffix(strings.Repeat("(unit = ? AND marked = ? AND (claim = ? OR 0 = ?)) OR ", len(part)), " OR ")+`)`, args...)
			if err != nil {
				return fmt.Errorf("take lost units back: %w", err)
			}
			taken += n
		}
		if taken == 0 {
			return fmt.Errorf("take lost units back: %w", ErrState)
		}
		return s.note(ctx, tx, runEvent(run.ID, run.Epoch, StageCacheLost, l.By))
	})
}

// Losses is how often the cache has lost something of a run's epoch.
func (s *Store) Losses(ctx context.Context, run Run) (n int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM events WHERE run_id = ? AND epoch = ? AND stage = ?`, run.ID, run.Epoch, StageCacheLost).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count losses: %w", err)
	}
	return n, nil
}

// GiveUp marks a run as failed that cannot be or stay warm, whatever is left of it. ErrState: it has moved on.
func (s *Store) GiveUp(ctx context.Context, run Run, by By) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET state = 'failed', last_error = ?, ready_us = 0, flagged_us = 0, late = 0, updated_us = :now
			WHERE run_id = ? AND epoch = ? AND state IN ('planned', 'warming', 'ready')`, clip(by.Why), run.ID, run.Epoch)
		if err := matched(n, err, "give run up"); err != nil {
			return err
		}
		if _, err := s.exec(ctx, tx, `UPDATE units SET state = 'failed', claim = claim + 1, updated_us = :now
			WHERE run_id = ? AND epoch = ? AND state IN ('waiting', 'running')`, run.ID, run.Epoch); err != nil {
			return fmt.Errorf("give units up: %w", err)
		}
		return s.note(ctx, tx, runEvent(run.ID, run.Epoch, StageFailed, by))
	})
}

// Stamped are the units of a run's epoch that caches should vouch for, by the cache and number, with their stamps.
func (s *Store) Stamped(ctx context.Context, run Run) (map[string]map[int]int64, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT cache_name, unit, marked FROM units WHERE run_id = ? AND epoch = ? AND marked > 0 AND state <> 'cancelled'`, run.ID, run.Epoch)
	if err != nil {
		return nil, fmt.Errorf("list stamped units: %w", err)
	}
	defer func() { _ = rows.Close() }()
	stamped := map[string]map[int]int64{}
	for rows.Next() {
		var cache string
		var unit int
		var value int64
		if err := rows.Scan(&cache, &unit, &value); err != nil {
			return nil, fmt.Errorf("list stamped units: %w", err)
		}
		if stamped[cache] == nil {
			stamped[cache] = map[int]int64{}
		}
		stamped[cache][unit] = value
	}
	return stamped, rows.Err()
}

// CacheNode is a server of the cache as it was last seen.
type CacheNode struct {
	Addr    string
	Start   string // its run_id: new with each start
	Evicted int64  // keys since then
}

// CacheNodes are the servers of the cache as they were last seen, by address.
func (s *Store) CacheNodes(ctx context.Context) (map[string]CacheNode, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT addr, start_id, evicted FROM cache_nodes`)
	if err != nil {
		return nil, fmt.Errorf("list cache nodes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	nodes := map[string]CacheNode{}
	for rows.Next() {
		var n CacheNode
		if err := rows.Scan(&n.Addr, &n.Start, &n.Evicted); err != nil {
			return nil, fmt.Errorf("list cache nodes: %w", err)
		}
		nodes[n.Addr] = n
	}
	return nodes, rows.Err()
}

// SaveCacheNode records how a server of the cache was seen.
func (s *Store) SaveCacheNode(ctx context.Context, n CacheNode) error {
	matched, err := s.exec(ctx, s.db, `UPDATE cache_nodes SET start_id = ?, evicted = ?, seen_us = :now WHERE addr = ?`, n.Start, n.Evicted, n.Addr)
	if err == nil && matched == 0 {
		_, err = s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO cache_nodes (addr, start_id, evicted, seen_us) VALUES (?, ?, ?, :now)`, n.Addr, n.Start, n.Evicted)
	}
	if err != nil {
		return fmt.Errorf("record cache node: %w", err)
	}
	return nil
}
