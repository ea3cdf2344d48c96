package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Ends are when the keys of a shop's dataset must not yet have expired, and when they were to expire before.
type Ends struct {
	// Needed is the latest end of the shop's runs that have put something into the cache or are about to, or zero: a run that
	// ends earlier must not shorten what they have written. A broadcast of tomorrow does not count before its time.
	Needed time.Time
	// Former are the ends of all the shop's runs that have the dataset, and those that they had before they were moved.
	Former []time.Time
}

// formerKept is how many ends of a run are remembered.
const formerKept = 20

// Ends are those of a shop's dataset: runs that were planned without it do not count.
func (s *Store) Ends(ctx context.Context, shop, dataset string) (e Ends, err error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT r.ends_us, r.former_us, r.datasets, CASE WHEN r.state = 'ready' OR (r.state IN ('warming', 'failed') AND r.started_us > 0)
		OR (r.state = 'planned' AND r.planned_start_us <= :now) THEN 1 ELSE 0 END FROM runs r WHERE r.shop_id = ? AND r.ends_us > :now - 172800000000`), shop)
	if err != nil {
		return Ends{}, fmt.Errorf("read how long shop %s is needed: %w", shop, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var us int64
		var former string
		var only Datasets
		var counts bool
		if err := rows.Scan(&us, &former, &only, &counts); err != nil {
			return Ends{}, fmt.Errorf("read how long shop %s is needed: %w", shop, err)
		}
		if !only.Has(dataset) {
			continue
		}
		end := fromMicros(us)
		if e.Former = append(e.Former, end); counts && end.After(e.Needed) {
			e.Needed = end
		}
		for _, text := range strings.Fields(former) {
			if us, err := strconv.ParseInt(text, 10, 64); err == nil {
				e.Former = append(e.Former, fromMicros(us))
			}
		}
	}
	return e, rows.Err()
}

// formerEnds appends the end that a run has now to those that it had, in the text form that Ends reads.
func (s *Store) formerEnds(ctx context.Context, tx *sql.Tx, run string) (string, error) {
	var us int64
	var former string
	if err := tx.QueryRowContext(ctx, `SELECT ends_us, former_us FROM runs WHERE run_id = ?`, run).Scan(&us, &former); err != nil {
		return "", fmt.Errorf("read former ends: %w", err)
	}
	all := append(strings.Fields(former), strconv.FormatInt(us, 10))
	return strings.Join(all[max(0, len(all)-formerKept):], " "), nil
}
