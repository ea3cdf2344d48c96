package load

import (
	"context"
	"database/sql"
	"time"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
)

// watched is whose recent changes concern a task.
func (t *task) watched() cache.Watched {
	return cache.Watched{Shop: t.Shop, Dataset: t.Dataset.Spec().Name}
}

// settleChanges is for a page that was just written: if any of its rows has changed since before it was read, what was
// written may be older than what the change had brought, so the page is read and written again, until nothing has changed
// meanwhile. See cache.NoteChanges.
func (t *task) settleChanges(ctx context.Context, p *page) error {
	if p.batch.Stamp == nil {
		return nil
	}
	since, seq := p.seen, p.batch.Stamp.Seq
	t.seen.Store(seq)
	if seq == since {
		return nil
	}
	if !t.Dataset.Spec().Paged() {
		return errStale // what is read whole is written whole, once more
	}
	keys := p.batch.Keys()
	for {
		seq, changed, err := t.Cache.ChangedSince(ctx, t.watched(), since, keys)
		if err != nil || len(changed) == 0 {
			return err
		}
		if keys, err = t.rewrite(ctx, p, keys); err != nil {
			return err
		}
		since = seq
	}
}

// rewrite reads the rows of a page again, up to its last one, and writes them; of rows that are gone the keys go too. It has
// no stamp: pages behind it may have theirs by now. It answers the keys that it wrote.
func (t *task) rewrite(ctx context.Context, p *page, keys []string) ([]string, error) {
	again := &page{}
	enc, value := t.Dataset.Encoder(), t.Dataset.Spec().Value
	_, err := t.Dataset.ReadPage(ctx, t.Shop, p.after, p.last, everyRow, func(row []sql.RawBytes) (bool, error) {
		return true, again.add(enc, value, t.Shop, row)
	})
	if err != nil {
		return nil, err
	}
	if again.readAt = time.Now(); enc.Write() != dataset.WriteMissing {
		have := map[string]bool{}
		for _, key := range again.batch.Keys() {
			have[key] = true
		}
		for _, key := range keys {
			if !have[key] {
				again.remove(key)
			}
		}
	}
	return again.batch.Keys(), t.write(ctx, again)
}

// everyRow is no limit for rows that are bounded by their range: those of a page, and what came between them since.
const everyRow = 1 << 30

// remove removes a key.
func (p *page) remove(key string) {
	b := &p.batch
	b.Begin(cache.Del)
	b.Buf = append(b.Buf, key...)
	b.EndArg()
	b.End()
}
