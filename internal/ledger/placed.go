package ledger

import (
	"context"
	"fmt"
)

// Places are the caches that hold a shop's dataset for runs that count (see Ends): one, unless it was placed elsewhere between two runs.
// None: it is not planned now, as while a run is being planned anew.
func (s *Store) Places(ctx context.Context, shop, dataset string) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT DISTINCT u.cache_name FROM runs r JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch
		WHERE r.shop_id = ? AND u.dataset = ? AND u.state <> 'cancelled' AND `+cached), shop, dataset)
	if err != nil {
		return nil, fmt.Errorf("read where dataset %s of shop %s is: %w", dataset, shop, err)
	}
	defer func() { _ = rows.Close() }()
	var places []string
	for rows.Next() {
		var place string
		if err := rows.Scan(&place); err != nil {
			return nil, fmt.Errorf("read where dataset %s of shop %s is: %w", dataset, shop, err)
		}
		places = append(places, place)
	}
	return places, rows.Err()
}

// Placed is the cache of each dataset of a run.
func (s *Store) Placed(ctx context.Context, run Run) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT dataset, cache_name FROM units WHERE run_id = ? AND epoch = ?`, run.ID, run.Epoch)
	if err != nil {
		return nil, fmt.Errorf("read where run %s is: %w", run.ID, err)
	}
	defer func() { _ = rows.Close() }()
	placed := map[string]string{}
	for rows.Next() {
		var dataset, cache string
		if err := rows.Scan(&dataset, &cache); err != nil {
			return nil, fmt.Errorf("read where run %s is: %w", run.ID, err)
		}
		placed[dataset] = cache
	}
	return placed, rows.Err()
}
