package load

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// maxWhole bounds a dataset that is read and written in one go, in bytes: it stands in the pod's memory as a whole.
const maxWhole = 64 << 20

// loadWhole reads and writes a small dataset in one go.
func (t *task) loadWhole(ctx context.Context) (ledger.Settled, error) {
	if err := t.proceed(ctx); err != nil {
		return ledger.StillOpen, err
	}
	// A repeat begins anew, and so do its counts.
	t.Unit.RowsDone, t.Unit.Rejects = 0, 0
	p := &page{}
	p.reset()
	p.seen, p.trace, p.began = t.seen.Load(), tracePage(ctx), time.Now()
	err := t.readWhole(ctx, p)
	t.lap(&t.spent.Read)
	p.took = time.Since(p.began)
	t.spent.DB += p.took
	p.trace.read(p)
	if err != nil {
		p.trace.end(err)
		return ledger.StillOpen, err
	}
	t.Metrics.took(t.Unit.Dataset, legRead, p.took)
	p.done, p.readAt = true, time.Now()
	settled, err := t.put(ctx, p)
	p.trace.end(err)
	t.lap(&t.spent.Write)
	return settled, err
}

// readWhole fills a page with all there is; parts of it may have been written when it returns.
func (t *task) readWhole(ctx context.Context, p *page) error {
	switch enc := t.Dataset.Encoder(); {
	case enc.PerRow():
		return t.readRows(ctx, p)
	case t.Dataset.Spec().Value == dataset.ValueJSON:
		return t.readSingle(ctx, p)
	}
	return t.readCollection(ctx, p)
}

// readRows writes a key per row, page by page, without a cursor.
func (t *task) readRows(ctx context.Context, p *page) error {
	spec, enc := t.Dataset.Spec(), t.Dataset.Encoder()
	return t.Dataset.ReadAll(ctx, t.Shop, func(row []sql.RawBytes) (bool, error) {
		if p.batch.Bytes() >= t.limits(t.Unit.Dataset, "").PageBytes {
			if err := t.write(ctx, p); err != nil {
				return false, err
			}
			p.batch.Reset()
		}
		return true, p.add(enc, spec.Value, t.Shop, row)
	})
}

// readSingle writes the shop's one row under the shop's one key.
func (t *task) readSingle(ctx context.Context, p *page) error {
	spec, enc := t.Dataset.Spec(), t.Dataset.Encoder()
	seen := 0
	err := t.Dataset.ReadAll(ctx, t.Shop, func(row []sql.RawBytes) (bool, error) {
		if seen++; seen > 1 {
			return false, fmt.Errorf("dataset %s, shop %s: %w", spec.Name, t.Shop, dataset.ErrManyRows)
		}
		return true, p.add(enc, spec.Value, t.Shop, row)
	})
	if err != nil || seen > 0 {
		return err
	}
	if enc.Write() == dataset.WriteMissing {
		return nil
	}
	b := &p.batch // no row: an older value must not stay; a newer one that goes too is a miss
	b.Begin(cache.Del)
	if b.Buf, err = enc.AppendKey(b.Buf, t.Shop, nil); err != nil {
		return err
	}
	b.EndArg()
	b.End()
	return nil
}

// readCollection writes all rows under the shop's one key: an array, or a hash with a field per row.
func (t *task) readCollection(ctx context.Context, p *page) error {
	enc, b := t.Dataset.Encoder(), &p.batch
	hash := t.Dataset.Spec().Value == dataset.ValueHash
	op := ops[enc.Write()].object
	if hash {
		op = ops[enc.Write()].collection
	}
	b.Begin(op)
	var err error
	if b.Buf, err = enc.AppendKey(b.Buf, t.Shop, nil); err != nil {
		return err
	}
	b.EndArg()
	if !hash {
		b.Buf = append(b.Buf, '[')
	}
	err = t.Dataset.ReadAll(ctx, t.Shop, func(row []sql.RawBytes) (bool, error) {
		if b.Bytes() > maxWhole {
			return false, &tooBig{dataset: t.Unit.Dataset, shop: t.Shop}
		}
		began, add := p.trace.rowBegan(), t.addElement
		if hash {
			add = t.addField
		}
		err := add(p, row)
		p.trace.rowEnded(began)
		return true, err
	})
	if err != nil {
		b.Rollback()
		return err
	}
	if !hash {
		b.Buf = append(b.Buf, ']')
		b.EndArg()
	}
	b.End()
	return nil
}

func (t *task) addElement(p *page, row []sql.RawBytes) error {
	b, enc := &p.batch, t.Dataset.Encoder()
	start := len(b.Buf)
	if p.rows > 0 {
		b.Buf = append(b.Buf, ',')
	}
	buf, err := enc.AppendObject(b.Buf, row)
	if err != nil {
		b.Buf = b.Buf[:start]
		return p.reject(err, t.Shop, enc, row)
	}
	b.Buf = buf
	p.rows++
	return nil
}

// addField encodes the value first: once an argument has ended it cannot be taken back alone.
func (t *task) addField(p *page, row []sql.RawBytes) error {
	b, enc := &p.batch, t.Dataset.Encoder()
	start := len(b.Buf)
	buf, err := enc.AppendField(b.Buf, t.Shop, row)
	mid := len(buf)
	if err == nil {
		buf, err = enc.AppendObject(buf, row)
	}
	if err != nil {
		b.Buf = b.Buf[:start]
		return p.reject(err, t.Shop, enc, row)
	}
	b.Buf = buf[:mid]
	b.EndArg() // the field; the value stands behind it in buf
	b.Buf = buf
	b.EndArg()
	p.rows++
	return nil
}
