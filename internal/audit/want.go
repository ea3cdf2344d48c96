package audit

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
)

// want is what should stand under a key.
type want struct {
	key    string
	row    string // the row's cursor; "" for a value of many rows
	absent bool   // nothing should
	unread bool   // the source was not asked yet
	unsaid bool   // the row cannot be encoded: whatever is there is left alone

	text  string            // a string
	hash  map[string]string // not nil: a hash
	nulls []string          // fields that must not be there
	exact bool              // nor any other field

	version string // write: newer
}

// same says whether two expectations are of the same row as it stood.
func (w want) same(o want) bool {
	return !w.unread && !o.unread && w.absent == o.absent && w.unsaid == o.unsaid && w.text == o.text && equal(w.hash, o.hash) && len(w.nulls) == len(o.nulls)
}

// read sends what a place should hold, page by page.
func (a *Auditor) read(ctx context.Context, p *place, r Range, pages chan<- []want) error {
	if !p.d.Spec().Paged() {
		if err := a.proceed(ctx, p); err != nil {
			return err
		}
		began := time.Now()
		all, err := p.whole(ctx)
		a.spent(began, len(all))
		for part := range slices.Chunk(all, pageRows) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case pages <- part:
			}
		}
		return err
	}
	recent, err := p.recent()
	if err != nil {
		return err
	}
	for after := r.From; ; {
		if err := a.proceed(ctx, p); err != nil {
			return err
		}
		began := time.Now()
		page := make([]want, 0, pageRows)
		got, err := recent.ReadPage(ctx, p.shop, after, r.To, pageRows, func(row []sql.RawBytes) (bool, error) {
			w, err := p.perRow(row)
			if w.key != "" {
				page = append(page, w)
			}
			return true, err
		})
		a.spent(began, got.Rows)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case pages <- page:
		}
		if got.Done {
			return nil
		}
		after = got.Last
	}
}

// recent is the dataset without the rows that are too old.
func (p *place) recent() (Dataset, error) {
	if p.part.Since == "" {
		return p.d, nil
	}
	return source.Only(p.d, []source.Part{{Column: p.part.Column, Since: p.part.Since}})
}

// whole is all that a dataset in query form should hold.
func (p *place) whole(ctx context.Context) ([]want, error) {
	if !p.d.Encoder().PerRow() {
		w, err := p.collection(ctx)
		return []want{w}, err
	}
	var all []want
	err := p.d.ReadAll(ctx, p.shop, func(row []sql.RawBytes) (bool, error) {
		w, err := p.perRow(row)
		if w.key != "" {
			all = append(all, w)
		}
		return true, err
	})
	return all, err
}

// perRow is what a row with a key of its own should be cached as. A row without a key has none, as when it was loaded.
func (p *place) perRow(row []sql.RawBytes) (want, error) {
	enc := p.d.Encoder()
	key, err := enc.AppendKey(nil, p.shop, row)
	if err != nil {
		return want{}, rejected(err)
	}
	w := want{key: string(key)}
	if p.d.Spec().Paged() {
		w.row = p.d.RowKey(row)
	}
	if enc.Write() == dataset.WriteNewer {
		version, err := enc.AppendVersion(nil, row)
		if err != nil {
			w.unsaid = true
			return w, rejected(err)
		}
		w.version = string(version)
	}
	if p.d.Spec().Value == dataset.ValueHash {
		return p.hashRow(w, row)
	}
	value, err := enc.AppendObject(nil, row)
	w.text, w.unsaid = string(value), err != nil
	return w, rejected(err)
}

func (p *place) hashRow(w want, row []sql.RawBytes) (want, error) {
	enc := p.d.Encoder()
	w.hash = map[string]string{}
	for i, name := range enc.Columns() {
		text, ok, err := enc.AppendText(nil, i, row)
		if err != nil {
			w.unsaid = true
			return w, rejected(err)
		}
		if ok {
			w.hash[name] = string(text)
		} else {
			w.nulls = append(w.nulls, name)
		}
	}
	w.absent = len(w.hash) == 0 // Redis has no empty hashes
	return w, nil
}

// rejected lets rows pass that the loader could not encode either.
func rejected(err error) error {
	if bad := (*dataset.RowError)(nil); errors.As(err, &bad) {
		return nil
	}
	return err
}

// collection is what should stand under the shop's one key.
func (p *place) collection(ctx context.Context) (want, error) {
	enc, spec := p.d.Encoder(), p.d.Spec()
	key, err := enc.AppendKey(nil, p.shop, nil)
	if err != nil {
		return want{}, err
	}
	w := want{key: string(key), exact: true}
	if spec.Value == dataset.ValueHash {
		w.hash = map[string]string{}
	}
	list, rows := []byte{'['}, 0
	err = p.d.ReadAll(ctx, p.shop, func(row []sql.RawBytes) (bool, error) {
		object, err := enc.AppendObject(nil, row)
		var field []byte
		if err == nil && w.hash != nil {
			field, err = enc.AppendField(nil, p.shop, row)
		}
		if err != nil {
			return true, rejected(err)
		}
		rows++
		switch {
		case w.hash != nil:
			w.hash[string(field)] = string(object)
		case spec.Value == dataset.ValueJSON:
			w.text = string(object)
		default:
			if rows > 1 {
				list = append(list, ',')
			}
			list = append(list, object...)
		}
		return true, nil
	})
	if spec.Value == dataset.ValueJSONArray {
		w.text = string(append(list, ']'))
	} else if rows == 0 {
		w = want{key: w.key, absent: true}
	}
	return w, err
}

// fresh is what should stand under the keys of wants now, by key; those of rows that are gone are absent.
func (p *place) fresh(ctx context.Context, wants []want) (map[string]want, error) {
	now := map[string]want{}
	if !p.d.Spec().Paged() {
		all, err := p.whole(ctx)
		if err != nil {
			return nil, err
		}
		for _, w := range all {
			now[w.key] = w
		}
	} else {
		if err := p.rows(ctx, wants, now); err != nil {
			return nil, err
		}
	}
	for _, w := range wants {
		if _, ok := now[w.key]; !ok {
			now[w.key] = want{key: w.key, row: w.row, absent: true}
		}
	}
	return now, nil
}

// rows is fresh for single rows. Of one that is there and not in the part that is kept nothing is said.
func (p *place) rows(ctx context.Context, wants []want, now map[string]want) error {
	rows := make([]string, len(wants))
	for i, w := range wants {
		rows[i] = w.row
	}
	read := func(d Dataset, beyond bool) error {
		return d.ReadRows(ctx, p.shop, rows, func(row []sql.RawBytes) (bool, error) {
			w, err := p.perRow(row)
			if _, kept := now[w.key]; w.key != "" && !kept {
				w.unsaid = w.unsaid || beyond
				now[w.key] = w
			}
			return true, err
		})
	}
	if p.part == (source.Part{}) {
		return read(p.d, false)
	}
	d, err := source.Only(p.d, []source.Part{p.part})
	if err != nil {
		return err
	}
	if err := read(d, false); err != nil {
		return err
	}
	return read(p.d, true)
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}
