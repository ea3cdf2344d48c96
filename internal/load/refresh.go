package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// Live is a dataset whose rows can be brought up to date one by one.
type Live interface {
	Dataset
	ReadRows(ctx context.Context, shop string, rows []string, visit source.Visit) error
	RowKey(row []sql.RawBytes) string
	CachedKey(shop, cursor string) (key string, ok bool)
}

// Refreshing is what of a shop's dataset is to be brought up to date in the cache.
type Refreshing struct {
	Shop    string
	Dataset Live
	Cache   string // that it is in
	Expiry  cache.Expiry
	Parts   []source.Part // of the shop's rows that are kept; none: all
	Rows    []string      // cursors
	Keys    []string      // in the cache, that rows may have left; they go, unless a row is written under them
}

// Refreshed is what became of it.
type Refreshed struct {
	Written int64
	Removed int64
	Bad     []ledger.Reject // rows that cannot be encoded; what was cached of them is removed
}

// refreshRows is how many rows one statement looks up.
const refreshRows = 200

// mostTries is how often rows are read again that change while they are on their way, before others get their turn.
const mostTries = 20

// Refresh reads rows again by their keys, and writes what is there now; what is gone, or is not to be cached any more, is
// removed. Doing it twice, late or in another order changes nothing: what counts is what the source says.
func (l *Loader) Refresh(ctx context.Context, r Refreshing) (Refreshed, error) {
	var done Refreshed
	t, err := l.refresher(&r)
	if err != nil {
		return done, err
	}
	for first := true; first || len(r.Rows) > 0; first = false {
		part := r
		part.Rows = r.Rows[:min(refreshRows, len(r.Rows))]
		r.Rows, r.Keys = r.Rows[len(part.Rows):], nil
		if err := t.bring(ctx, part, &done); err != nil {
			return done, fmt.Errorf("refresh dataset %s of shop %s: %w", r.Dataset.Spec().Name, r.Shop, err)
		}
	}
	return done, nil
}

// refresher is the task of a refresh, whose dataset keeps to its parts from then on.
func (l *Loader) refresher(r *Refreshing) (*task, error) {
	var err error
	if r.Dataset, err = source.Only(r.Dataset, r.Parts); err != nil {
		return nil, err
	}
	to, err := l.into(r.Cache)
	if err != nil {
		return nil, fmt.Errorf("refresh dataset %s of shop %s: %w", r.Dataset.Spec().Name, r.Shop, err)
	}
	return &task{Loader: l, Cache: to, Job: Job{Unit: ledger.Unit{Dataset: r.Dataset.Spec().Name}, Shop: r.Shop, Dataset: r.Dataset, Expiry: r.Expiry,
		Renew: func(context.Context) error { return nil }}}, nil
}

// bring brings some rows up to date. What it does in which order, and why, stands at cache.NoteChanges.
func (t *task) bring(ctx context.Context, r Refreshing, done *Refreshed) error {
	keys := map[string]string{} // of the rows, by cursor
	noted := append([]string(nil), r.Keys...)
	for _, row := range r.Rows {
		key, ok := r.Dataset.CachedKey(r.Shop, row)
		if !ok { // the key will be known when the row is read, and of a row that is gone it was told
			noted = nil
			break
		}
		keys[row] = key
		noted = append(noted, key)
	}
	seen, err := t.Cache.NoteChanges(ctx, t.watched(), noted)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		p, err := t.readAgain(ctx, r, keys)
		if err != nil {
			return err
		}
		if time.Since(p.readAt) > staleAfter {
			continue
		}
		written := p.batch.Keys()
		if err := t.write(ctx, p); err != nil {
			return err
		}
		seq, changed, err := t.Cache.ChangedSince(ctx, t.watched(), seen, written)
		if err != nil {
			return err
		}
		if len(changed) == 0 {
			done.Written += int64(p.rows)
			done.Removed += int64(len(written) - p.rows)
			done.Bad = append(done.Bad, p.rejected...)
			return nil
		}
		if try == mostTries {
			return errBusy
		}
		seen = seq
	}
}

// errBusy: rows change faster than they can be brought up to date. They are tried again later.
var errBusy = errors.New("rows change faster than they are read")

// readAgain reads rows and makes commands of them, the removals first.
func (t *task) readAgain(ctx context.Context, r Refreshing, keys map[string]string) (*page, error) {
	rows := &page{}
	enc, value := t.Dataset.Encoder(), t.Dataset.Spec().Value
	gone := map[string]bool{}
	for _, row := range r.Rows {
		gone[row] = true
	}
	err := r.Dataset.ReadRows(ctx, r.Shop, r.Rows, func(row []sql.RawBytes) (bool, error) {
		had := len(rows.rejected)
		if err := rows.add(enc, value, r.Shop, row); err != nil {
			return false, err
		}
		if len(rows.rejected) == had {
			delete(gone, r.Dataset.RowKey(row))
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	rows.readAt = time.Now()
	if enc.Write() == dataset.WriteMissing {
		return rows, nil // the application's keys are left alone
	}
	have := map[string]bool{}
	for _, key := range rows.batch.Keys() {
		have[key] = true
	}
	for _, key := range r.Keys {
		if !have[key] {
			rows.remove(key)
		}
	}
	for row := range gone {
		if key, ok := keys[row]; ok && !have[key] {
			rows.remove(key)
		}
	}
	return rows, nil
}

// RefreshAll reads all of a shop's dataset again. Of a dataset in the table form it does not find rows that are gone.
func (l *Loader) RefreshAll(ctx context.Context, r Refreshing) (Refreshed, error) {
	var done Refreshed
	t, err := l.refresher(&r)
	if err != nil {
		return done, err
	}
	again := t.bringWhole
	if r.Dataset.Spec().Paged() {
		again = t.bringPages
	}
	if err := again(ctx, r, &done); err != nil {
		return done, fmt.Errorf("refresh dataset %s of shop %s: %w", r.Dataset.Spec().Name, r.Shop, err)
	}
	return done, nil
}

// bringWhole is for what is read in one go.
func (t *task) bringWhole(ctx context.Context, r Refreshing, done *Refreshed) error {
	seen, err := t.Cache.NoteChanges(ctx, t.watched(), nil)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		p := &page{}
		if t.Dataset.Encoder().PerRow() && t.Dataset.Encoder().Write() != dataset.WriteMissing {
			for _, key := range r.Keys {
				p.remove(key)
			}
		}
		if err := t.readWhole(ctx, p); err != nil {
			return err
		}
		if err := t.write(ctx, p); err != nil {
			return err
		}
		seq, _, err := t.Cache.ChangedSince(ctx, t.watched(), seen, nil)
		if err != nil {
			return err
		}
		if seq == seen {
			done.Written += int64(p.rows)
			done.Bad = append(done.Bad, p.rejected...)
			return nil
		}
		if try == mostTries {
			return errBusy
		}
		seen = seq
	}
}

// bringPages is for what is read in pages.
func (t *task) bringPages(ctx context.Context, r Refreshing, done *Refreshed) error {
	parts := r.Parts
	if len(parts) == 0 {
		parts = []source.Part{{}}
	}
	for _, part := range parts {
		if err := t.bringPart(ctx, r, part, done); err != nil {
			return err
		}
	}
	return nil
}

func (t *task) bringPart(ctx context.Context, r Refreshing, of source.Part, done *Refreshed) error {
	for after := of.From; ; {
		var rows []string
		page, err := t.Dataset.ReadKeys(ctx, r.Shop, after, of.To, refreshRows, func(row []sql.RawBytes) (bool, error) {
			rows = append(rows, r.Dataset.RowKey(row))
			return true, nil
		})
		if err != nil {
			return err
		}
		part := r
		part.Rows = rows
		if len(rows) > 0 {
			if err := t.bring(ctx, part, done); err != nil {
				return err
			}
		}
		if page.Done {
			return nil
		}
		after = page.Last
	}
}
