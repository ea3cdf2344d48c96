package load

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// read fills free pages from the unit's cursor on until the range is exhausted, an error or the context's end.
func (t *task) read(ctx context.Context, u ledger.Unit, free <-chan *page, full chan<- *page) {
	r := reading{task: t, cursor: cmp.Or(u.Cursor, u.From), to: u.To, limit: math.MaxInt, at: t.Dataset}
	if t.Begin != nil {
		if r.elsewhere = t.Begin(u.Dataset); r.elsewhere != nil {
			defer r.elsewhere.Close()
		}
	}
	for {
		var p *page
		select {
		case <-ctx.Done():
			return
		case p = <-free:
		}
		r.page(ctx, p)
		select {
		case <-ctx.Done():
			return
		case full <- p:
		}
		if p.err != nil || p.done {
			return
		}
	}
}

// reading is how far the reading of a unit has come.
type reading struct {
	*task
	cursor, to string
	limit      int // rows that may be asked for at most

	elsewhere Elsewhere // nil: all is read at the source
	at        Pages     // where the page is read
	replica   string    // that it is; "": the source
}

// page fills a page. One that a replica did not give is read at the source.
func (r *reading) page(ctx context.Context, p *page) {
	p.reset()
	p.trace = tracePage(ctx)
	began, from := time.Now(), r.cursor
	r.choose(ctx, p)
	r.fill(ctx, p)
	if r.replica != "" && p.err != nil && ctx.Err() == nil && !errors.Is(p.err, ErrHandBack) {
		r.elsewhere.Failed(ctx, p.err)
		trace := p.trace
		p.reset()
		p.trace, p.seen, r.cursor = trace, r.seen.Load(), from
		r.at, r.replica = r.Dataset, ""
		r.fill(ctx, p)
	}
	r.Metrics.leg(r.Dataset.Spec().Name, legRead, began)
	p.trace.read(began, p)
}

// fill reads a page, with several reads if each is so small that a page holds them: what the database feels is the time of one
// read, and what writing and recording cost is paid by the page.
func (r *reading) fill(ctx context.Context, p *page) {
	p.after = r.cursor
	for {
		l := r.limits(r.Dataset.Spec().Name, r.replica)
		rows := min(r.limit, l.PageRows)
		if p.read > 0 && (!r.Limits.Together.takes(p.read+rows/2, p.took, r.share) || p.batch.Bytes()+rows*(p.batch.Bytes()/p.read) > l.PageBytes) {
			break
		}
		r.readInto(ctx, p, rows, l.PageBytes)
		if p.readAt.IsZero() {
			p.readAt = time.Now()
		}
		if p.err != nil || p.done || p.batch.Bytes() >= l.PageBytes {
			break
		}
	}
}

// readInto adds rows to a page, and sees how many rows the next read may ask for at most: rows are counted out by the
// server, so a page that was ended by its bytes has wasted the rest, and the next asks for what fits.
func (r *reading) readInto(ctx context.Context, p *page, rows, most int) {
	enc, spec, before := r.Dataset.Encoder(), r.Dataset.Spec(), p.batch.Bytes()
	began := time.Now()
	got, measured, err := r.readRange(ctx, r.cursor, r.to, rows, func(row []sql.RawBytes) (bool, error) {
		err := p.add(enc, spec.Value, r.Shop, row)
		return p.batch.Bytes() < most, err
	})
	took := time.Since(began)
	p.took += took
	p.read += got.Rows
	if p.done, p.err = got.Done, err; got.Last != "" {
		p.last, r.cursor = got.Last, got.Last
	}
	if err != nil {
		return
	}
	bytes := p.batch.Bytes() - before
	if r.Sizes != nil && !measured {
		r.Sizes.Read(PageRead{Dataset: spec.Name, Replica: r.replica, Rows: got.Rows, Bytes: bytes, Time: min(cmp.Or(got.Took, took), took), Had: took})
	}
	r.limit = fitting(got.Rows, bytes, r.Limits.PageBytes)
}

// fitting is pure: how many rows of the size just seen fit into a page.
func fitting(rows, bytes, most int) int {
	if rows == 0 || bytes == 0 {
		return math.MaxInt
	}
	return max(1, int(int64(rows)*int64(most)/int64(bytes)))
}
