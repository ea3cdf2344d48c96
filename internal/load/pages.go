package load

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// loadPages goes from the unit's cursor to its end, reading one page ahead of the one that is written.
func (t *task) loadPages(ctx context.Context) (ledger.Settled, error) {
	ctx, stop := context.WithCancel(ctx)
	full, free := make(chan *page), make(chan *page, 2)
	free <- &page{}
	free <- &page{}
	ended := make(chan struct{})
	unit := t.Unit // the reader's own: the writer moves the task's
	go func() {
		defer close(ended)
		t.read(ctx, unit, free, full)
	}()
	defer func() {
		stop()
		<-ended
	}()
	for {
		if err := t.proceed(ctx); err != nil {
			return ledger.StillOpen, err
		}
		select {
		case <-ctx.Done():
			return ledger.StillOpen, context.Cause(ctx)
		case p := <-full:
			t.lap(&t.spent.Read)
			t.spent.DB += p.took
			if p.err != nil {
				return ledger.StillOpen, p.err
			}
			settled, err := t.put(ctx, p)
			t.lap(&t.spent.Write)
			if err != nil || p.done {
				return settled, err
			}
			free <- p
		}
	}
}

// read fills free pages from the unit's cursor on until the range is exhausted, an error or the context's end.
func (t *task) read(ctx context.Context, u ledger.Unit, free <-chan *page, full chan<- *page) {
	cursor := cmp.Or(u.Cursor, u.From)
	limit := math.MaxInt
	for {
		var p *page
		select {
		case <-ctx.Done():
			return
		case p = <-free:
		}
		limit = t.readPage(ctx, p, cursor, u.To, limit)
		select {
		case <-ctx.Done():
			return
		case full <- p:
		}
		if p.err != nil || p.done {
			return
		}
		cursor = p.last
	}
}

// readPage fills a page and says how many rows the next one may ask for at most: rows are counted out by the server, so a
// page that was ended by its bytes has wasted the rest, and the next asks for what fits.
func (t *task) readPage(ctx context.Context, p *page, after, to string, limit int) int {
	p.reset()
	enc, spec, limits := t.Dataset.Encoder(), t.Dataset.Spec(), t.limits(t.Dataset.Spec().Name)
	began := time.Now()
	got, measured, err := t.readRange(ctx, after, to, min(limit, limits.PageRows), func(row []sql.RawBytes) (bool, error) {
		err := p.add(enc, spec.Value, t.Shop, row)
		return p.batch.Bytes() < limits.PageBytes, err
	})
	t.Metrics.leg(spec.Name, legRead, began)
	p.last, p.done, p.err, p.readAt = got.Last, got.Done, err, time.Now()
	p.took = p.readAt.Sub(began)
	if err != nil {
		return limit
	}
	if t.Sizes != nil && !measured {
		t.Sizes.Read(PageRead{Dataset: spec.Name, Rows: got.Rows, Bytes: p.batch.Bytes(), Time: p.readAt.Sub(began)})
	}
	return fitting(got.Rows, p.batch.Bytes(), t.Limits.PageBytes)
}

// fitting is pure: how many rows of the size just seen fit into a page.
func fitting(rows, bytes, most int) int {
	if rows == 0 || bytes == 0 {
		return math.MaxInt
	}
	return max(1, int(int64(rows)*int64(most)/int64(bytes)))
}

// touch gives the keys up to the cursor, which are written already, the broadcast's new expiry, and does not load them
// again. Doing it twice is harmless, so it keeps no cursor of its own.
func (t *task) touch(ctx context.Context) error {
	enc := t.Dataset.Encoder()
	after, p := t.Unit.From, &page{}
	for t.Unit.Cursor != "" {
		if err := t.proceed(ctx); err != nil {
			return err
		}
		p.reset()
		got, err := t.Dataset.ReadKeys(ctx, t.Shop, after, t.Unit.Cursor, t.limits(t.Dataset.Spec().Name).PageRows, func(row []sql.RawBytes) (bool, error) {
			p.touch(enc, t.Shop, row)
			return true, nil
		})
		if err != nil {
			return err
		}
		if err := t.write(ctx, p); err != nil {
			return err
		}
		if got.Done {
			break
		}
		after = got.Last
	}
	return t.Ledger.Touched(ctx, t.Unit)
}
