package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// RemovalState is where the removal of a shop's keys stands: waiting → running → done, or stopped, as the shop was switched on.
type RemovalState string

// States of removals.
const (
	RemovalWaiting RemovalState = "waiting"
	RemovalRunning RemovalState = "running"
	RemovalDone    RemovalState = "done"
	RemovalStopped RemovalState = "stopped"
)

// Removal is the removal of the keys of a shop that was switched off.
type Removal struct {
	ShopID     string
	State      RemovalState
	Removed    int64      // keys
	Left       []LeftOver // what is left to expire
	LastError  string
	Claim      int64 // the fence: grows with each claim
	AskedAt    time.Time
	FinishedAt time.Time
}

// LeftOver is a dataset whose keys are left to expire.
type LeftOver struct {
	Dataset string `json:"dataset"`
	Why     string `json:"why"`
}

// RemovalTime is how long the keys of one batch may take to be removed once BeatRemoval has allowed it. A shop is not switched
// on before that has passed: a batch that is late would take keys that were loaded anew.
const RemovalTime = 2 * time.Second

// haltedFor is how long nothing is removed after somebody has asked to switch the shop on.
const haltedFor = 10 * time.Second

const removalColumns = `shop_id, state, removed, left_over, last_error, claim, asked_us, finished_us`

func scanRemoval(row scanner) (*Removal, error) {
	var r Removal
	var left string
	var asked, finished int64
	err := row.Scan(&r.ShopID, &r.State, &r.Removed, &left, &r.LastError, &r.Claim, &asked, &finished)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err == nil {
		err = json.Unmarshal([]byte(left), &r.Left)
	}
	if err != nil {
		return nil, fmt.Errorf("read removal: %w", err)
	}
	r.AskedAt, r.FinishedAt = fromMicros(asked), fromMicros(finished)
	return &r, nil
}

// Removal is that of a shop's keys; nil if none was ever asked for.
func (s *Store) Removal(ctx context.Context, shop string) (*Removal, error) {
	return scanRemoval(s.db.QueryRowContext(ctx, `SELECT `+removalColumns+` FROM removals WHERE shop_id = ?`, shop))
}

// askRemoval asks for a shop's keys to be removed, from the start if that was asked for before.
func (s *Store) askRemoval(ctx context.Context, tx *sql.Tx, shop string) error {
	if _, err := s.exec(ctx, tx, `INSERT INTO removals (shop_id, state, left_over, last_error, asked_us) VALUES (?, 'waiting', '[]', '', :now) `+s.dialect.onTaken+`
		state = 'waiting', claim = claim + 1, removed = 0, left_over = '[]', last_error = '', asked_us = :now, beat_us = 0, halt_us = 0, finished_us = 0`, shop); err != nil {
		return fmt.Errorf("ask for keys to be removed: %w", err)
	}
	return nil
}

// haltRemoval keeps further keys of a shop from being removed, and says ErrRemoving while a batch may be on its way.
func (s *Store) haltRemoval(ctx context.Context, shop string) error {
	n, err := s.exec(ctx, s.db, `UPDATE removals SET halt_us = :now WHERE shop_id = ? AND state = 'running' AND beat_us >= :now - ?`, shop, RemovalTime.Microseconds())
	if err != nil {
		return fmt.Errorf("halt removal: %w", err)
	}
	if n > 0 {
		return ErrRemoving
	}
	return nil
}

// stopRemoval ends a removal with what the transaction does. ErrRemoving: it has gone on meanwhile.
func (s *Store) stopRemoval(ctx context.Context, tx *sql.Tx, shop string) error {
	if _, err := s.exec(ctx, tx, `UPDATE removals SET state = 'stopped' WHERE shop_id = ? AND (state = 'waiting' OR (state = 'running' AND beat_us < :now - ?))`,
		shop, RemovalTime.Microseconds()); err != nil {
		return fmt.Errorf("stop removal: %w", err)
	}
	n, err := s.exec(ctx, tx, `UPDATE removals SET halt_us = halt_us WHERE shop_id = ? AND state = 'running'`, shop)
	if err != nil {
		return fmt.Errorf("stop removal: %w", err)
	}
	if n > 0 {
		return ErrRemoving
	}
	return nil
}

// NextRemoval claims the removal that has waited longest, at the earliest when it is as old as rest; one whose pod has said
// nothing for dead counts too. Nil: there is none.
func (s *Store) NextRemoval(ctx context.Context, owner string, rest, dead time.Duration) (*Removal, error) {
	const open = `((state = 'waiting' AND beat_us <= :now - ? AND asked_us <= :now - ?) OR (state = 'running' AND beat_us <= :now - ?))`
	var shop string
	args := []any{rest.Microseconds(), rest.Microseconds(), dead.Microseconds()}
	err := s.db.QueryRowContext(ctx, s.text(`SELECT shop_id FROM removals WHERE `+open+` ORDER BY beat_us, asked_us LIMIT 1`), args...).Scan(&shop)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // none waits
	}
	if err != nil {
		return nil, fmt.Errorf("look for removals: %w", err)
	}
	n, err := s.exec(ctx, s.db, `UPDATE removals SET state = 'running', owner = ?, claim = claim + 1, beat_us = :now WHERE shop_id = ? AND `+open,
		append([]any{owner, shop}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("claim removal: %w", err)
	}
	if n == 0 {
		return nil, nil //nolint:nilnil // another was faster
	}
	return s.Removal(ctx, shop)
}

// BeatRemoval allows a claimed removal to remove a batch of keys within RemovalTime, and records how many it has removed so
// far. ErrFenced: stop.
func (s *Store) BeatRemoval(ctx context.Context, r Removal) error {
	n, err := s.exec(ctx, s.db, `UPDATE removals SET beat_us = :now, removed = ? WHERE shop_id = ? AND claim = ? AND state = 'running' AND halt_us < :now - ?`,
		r.Removed, r.ShopID, r.Claim, haltedFor.Microseconds())
	return fenced(n, err, "record progress of removal")
}

// SaveRemoval records what became of a claimed removal: RemovalDone, or RemovalWaiting to be carried on. ErrFenced: it is another's.
func (s *Store) SaveRemoval(ctx context.Context, r Removal) error {
	left, err := json.Marshal(r.Left)
	if err != nil {
		return fmt.Errorf("encode what is left: %w", err)
	}
	n, err := s.exec(ctx, s.db, `UPDATE removals SET state = ?, removed = ?, left_over = ?, last_error = ?, beat_us = :now,
		finished_us = CASE WHEN ? THEN :now ELSE 0 END WHERE shop_id = ? AND claim = ? AND state = 'running'`,
		r.State, r.Removed, string(left), clip(r.LastError), r.State == RemovalDone, r.ShopID, r.Claim)
	return fenced(n, err, "save removal")
}
