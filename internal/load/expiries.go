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
)

const (
	// scanFree is how many keys of a cache are looked through for whatever is to be moved: about a second.
	scanFree = 1_000_000
	// scanMost is how many keys are looked through for each that is to be moved. Beside other work on two processors a key that is
	// looked at and not wanted took 1.1 µs, 0.8 of them the cache's processor's, one that is moved 7 and 4 (cache.BenchmarkScan,
	// BenchmarkExtend), and one that is read from MySQL instead 0.9 (BenchmarkReadKeys). At 20 the looking takes three times as long
	// as the moving: the source is what a broadcast needs most, but not at any price for the cache.
	scanMost = 20
	// sayEvery is how often a unit says that it still moves expiries.
	sayEvery = 5 * time.Second
)

// scans is pure: whether the keys of a run that has so many are looked for in a cache of so many keys, and why not. All of the
// run's count: a small dataset beside a large one is no reason to read the source.
func scans(keys, move int64) (ok bool, why string) {
	if keys <= scanFree || keys <= scanMost*move {
		return true, ""
	}
	return false, fmt.Sprintf("the cache has %d keys, too many to look through for %d", keys, move)
}

// trusts is pure: whether what was found in the cache are the dataset's keys, and why not. Most keys of a dataset that is
// always written have prewarm's expiries; if not, it was another policy.expire when they were written, or the server does not
// tell expiries (Redis before 7).
func trusts(write string, found cache.Extended) (ok bool, why string) {
	if write == dataset.WriteMissing || found.Alike <= found.Moved {
		return true, ""
	}
	return false, fmt.Sprintf("%d keys of %d have an expiry that is not of the shop's broadcasts", found.Alike, found.Alike+found.Moved)
}

// carry moves the expiries of the keys of all of the dataset's finished units. If it cannot, it opens these units, and says that
// this one has to see to its own keys.
func (t *task) carry(ctx context.Context) (settled ledger.Settled, done bool, err error) {
	began := time.Now()
	found, why, err := t.sweep(ctx)
	t.lap(&t.spent.Write)
	switch {
	case err != nil:
		return ledger.StillOpen, false, err
	case why != "":
		return ledger.StillOpen, false, t.Ledger.Reopen(ctx, t.Unit, why)
	}
	if err := t.keep(ctx); err != nil {
		return ledger.StillOpen, false, err
	}
	settled, err = t.Ledger.Carried(ctx, t.Unit, fmt.Sprintf("of %d keys of %s, found in the cache in %s; %d that look alike were left alone",
		found.Moved, t.Unit.Dataset, time.Since(began).Round(time.Millisecond), found.Alike))
	return settled, true, err
}

// sweep looks for the dataset's keys in the cache; why says why that is not the way.
func (t *task) sweep(ctx context.Context) (found cache.Extended, why string, err error) {
	enc := t.Dataset.Encoder()
	pattern, ok := enc.Pattern(t.Shop)
	if !ok {
		return found, "they cannot be told from others by their names", nil
	}
	rows, err := t.Ledger.Written(ctx, t.Unit)
	if err != nil {
		return found, "", err
	}
	keys, ok, err := t.Cache.Size(ctx)
	if err != nil {
		return found, "", err
	}
	if !ok {
		return found, "the cache does not tell how many keys it has", nil
	}
	if ok, why := scans(keys, rows); !ok {
		return found, why, nil
	}
	unsure := 0
	found, err = t.Cache.Extend(ctx, cache.Extension{
		Prefix: pattern.Prefix(), Expiry: t.Expiry, Proceed: t.alive(),
		Own: func(key string) bool {
			_, ok := pattern.Row(key)
			if !ok && pattern.Unsure(key) {
				unsure++
			}
			return ok
		},
		Moved: func(keys int) { t.Metrics.extended(t.Unit.Dataset, keys) },
	})
	if cache.Refused(err) {
		return found, "the cache's user may not SCAN", nil
	}
	if err != nil {
		return found, "", fmt.Errorf("dataset %s: %w", t.Unit.Dataset, err)
	}
	if unsure > 0 {
		return found, fmt.Sprintf("%d keys may be another shop's by their names", unsure), nil
	}
	if ok, why := trusts(enc.Write(), found); !ok {
		return found, why, nil
	}
	return found, "", nil
}

// alive is asked before each look at the cache: it waits as before a page, keeps the lease, and says that the unit moves.
func (t *task) alive() func(context.Context) error {
	said := time.Now()
	return func(ctx context.Context) error {
		if err := errors.Join(t.proceed(ctx), t.Renew(ctx)); err != nil {
			return err
		}
		if time.Since(said) < sayEvery {
			return nil
		}
		said = time.Now()
		return t.Ledger.Checkpoint(ctx, t.Unit, nil)
	}
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
		got, err := t.Dataset.ReadKeys(ctx, t.Shop, after, t.Unit.Cursor, t.limits(t.Dataset.Spec().Name, "").PageRows, func(row []sql.RawBytes) (bool, error) {
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
	if err := t.keep(ctx); err != nil {
		return err
	}
	return t.Ledger.Touched(ctx, t.Unit)
}

// touchWhole gives the keys of a dataset that was loaded whole the broadcast's new expiry, without loading it again.
func (t *task) touchWhole(ctx context.Context) (ledger.Settled, error) {
	p, enc := &page{}, t.Dataset.Encoder()
	if enc.PerRow() {
		err := t.Dataset.ReadAll(ctx, t.Shop, func(row []sql.RawBytes) (bool, error) {
			p.touch(enc, t.Shop, row)
			return true, nil
		})
		if err != nil {
			return ledger.StillOpen, err
		}
	} else {
		p.touch(enc, t.Shop, nil)
	}
	if err := t.write(ctx, p); err != nil {
		return ledger.StillOpen, err
	}
	if err := t.keep(ctx); err != nil {
		return ledger.StillOpen, err
	}
	return t.Ledger.Finish(ctx, t.Unit, nil)
}

// keep has the run's mark live as long as the keys that were moved. Without it the reconciliation would take all that the run has
// written for lost once the end has come that it had before.
func (t *task) keep(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, writeTime(0))
	defer cancel()
	return t.Cache.Keep(bounded, mark(t.Unit), t.Expiry)
}

// touch moves the expiry of a row's key. A row without a key was rejected when it was loaded.
func (p *page) touch(enc *dataset.Encoder, shop string, row []sql.RawBytes) {
	b := &p.batch
	b.Begin(ops[enc.Write()].touch)
	buf, err := enc.AppendKey(b.Buf, shop, row)
	if err != nil {
		b.Rollback()
		return
	}
	b.Buf = buf
	b.EndArg()
	b.End()
}
