package ledger

import (
	"context"
	"database/sql"
)

// Freeze begins a transaction, locks a run in it, and says nothing more.
func Freeze(ctx context.Context, s *Store, run string) (*sql.Tx, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	_, err = s.exec(ctx, tx, `UPDATE runs SET updated_us = :now WHERE run_id = ?`, run)
	return tx, err
}

// Contended says whether a transaction that ended with an error is tried again.
var Contended = contended
