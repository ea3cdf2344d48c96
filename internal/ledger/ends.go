package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Ends are until when the keys of a shop's dataset must not have expired, and until when they were written before: ends of
// broadcasts, and with each how long its keys outlive it.
type Ends struct {
	// Needed is the latest of the shop's runs that have put something into the cache or are about to, or zero: a run whose keys
	// are needed for a shorter time must not shorten what they have written. A broadcast of tomorrow does not count before its time.
	Needed time.Time
	// Former are those of all the shop's runs that have the dataset, and those that they had before they were moved or planned anew.
	Former []time.Time
}

// formerKept is how many ends of a run are remembered.
const formerKept = 20

// withAfter begins a remembered end that holds how long its keys outlive it: of the others policy.expire.after_end says it.
const withAfter = "="

// Ends are those of a shop's dataset: runs that were planned without it do not count. policy is policy.expire.after_end, of runs that
// were planned without a time of their own.
func (s *Store) Ends(ctx context.Context, shop, dataset string, policy time.Duration) (e Ends, err error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT r.ends_us, r.after_us, r.former_us, r.datasets, CASE WHEN r.state = 'ready' OR (r.state IN ('warming', 'failed') AND r.started_us > 0)
		OR (r.state = 'planned' AND r.planned_start_us <= :now) THEN 1 ELSE 0 END FROM runs r WHERE r.shop_id = ? AND r.ends_us + r.after_us > :now - 172800000000`), shop)
	if err != nil {
		return Ends{}, fmt.Errorf("read how long shop %s is needed: %w", shop, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r Run
		var ends, after int64
		var former string
		var only Datasets
		var counts bool
		if err := rows.Scan(&ends, &after, &former, &only, &counts); err != nil {
			return Ends{}, fmt.Errorf("read how long shop %s is needed: %w", shop, err)
		}
		if !only.Has(dataset) {
			continue
		}
		r.EndsAt, r.AfterEnd = fromMicros(ends), time.Duration(after)*time.Microsecond
		until := r.KeysUntil(policy)
		if e.Former = append(e.Former, until); counts && until.After(e.Needed) {
			e.Needed = until
		}
		e.Former = append(e.Former, formerUntil(former, policy)...)
	}
	return e, rows.Err()
}

// formerUntil reads what formerEnds has written.
func formerUntil(text string, policy time.Duration) (all []time.Time) {
	for _, end := range strings.Fields(text) {
		end, own := strings.CutPrefix(end, withAfter)
		us, err := strconv.ParseInt(end, 10, 64)
		switch {
		case err != nil:
		case own:
			all = append(all, fromMicros(us))
		default:
			all = append(all, fromMicros(us).Add(policy))
		}
	}
	return all
}

// lockEnds is formerEnds of a run that is not locked yet, if it is at the epoch that it was read at.
func (s *Store) lockEnds(ctx context.Context, tx *sql.Tx, old Run) (string, error) {
	n, err := s.exec(ctx, tx, `UPDATE runs SET updated_us = :now WHERE run_id = ? AND epoch = ?`, old.ID, old.Epoch)
	if err := matched(n, err, "lock run"); err != nil {
		return "", err
	}
	return s.formerEnds(ctx, tx, old.ID)
}

// formerEnds appends the end that a run has now to those that it had, in the text form that Ends reads. The run's row must be
// locked by tx: what is read before a row is locked is as old as that reading, and newer servers refuse to write over it.
func (s *Store) formerEnds(ctx context.Context, tx *sql.Tx, run string) (string, error) {
	var us, after int64
	var former string
	if err := tx.QueryRowContext(ctx, `SELECT ends_us, after_us, former_us FROM runs WHERE run_id = ?`, run).Scan(&us, &after, &former); err != nil {
		return "", fmt.Errorf("read former ends: %w", err)
	}
	end := strconv.FormatInt(us+after, 10)
	if after > 0 {
		end = withAfter + end
	}
	all := append(strings.Fields(former), end)
	return strings.Join(all[max(0, len(all)-formerKept):], " "), nil
}

// outlive records how long a run's keys outlive its end from now on. Its row must be locked by tx.
func (s *Store) outlive(ctx context.Context, tx *sql.Tx, run string, after time.Duration) error {
	former, err := s.formerEnds(ctx, tx, run)
	if err != nil {
		return err
	}
	if _, err := s.exec(ctx, tx, `UPDATE runs SET former_us = ?, after_us = ? WHERE run_id = ? AND after_us <> ?`,
		former, after.Microseconds(), run, after.Microseconds()); err != nil {
		return fmt.Errorf("record how long keys live: %w", err)
	}
	return nil
}
