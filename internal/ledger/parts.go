package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// Part is what a run keeps of a dataset: the rows (From, To], as of a Unit, and of those the ones that are not older than Since. The
// zero value is all rows.
type Part struct {
	From, To string
	Since
}

// Since is the column by which rows are told to be too old, and its least value; zero: none is.
type Since struct{ Column, Value string }

// PartsOf is pure: the parts that units make up together, of datasets of which they do not make up all.
func PartsOf(units []Unit) map[string]Part {
	type ends struct{ from, to map[string]bool }
	of, since := map[string]ends{}, map[string]Since{}
	for _, u := range units {
		if _, ok := of[u.Dataset]; !ok {
			of[u.Dataset] = ends{map[string]bool{}, map[string]bool{}}
		}
		since[u.Dataset] = u.Since
		of[u.Dataset].from[u.From], of[u.Dataset].to[u.To] = true, true
	}
	parts := map[string]Part{}
	for dataset, e := range of {
		p := Part{Since: since[dataset]}
		if !e.from[""] {
			p.From = outer(e.from, e.to)
		}
		if !e.to[""] {
			p.To = outer(e.to, e.from)
		}
		if p != (Part{}) {
			parts[dataset] = p
		}
	}
	return parts
}

// outer is the one end that is no other range's.
func outer(ends, others map[string]bool) string {
	for end := range ends {
		if !others[end] {
			return end
		}
	}
	return ""
}

// writeParts records what a run keeps from now on of datasets of which it does not keep all.
func (s *Store) writeParts(ctx context.Context, tx *sql.Tx, run string, parts map[string]Part) error {
	var former int // a DELETE that finds nothing would lock the gap that other runs' parts go into
	if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM run_parts WHERE run_id = ?`, run).Scan(&former); err != nil {
		return fmt.Errorf("write parts: %w", err)
	}
	if former > 0 {
		if _, err := s.exec(ctx, tx, `DELETE FROM run_parts WHERE run_id = ?`, run); err != nil {
			return fmt.Errorf("write parts: %w", err)
		}
	}
	for dataset, p := range parts {
		if _, err := s.exec(ctx, tx, `INSERT INTO run_parts (run_id, dataset, key_from, key_to, since_column, since) VALUES (?, ?, ?, ?, ?, ?)`,
			run, dataset, p.From, p.To, p.Column, p.Since.Value); err != nil {
			return fmt.Errorf("write parts: %w", err)
		}
	}
	return nil
}

// KeptParts are those of a shop's dataset that any run keeps of which something stands in the cache, as it was planned last; none:
// all of it.
func (s *Store) KeptParts(ctx context.Context, shop, dataset string) (parts []Part, err error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT r.datasets, COALESCE(p.key_from, ''), COALESCE(p.key_to, ''), COALESCE(p.since_column, ''), COALESCE(p.since, '') FROM runs r
		LEFT JOIN run_parts p ON p.run_id = r.run_id AND p.dataset = ? WHERE r.shop_id = ? AND `+cached), dataset, shop)
	if err != nil {
		return nil, fmt.Errorf("read what is kept of shop %s: %w", shop, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var only Datasets
		var p Part
		if err := rows.Scan(&only, &p.From, &p.To, &p.Column, &p.Since.Value); err != nil {
			return nil, fmt.Errorf("read what is kept of shop %s: %w", shop, err)
		}
		if only.Has(dataset) && !slices.Contains(parts, p) {
			parts = append(parts, p)
		}
	}
	if slices.Contains(parts, Part{}) {
		parts = nil
	}
	return parts, rows.Err()
}

// RunParts are the parts that a run keeps, of datasets of which it does not keep all.
func (s *Store) RunParts(ctx context.Context, run string) (map[string]Part, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT dataset, key_from, key_to, since_column, since FROM run_parts WHERE run_id = ?`, run)
	if err != nil {
		return nil, fmt.Errorf("read what run %s keeps: %w", run, err)
	}
	defer func() { _ = rows.Close() }()
	parts := map[string]Part{}
	for rows.Next() {
		var dataset string
		var p Part
		if err := rows.Scan(&dataset, &p.From, &p.To, &p.Column, &p.Since.Value); err != nil {
			return nil, fmt.Errorf("read what run %s keeps: %w", run, err)
		}
		parts[dataset] = p
	}
	return parts, rows.Err()
}
