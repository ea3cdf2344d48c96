package load

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/source"
)

// Pages are what units in the table form are read by.
type Pages interface {
	ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error)
	MeasurePage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (page source.Page, examined int64, err error)
}

// Elsewhere says for each page of one unit where it is read. It is for one goroutine.
type Elsewhere interface {
	// Next is where the next page is read; nil: at the source. A replica that is read has all that the source had committed when
	// the caller knew of the change numbered since (see cache.NoteChanges), which is known or an earlier one.
	Next(ctx context.Context, known int64) (at Pages, replica string, since int64)
	// Failed is told that a page could not be read at the replica; it is read at the source now.
	Failed(ctx context.Context, err error)
	Close()
}

// choose decides where to read. At a replica it may lack what the changes after since have brought, whenever it is
// read, so that these count as having come since it was read.
func (r *reading) choose(ctx context.Context, d *read) Pages {
	d.seen = r.seen.Load()
	if r.elsewhere == nil {
		return r.Dataset
	}
	at, replica, since := r.elsewhere.Next(ctx, d.seen)
	if at == nil {
		return r.Dataset
	}
	at, err := source.Only(at, r.Parts)
	if err != nil {
		r.elsewhere.Failed(ctx, err)
		return r.Dataset
	}
	d.seen, d.replica = since, replica
	return at
}
