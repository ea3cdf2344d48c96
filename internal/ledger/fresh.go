package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Fresh is how fresh a shop's dataset is in the cache.
type Fresh struct {
	ShopID      string
	Dataset     string
	Mark        string    // rows whose changed_at is before it were read after their change; empty: not known
	AsOf        time.Time // of the source's clock: what was committed before is in the cache, as far as refreshes tell
	RefreshedAt time.Time // zero: never
	StartedAt   time.Time // when the shop's newest run began to be read, by the ledger's clock; zero: it has not
}

// Fresh are those of all shops' datasets that stand in the cache.
func (s *Store) Fresh(ctx context.Context) ([]Fresh, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT f.shop_id, f.dataset, f.mark, f.as_of_us, f.refreshed_us, r.datasets, MAX(r.started_us) FROM freshness f
		JOIN runs r ON r.shop_id = f.shop_id AND `+cached+` GROUP BY f.shop_id, f.dataset, f.mark, f.as_of_us, f.refreshed_us, r.datasets ORDER BY f.shop_id, f.dataset`))
	if err != nil {
		return nil, fmt.Errorf("list freshness: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Fresh
	for rows.Next() {
		var f Fresh
		var asOf, refreshed, started int64
		var only Datasets
		if err := rows.Scan(&f.ShopID, &f.Dataset, &f.Mark, &asOf, &refreshed, &only, &started); err != nil {
			return nil, fmt.Errorf("list freshness: %w", err)
		}
		if !only.Has(f.Dataset) {
			continue
		}
		f.AsOf, f.RefreshedAt, f.StartedAt = fromMicros(asOf), fromMicros(refreshed), fromMicros(started)
		if n := len(all) - 1; n >= 0 && all[n].ShopID == f.ShopID && all[n].Dataset == f.Dataset { // of a run with other datasets
			if f.StartedAt.After(all[n].StartedAt) {
				all[n] = f
			}
			continue
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

// BeginFresh keeps where the changes of a shop's dataset begin that a refresh must find, before the shop is read. Of a shop
// of which something is cached already the place is known and stays.
func (s *Store) BeginFresh(ctx context.Context, f Fresh) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		known, err := s.knownFresh(ctx, tx, f)
		if err != nil || known {
			return err
		}
		if _, err := s.exec(ctx, tx, `INSERT INTO freshness (shop_id, dataset, mark) VALUES (?, ?, ?) `+s.dialect.onTaken+` mark = ?, as_of_us = 0, refreshed_us = 0`,
			f.ShopID, f.Dataset, f.Mark, f.Mark); err != nil {
			return fmt.Errorf("begin freshness: %w", err)
		}
		return nil
	})
}

// knownFresh says whether a shop's dataset is kept fresh already.
func (s *Store) knownFresh(ctx context.Context, tx *sql.Tx, f Fresh) (known bool, err error) {
	rows, err := tx.QueryContext(ctx, s.text(`SELECT DISTINCT r.datasets FROM freshness f JOIN runs r ON r.shop_id = f.shop_id WHERE f.shop_id = ? AND f.dataset = ? AND `+cached),
		f.ShopID, f.Dataset)
	if err != nil {
		return false, fmt.Errorf("look for freshness: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var only Datasets
		if err := rows.Scan(&only); err != nil {
			return false, fmt.Errorf("look for freshness: %w", err)
		}
		known = known || only.Has(f.Dataset)
	}
	return known, rows.Err()
}

// Refreshed moves the freshness of a shop's dataset on from where old was read. ErrState: somebody else has moved it.
func (s *Store) Refreshed(ctx context.Context, old Fresh, mark string, asOf time.Time) error {
	n, err := s.exec(ctx, s.db, `UPDATE freshness SET mark = ?, as_of_us = ?, refreshed_us = :now WHERE shop_id = ? AND dataset = ? AND mark = ? AND refreshed_us = ?`,
		mark, micros(asOf), old.ShopID, old.Dataset, old.Mark, micros(old.RefreshedAt))
	return matched(n, err, "record refresh")
}

// AsOf is since when the source may have changed without the cache knowing, by dataset: the source's clock when the first
// unit of a dataset was read, or that of its last refresh. Datasets without either are left out.
func (s *Store) AsOf(ctx context.Context, run Run) (map[string]time.Time, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT u.dataset, MIN(u.as_of_us), COALESCE(MAX(f.as_of_us), 0) FROM units u
		LEFT JOIN freshness f ON f.shop_id = ? AND f.dataset = u.dataset WHERE u.run_id = ? AND u.epoch = ? GROUP BY u.dataset`, run.ShopID, run.ID, run.Epoch)
	if err != nil {
		return nil, fmt.Errorf("read as_of: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string]time.Time{}
	for rows.Next() {
		var dataset string
		var unit, refreshed int64
		if err := rows.Scan(&dataset, &unit, &refreshed); err != nil {
			return nil, fmt.Errorf("read as_of: %w", err)
		}
		if us := max(unit, refreshed); us > 0 {
			all[dataset] = fromMicros(us)
		}
	}
	return all, rows.Err()
}

// ReadyOf are a shop's runs that are ready and whose broadcast is not over.
func (s *Store) ReadyOf(ctx context.Context, shop string) ([]Run, error) {
	return s.runs(ctx, `r.state = 'ready' AND r.ends_us > :now AND r.shop_id = ?`, insertRows, shop)
}

// Feed is how far a change feed has been read.
type Feed struct {
	Name     string
	Position string
	Rows     int64     // read since the last save
	EventAt  time.Time // when the last of them was committed, by the source's clock
}

// ReadFeed is how far a feed has been read; ErrNotFound: it never was.
func (s *Store) ReadFeed(ctx context.Context, name string) (Feed, error) {
	f := Feed{Name: name}
	var us int64
	err := s.db.QueryRowContext(ctx, `SELECT position, rows_read, event_us FROM feeds WHERE feed = ?`, name).Scan(&f.Position, &f.Rows, &us)
	if errors.Is(err, sql.ErrNoRows) {
		return Feed{}, ErrNotFound
	}
	if err != nil {
		return Feed{}, fmt.Errorf("read feed %s: %w", name, err)
	}
	f.EventAt = fromMicros(us)
	return f, nil
}

func (s *Store) saveFeed(ctx context.Context, on execer, f Feed) error {
	if _, err := s.exec(ctx, on, `INSERT INTO feeds (feed, position, rows_read, event_us, updated_us) VALUES (?, ?, ?, ?, :now) `+s.dialect.onTaken+`
		position = ?, rows_read = rows_read + ?, event_us = ?, updated_us = :now`,
		f.Name, f.Position, f.Rows, micros(f.EventAt), f.Position, f.Rows, micros(f.EventAt)); err != nil {
		return fmt.Errorf("record feed %s: %w", f.Name, err)
	}
	return nil
}
