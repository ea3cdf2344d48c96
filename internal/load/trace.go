package load

import (
	"context"
	"time"

	"github.com/prewarm-go/prewarm/internal/tracing"
)

// legRecord is what metrics call a checkpoint.
const legRecord = "record"

// pageTrace is a page's span and what its legs are made of; nil: nobody looks, and nothing is made.
type pageTrace struct {
	ctx      context.Context
	span     tracing.Span
	firstRow time.Time
	encoding time.Duration
}

func tracePage(ctx context.Context) *pageTrace {
	if !tracing.On(ctx) {
		return nil
	}
	t := &pageTrace{}
	t.ctx, t.span = tracing.Start(ctx, "page")
	return t
}

// rowBegan is when the encoding of a row began; zero if nobody looks.
func (t *pageTrace) rowBegan() (began time.Time) {
	if t != nil {
		began = time.Now()
		if t.firstRow.IsZero() {
			t.firstRow = began
		}
	}
	return began
}

func (t *pageTrace) rowEnded(began time.Time) {
	if t != nil {
		t.encoding += time.Since(began)
	}
}

// read is the leg of reading, whose length is the sum of the page's reads, and that of encoding.
func (t *pageTrace) read(p *page) {
	if t == nil {
		return
	}
	tracing.Past(t.ctx, legRead, p.began, p.began.Add(p.took))
	if !t.firstRow.IsZero() {
		tracing.Past(t.ctx, "encode", t.firstRow, t.firstRow.Add(t.encoding))
	}
	t.span.Set(tracing.Count("rows", p.rows), tracing.Count("rejected", len(p.rejected)), tracing.Count("bytes", p.batch.Bytes()))
}

// leg is one that ends now.
func (t *pageTrace) leg(name string, began time.Time) {
	if t != nil {
		tracing.Past(t.ctx, name, began, time.Now())
	}
}

func (t *pageTrace) end(err error) {
	if t != nil {
		t.span.End(err)
	}
}
