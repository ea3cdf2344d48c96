package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Baselines are the usual levels of the guard's signals, as they were stored; nil for nothing.
func (s *Store) Baselines(ctx context.Context) ([]byte, error) {
	var state string
	err := s.db.QueryRowContext(ctx, `SELECT state FROM baselines WHERE id = 1`).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the signals' usual levels: %w", err)
	}
	return []byte(state), nil
}

// SetBaselines stores them. Of two leaders at a time the last one counts: they saw the same servers.
func (s *Store) SetBaselines(ctx context.Context, state any) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode the signals' usual levels: %w", err)
	}
	n, err := s.exec(ctx, s.db, `UPDATE baselines SET state = ?, updated_us = :now WHERE id = 1`, string(text))
	if err == nil && n == 0 {
		_, err = s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO baselines (id, state, updated_us) VALUES (1, ?, :now)`, string(text))
	}
	if err != nil {
		return fmt.Errorf("write the signals' usual levels: %w", err)
	}
	return nil
}
