package load

import (
	"context"
	"errors"

	"github.com/prewarm-go/prewarm/internal/source"
)

// Costs watches what pages cost the database. It is safe for concurrent use.
type Costs interface {
	// Next counts a page that is about to be read, and says whether to measure it. at is a dataset where it is read (At).
	Next(at string) bool
	// Measured is told of a page that was measured. An error stops the unit there; it should be ErrHandBack, with the reason.
	Measured(ctx context.Context, m Measured) error
}

// Measured is a page whose examined rows were counted, and what it was asked with.
type Measured struct {
	Dataset, Replica, Shop, After, To string
	Limit                             int
	Rows, Examined                    int64
}

// At names the dataset where it was read.
func (m Measured) At() string { return At(m.Dataset, m.Replica) }

// readRange reads what a read asks for, and now and then measures it.
func (r *reading) readRange(ctx context.Context, at Pages, d *read, visit source.Visit) (got source.Page, measured bool, err error) {
	if r.Costs == nil || !r.Costs.Next(At(r.Unit.Dataset, d.replica)) {
		got, err = at.ReadPage(ctx, r.Shop, d.after, r.to, d.asked, visit)
		return got, false, err
	}
	got, examined, err := at.MeasurePage(ctx, r.Shop, d.after, r.to, d.asked, visit)
	if errors.Is(err, source.ErrNotCounted) {
		got, err = at.ReadPage(ctx, r.Shop, d.after, r.to, d.asked, visit)
		return got, false, err
	}
	// A page that was ended by its bytes has read rows that it did not return.
	if err != nil || !got.Done && got.Rows < d.asked {
		return got, true, err
	}
	return got, true, r.Costs.Measured(ctx, Measured{r.Unit.Dataset, d.replica, r.Shop, d.after, r.to, d.asked, int64(got.Rows), examined})
}
