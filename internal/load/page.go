package load

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// page is what is written and recorded in one go, encoded as the cache's commands. It is reused.
type page struct {
	batch    cache.Batch
	rows     int // encoded
	read     int // the rejected ones included
	rejected []ledger.Reject
	after    string        // cursor that it was read from
	seen     int64         // task.seen before any of it was read
	last     string        // cursor of the last row, rejected ones included; "" if there was none
	began    time.Time     // the first read
	readAt   time.Time     // when the first read had ended
	took     time.Duration // by all reads
	encoding time.Duration
	done     bool // nothing is left behind it
	trace    *pageTrace

	// Once it is sent:
	unit   ledger.Unit // as it is behind the page
	sentAt time.Time
	ctx    context.Context // of its writing
	cancel context.CancelFunc
}

func (p *page) reset() {
	p.batch.Reset()
	*p = page{batch: p.batch, rejected: p.rejected[:0]}
}

// ops are the cache's operations by the dataset's `write`.
var ops = map[string]struct{ object, hash, collection, touch cache.Op }{
	dataset.WriteAlways:  {cache.Set, cache.HSet, cache.ReplaceHash, cache.Touch},
	dataset.WriteNewer:   {object: cache.SetNewer, hash: cache.HSetNewer, touch: cache.Touch}, // rows only
	dataset.WriteMissing: {cache.SetMissing, cache.HSetMissing, cache.HSetMissing, cache.TouchMissing},
}

// add encodes a row as commands of its own. A row that cannot be encoded becomes a reject.
func (p *page) add(enc *dataset.Encoder, value, shop string, row []sql.RawBytes) error {
	var err error
	began := p.trace.rowBegan()
	if value == dataset.ValueHash {
		err = p.addHash(enc, shop, row)
	} else {
		err = p.addObject(enc, shop, row)
	}
	p.trace.rowEnded(began)
	return p.settle(err, shop, enc, row)
}

// settle counts a row, or rejects it if that is what err says.
func (p *page) settle(err error, shop string, enc *dataset.Encoder, row []sql.RawBytes) error {
	if err == nil {
		p.rows++
		return nil
	}
	p.batch.Rollback()
	return p.reject(err, shop, enc, row)
}

// reject keeps a row that cannot be encoded; any other error is handed on.
func (p *page) reject(err error, shop string, enc *dataset.Encoder, row []sql.RawBytes) error {
	var bad *dataset.RowError
	if !errors.As(err, &bad) {
		return err
	}
	p.rejected = append(p.rejected, ledger.Reject{RowKey: rowKey(enc, shop, row), Error: bad.Error()})
	return nil
}

// begin begins the command of a row: its key and, if versions are compared, its version.
func (p *page) begin(op cache.Op, enc *dataset.Encoder, shop string, row []sql.RawBytes) (err error) {
	b := &p.batch
	b.Begin(op)
	if b.Buf, err = enc.AppendKey(b.Buf, shop, row); err != nil {
		return err
	}
	b.EndArg()
	if enc.Write() == dataset.WriteNewer {
		b.Version = enc.Version()
		if b.Buf, err = enc.AppendVersion(b.Buf, row); err != nil {
			return err
		}
		b.EndArg()
	}
	return nil
}

func (p *page) addObject(enc *dataset.Encoder, shop string, row []sql.RawBytes) (err error) {
	b := &p.batch
	if err := p.begin(ops[enc.Write()].object, enc, shop, row); err != nil {
		return err
	}
	if b.Buf, err = enc.AppendObject(b.Buf, row); err != nil {
		return err
	}
	b.EndArg()
	b.End()
	return nil
}

// addHash writes one field per column; the fields of columns that are NULL are removed, or an older value would stay.
func (p *page) addHash(enc *dataset.Encoder, shop string, row []sql.RawBytes) (err error) {
	b := &p.batch
	if err := p.begin(ops[enc.Write()].hash, enc, shop, row); err != nil {
		return err
	}
	for i, name := range enc.Columns() {
		b.Buf = append(b.Buf, name...)
		buf, ok, err := enc.AppendText(b.Buf, i, row)
		if err != nil {
			return err
		}
		if !ok {
			b.EndDrop()
			continue
		}
		b.EndArg() // the name; the value stands behind it in buf
		b.Buf = buf
		b.EndArg()
	}
	b.End()
	return nil
}

// rowKey names a row for people: its key in the cache, or its columns if that cannot be made, without those that nobody may see.
func rowKey(enc *dataset.Encoder, shop string, row []sql.RawBytes) string {
	if key, err := enc.AppendKey(nil, shop, row); err == nil && enc.PerRow() {
		return strings.ToValidUTF8(string(key), "?")
	}
	var parts []string
	for i, name := range enc.Columns() {
		if len(parts) == 4 {
			break
		}
		if enc.Protected(i) {
			continue
		}
		v := string(row[i])
		if row[i] == nil {
			v = "NULL"
		} else if len(v) > 40 {
			v = v[:40] + "…"
		}
		parts = append(parts, name+"="+v)
	}
	return strings.ToValidUTF8(strings.Join(parts, " "), "?")
}
