package plan

import (
	"context"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Shops answers what the sources know about a shop.
type Shops struct {
	Datasets []Dataset
	Ledger   interface { // of what a shop is planned with; nil: all
		Kept(ctx context.Context, shop string) (ledger.Kept, error)
	}
}

// CheckShop says why an id cannot be a shop's: it must fit the columns of every dataset.
func (s Shops) CheckShop(id string) error {
	for _, d := range s.Datasets {
		if err := d.CheckShop(id); err != nil {
			return err
		}
	}
	return nil
}

// Known says whether any dataset has a row of the shop.
func (s Shops) Known(ctx context.Context, shop string) (bool, error) {
	for _, d := range s.Datasets {
		has, err := d.Has(ctx, shop)
		if err != nil {
			return false, fmt.Errorf("look shop %s up in dataset %s: %w", shop, d.Spec().Name, err)
		}
		if has {
			return true, nil
		}
	}
	return false, nil
}

// Rows counts the rows of the paged datasets in their indexes, and stops when there are upTo.
func (s Shops) Rows(ctx context.Context, shop string, upTo int64) (int64, error) {
	var rows int64
	for _, d := range s.Datasets {
		if rows >= upTo {
			break
		}
		if !d.Spec().Paged() {
			continue
		}
		n, err := d.Count(ctx, shop, upTo-rows)
		if err != nil {
			return 0, fmt.Errorf("count shop %s in dataset %s: %w", shop, d.Spec().Name, err)
		}
		rows += n
	}
	return rows, nil
}

// Estimate is about how many rows each paged dataset has of a shop, of those that it would be planned with.
func (s Shops) Estimate(ctx context.Context, shop string) (map[string]int64, error) {
	var kept ledger.Kept
	if s.Ledger != nil {
		var err error
		if kept, err = s.Ledger.Kept(ctx, shop); err != nil {
			return nil, err
		}
	}
	rows := map[string]int64{}
	for _, d := range s.Datasets {
		if !d.Spec().Paged() || !kept.Datasets.Has(d.Spec().Name) {
			continue
		}
		n, err := d.Estimate(ctx, shop)
		if err != nil {
			return nil, fmt.Errorf("estimate shop %s in dataset %s: %w", shop, d.Spec().Name, err)
		}
		if most := kept.MaxRows.Of(d.Spec().Name); most > 0 {
			n = min(n, most)
		}
		rows[d.Spec().Name] = n
	}
	return rows, nil
}
