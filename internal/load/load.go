package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// ErrHandBack: the unit is to be given back; it stands at a page boundary. What wraps it says why.
var ErrHandBack = errors.New("handed back")

// errStale: a page was read too long ago to be written, as after the process was frozen. It is read again.
var errStale = errors.New("page was read too long ago")

// staleAfter is how old a page may be when it is written. Reading one page ahead makes a page as old as the write
// before it, which is bounded by the client's timeouts; older means that the process stood still, and then the rows may
// have changed under it.
const staleAfter = 5 * time.Second

// errSilent: the cache did not take a page in time.
var errSilent = errors.New("the cache did not answer in time")

// writeTime is how long the write of a page of so many bytes may take, its repeats included: together with staleAfter it
// bounds how old a row can be when it reaches the cache.
func writeTime(bytes int) time.Duration {
	return staleAfter + time.Duration(bytes>>20)*time.Second
}

// Dataset is a dataset on its live source.
type Dataset interface {
	Spec() dataset.Spec
	Encoder() *dataset.Encoder
	ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error)
	MeasurePage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (page source.Page, examined int64, err error)
	ReadKeys(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error)
	ReadAll(ctx context.Context, shop string, visit source.Visit) error
	Cursor(row []sql.RawBytes) (string, error)
	Now(ctx context.Context) (time.Time, error)
}

// Ledger is where progress is kept.
type Ledger interface {
	Checkpoint(ctx context.Context, u ledger.Unit, rejected []ledger.Reject) error
	Finish(ctx context.Context, u ledger.Unit, rejected []ledger.Reject) (ledger.Settled, error)
	Touched(ctx context.Context, u ledger.Unit) error
	Written(ctx context.Context, u ledger.Unit) (rows int64, err error)
	Carried(ctx context.Context, u ledger.Unit, what string) (ledger.Settled, error)
	Reopen(ctx context.Context, u ledger.Unit, why string) error
}

// Cache is where pages go. One that is a Streamer too takes pages before those ahead of them are answered.
type Cache interface {
	Write(ctx context.Context, b *cache.Batch, e cache.Expiry) error
	NoteChanges(ctx context.Context, of cache.Watched, keys []string) (seq int64, err error)
	ChangedSince(ctx context.Context, of cache.Watched, since int64, keys []string) (seq int64, changed []string, err error)
	Size(ctx context.Context) (keys int64, ok bool, err error)
	Extend(ctx context.Context, x cache.Extension) (cache.Extended, error)
	Keep(ctx context.Context, m cache.RunMark, e cache.Expiry) error
}

// Streamer begins a stream of pages.
type Streamer interface {
	Stream(ctx context.Context) *cache.Stream
}

// Loader loads units. It is safe for concurrent use.
type Loader struct {
	Ledger  Ledger
	Cache   Cache                            // the only one; nil: Caches has several
	Caches  func(name string) (Cache, error) // by name
	Limits  Limits
	Sizes   Sizes                          // how many rows pages have; nil: Limits.PageRows
	Share   func() float64                 // of its usual size that a page may have now, for want of memory; nil: 1
	Costs   Costs                          // watches what pages cost the database; nil: nobody
	Begin   func(dataset string) Elsewhere // where the pages of one unit are read; nil, or answering nil: at the source
	Learn   Learn                          // told what each attempt cost; nil: nobody
	Metrics *Metrics
}

// into is the cache of a name.
func (l *Loader) into(name string) (Cache, error) {
	if l.Cache != nil {
		return l.Cache, nil
	}
	return l.Caches(name)
}

// Learn takes what an attempt at a unit cost: rows and bytes written, and the slot's time.
type Learn func(dataset string, rows, bytes int64, took time.Duration)

// Sizes says how many rows the next page of a dataset asks for, and is told how each one went. It is safe for concurrent
// use.
type Sizes interface {
	Rows(dataset, replica string) int
	Read(p PageRead)
}

// PageRead is a page that was read.
type PageRead struct {
	Dataset string
	Replica string // that it was read at; "": at the source
	Rows    int
	Bytes   int // of its keys and values
	// Time is from the statement until the kernel had the last row (source.Page.Took), so that what we wait for a processor is no part of it;
	// where that is not known, until we had it.
	Time time.Duration
	Had  time.Duration // until we had the last row, and the encoding of the rows
}

// At names a dataset where it is read: replicas are other servers, and what a page takes there says nothing of its source.
func (p PageRead) At() string { return At(p.Dataset, p.Replica) }

// At is PageRead.At.
func At(dataset, replica string) string {
	if replica == "" {
		return dataset
	}
	return dataset + "@" + replica
}

// limits are the bounds of the next page of a dataset.
func (l *Loader) limits(dataset, replica string) Limits {
	now := l.Limits
	if l.Sizes != nil {
		now.PageRows = l.Sizes.Rows(dataset, replica)
	}
	now.PageRows, now.PageBytes = l.share(now.PageRows), l.share(now.PageBytes)
	return now
}

// share is the part of a bound that there is memory for.
func (l *Loader) share(bound int) int {
	if l.Share == nil {
		return bound
	}
	return max(1, int(l.Share()*float64(bound)))
}

// Limits bound pages and rejects.
type Limits struct {
	PageRows   int // rows of a page, if nobody sizes them
	Together   Together
	PageBytes  int // a page ends early at this many bytes
	MaxRejects int // rows of a unit that may be rejected before it fails
}

// Together bounds the page that small reads are put together into. The zero value leaves each read a page of its own.
type Together struct {
	Rows int
	For  time.Duration // that its reads may take; 0: no matter how long
}

// DefaultTogether is what pods go by. Reads of 500 rows that were written and recorded 2,000 rows at a time took 12 to 16 % less
// processor time of the client and the cache than by themselves, in three pairs of runs; reads of 200 rows were 1, 1 and 5 % faster with 4,000 than
// with 2,000, as the ledger has half as much to do. Who is asked to stop does so at the end of a page, so it ends soon where reads are slow.
var DefaultTogether = Together{Rows: 4000, For: 20 * time.Millisecond}

// takes says whether a page that has taken so long may have so many rows, of which there is memory for a share.
func (t Together) takes(rows int, took time.Duration, share func(int) int) bool {
	return rows <= share(t.Rows) && (t.For == 0 || took <= t.For)
}

// Job is one claimed unit and what its loading needs.
type Job struct {
	Unit    ledger.Unit
	Shop    string
	Dataset Dataset
	Parts   []source.Part // of which only the rows of any of these are read, wherever it is read; none: all
	Expiry  cache.Expiry
	Renew   func(context.Context) error // extends the shop's lease; called after each page
	Proceed func(context.Context) error // asked before each page; it may wait; an error that is ErrHandBack, with the reason, stops there
	Spent   *Spent                      // filled, also when the loading fails; nil: not wanted
}

// Load loads a unit to its end and says what became of its run. The context bounds everything; when it ends, so does
// the work, between two commands, and the error is the context's cause with what it interrupted.
func (l *Loader) Load(ctx context.Context, j Job) (ledger.Settled, error) {
	settled, err := l.load(ctx, j)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return settled, err
}

func (l *Loader) load(ctx context.Context, j Job) (ledger.Settled, error) {
	t := &task{Loader: l, Job: j, mark: time.Now()}
	defer t.account(j)
	var err error
	if t.Dataset, err = source.Only(j.Dataset, j.Parts); err != nil {
		return ledger.StillOpen, err
	}
	if t.Cache, err = l.into(j.Unit.Cache); err != nil {
		return ledger.StillOpen, err
	}
	attempt := t.loadPages
	if !j.Dataset.Spec().Paged() {
		attempt = t.loadWhole
		if t.Unit.Touch && t.Unit.Pages > 0 {
			attempt = t.touchWhole
		}
	} else if t.Unit.Touch {
		if t.Unit.Carries {
			if settled, done, err := t.carry(ctx); done || err != nil {
				return settled, err
			}
		}
		err := t.touch(ctx)
		t.lap(&t.spent.Write)
		if err != nil {
			return ledger.StillOpen, err
		}
	}
	if t.Unit.Pages == 0 {
		now, err := j.Dataset.Now(ctx)
		if err != nil {
			return ledger.StillOpen, err
		}
		t.Unit.AsOf = now
	}
	began := time.Now()
	for {
		settled, err := attempt(ctx)
		if errors.Is(err, errStale) {
			// The process stood still, and the unit may have been taken over meanwhile.
			if err := l.Ledger.Checkpoint(ctx, t.Unit, nil); err != nil {
				return ledger.StillOpen, err
			}
			continue
		}
		if rows := t.Unit.RowsDone - j.Unit.RowsDone; l.Learn != nil && rows > 0 {
			l.Learn(t.Unit.Dataset, rows, t.bytes, time.Since(began)-t.spent.Held)
		}
		return settled, err
	}
}

// task is one unit on its way.
type task struct {
	*Loader
	Job
	Cache Cache        // where it goes
	bytes int64        // written
	seen  atomic.Int64 // the newest change of the shop's dataset that the cache knew of when the last page was written
	spent Spent
	mark  time.Time // up to here the time is accounted for
}

// proceed asks whether the next page may be begun.
func (t *task) proceed(ctx context.Context) error {
	err := t.Proceed(ctx)
	t.lap(&t.spent.Held)
	return err
}

// put writes a page that is a whole unit, and records it.
func (t *task) put(ctx context.Context, p *page) (ledger.Settled, error) {
	u, err := t.stamp(t.Unit, p)
	if err != nil {
		return ledger.StillOpen, err
	}
	began := time.Now()
	if err := t.write(ctx, p); err != nil {
		return ledger.StillOpen, err
	}
	if err := t.settleChanges(ctx, p); err != nil {
		return ledger.StillOpen, err
	}
	p.trace.leg(legWrite, began)
	began = time.Now()
	settled, err := t.record(ctx, u, p.rejected, p.done)
	p.trace.leg(legRecord, began)
	if err == nil {
		t.Metrics.pages(u, 1, p.rows, len(p.rejected))
		t.Unit = u
	}
	return settled, err
}

// stamp is the unit as it is behind a page, which gets the stamp that says so. A page that must not be written is an error.
func (t *task) stamp(u ledger.Unit, p *page) (ledger.Unit, error) {
	if time.Since(p.readAt) > staleAfter {
		return u, errStale
	}
	u.RowsDone += int64(p.rows)
	u.Rejects += int64(len(p.rejected))
	u.Pages++
	if p.last != "" {
		u.Cursor = p.last
	}
	if len(p.rejected) > 0 && u.Rejects > int64(t.Limits.MaxRejects) {
		return u, &tooManyRejects{dataset: u.Dataset, limit: t.Limits.MaxRejects, first: p.rejected[0]}
	}
	if p.batch.Len() > 0 {
		stamp := cache.StampValue(u.Claim, u.Pages)
		p.batch.Stamp = &cache.Stamp{RunMark: mark(u), Unit: u.Unit, Value: stamp, Known: u.Marked, Of: t.watched()}
		u.Marked = stamp
	}
	return u, nil
}

// mark is what vouches for a unit's run in the cache.
func mark(u ledger.Unit) cache.RunMark { return cache.RunMark{Run: u.RunID, Epoch: u.Epoch} }

// write writes a page at once.
func (t *task) write(ctx context.Context, p *page) error {
	if p.batch.Len() == 0 {
		return nil
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, writeTime(p.batch.Bytes()))
	defer cancel()
	return t.written(ctx, bounded, p, began, t.Cache.Write(bounded, &p.batch, t.Expiry))
}

// written is what follows the write of a page, which was bounded by a context of its own and not allowed to take longer
// than writeTime: the client sends a page again whose answer did not come, and that must not be after the process stood
// still.
func (t *task) written(ctx, bounded context.Context, p *page, began time.Time, err error) error {
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errSilent, err)
	}
	if err != nil {
		return fmt.Errorf("dataset %s: %w", t.Unit.Dataset, err)
	}
	t.Metrics.leg(t.Unit.Dataset, legWrite, began)
	t.bytes += int64(p.batch.Bytes())
	return t.Renew(ctx)
}

// record moves the cursor to where a unit has come; with its last page it is done.
func (t *task) record(ctx context.Context, u ledger.Unit, rejected []ledger.Reject, done bool) (settled ledger.Settled, err error) {
	began := time.Now()
	if done {
		settled, err = t.Ledger.Finish(ctx, u, rejected)
	} else {
		err = t.Ledger.Checkpoint(ctx, u, rejected)
	}
	if err != nil {
		return ledger.StillOpen, err
	}
	t.Metrics.leg(u.Dataset, legCheckpoint, began)
	return settled, nil
}
