package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Datasets are names of datasets, in their order and with a space between; "": all that are configured.
type Datasets string

// MostDatasets is how many characters Datasets may have.
const MostDatasets = 4000

// DatasetsOf are those of a list; none: all.
func DatasetsOf(names []string) Datasets {
	return Datasets(strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), " "))
}

// Names are what DatasetsOf was made of; nil: all.
func (d Datasets) Names() []string {
	if d == "" {
		return nil
	}
	return strings.Fields(string(d))
}

// Has says whether a dataset is among them.
func (d Datasets) Has(name string) bool { return d == "" || slices.Contains(d.Names(), name) }

// and are those of either.
func (d Datasets) and(other Datasets) Datasets {
	if d == "" || other == "" {
		return ""
	}
	return DatasetsOf(append(d.Names(), other.Names()...))
}

// What AfterEnd may be, if it is given: keys that expire with the broadcast would be gone before one that runs over is moved, and
// nobody corrects keys when the broadcast is over.
const (
	LeastAfterEnd = time.Minute
	MostAfterEnd  = 7 * 24 * time.Hour
)

// Kept is what a run takes over from its shop's settings when it is planned, and has until it is planned anew.
type Kept struct {
	Datasets Datasets      // only these are warmed
	AfterEnd time.Duration // how long keys outlive the end of the broadcast; 0: as policy.expire.after_end says
	MaxRows  Amounts       // of these datasets no more rows are warmed, the first of their order
	Windows  Amounts       // how far back the rows of these datasets go, in microseconds; of others as their `window` says
}

// String is for people; "" of the zero value.
func (k Kept) String() string {
	var parts []string
	if k.Datasets != "" {
		parts = append(parts, "only "+strings.Join(k.Datasets.Names(), ", "))
	}
	if k.AfterEnd > 0 {
		parts = append(parts, "keys live "+k.AfterEnd.String()+" after the end")
	}
	for _, name := range k.MaxRows.Names() {
		parts = append(parts, fmt.Sprintf("%d rows of %s", k.MaxRows.Of(name), name))
	}
	for _, name := range k.Windows.Names() {
		parts = append(parts, fmt.Sprintf("the last %s of %s", k.Window(name), name))
	}
	return strings.Join(parts, "; ")
}

// Window is how far back the rows of a dataset go; 0: as its `window` says.
func (k Kept) Window(dataset string) time.Duration {
	return time.Duration(k.Windows.Of(dataset)) * time.Microsecond
}

// Kept is what a run of the shop would be planned with now.
func (s *Store) Kept(ctx context.Context, shop string) (k Kept, err error) {
	var after int64
	err = s.db.QueryRowContext(ctx, `SELECT datasets, after_us, max_rows, windows FROM shop_settings WHERE shop_id = ?`, shop).Scan(&k.Datasets, &after, &k.MaxRows, &k.Windows)
	k.AfterEnd = time.Duration(after) * time.Microsecond
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Kept{}, fmt.Errorf("read settings of shop %s: %w", shop, err)
	}
	return k, nil
}

// Cached are the datasets that stand in the cache and are still needed, by the shop.
type Cached map[string]Datasets

// Has says whether a shop's dataset is among them.
func (c Cached) Has(shop, dataset string) bool {
	d, ok := c[shop]
	return ok && d.Has(dataset)
}

// add counts what a run was planned with.
func (c Cached) add(shop string, d Datasets) {
	if other, ok := c[shop]; ok {
		d = d.and(other)
	}
	c[shop] = d
}

// CachedShops are those of all shops: what any run was planned with of which something stands in the cache.
func (s *Store) CachedShops(ctx context.Context) (Cached, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT DISTINCT r.shop_id, r.datasets FROM runs r WHERE `+cached))
	if err != nil {
		return nil, fmt.Errorf("list cached shops: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := Cached{}
	for rows.Next() {
		var shop string
		var d Datasets
		if err := rows.Scan(&shop, &d); err != nil {
			return nil, fmt.Errorf("list cached shops: %w", err)
		}
		all.add(shop, d)
	}
	return all, rows.Err()
}
