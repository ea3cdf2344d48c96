// Package audit compares the cache with its source, in both directions, and repairs what is wrong. What it says is judged by
// the dataset's `write`: a newer row that the application has written, say, is not wrong. It owns the comparison of shops
// (Auditor) and the carrying out of the audits that the ledger holds (Runner).
//
//	read a page ─► look its keys up ─► what looks wrong is put aside
//	                                         │ after a moment
//	   each key of the cache, by SCAN ─►     ▼
//	   of no row that was seen ─► look again: rows by their keys, and the cache ─► it changed: put aside again
//	                                         │ the same row, and still wrong
//	                                         ▼
//	                                     a finding, and its repair
//
// Rows and values change while they are compared, and so do the ends of broadcasts. So nothing is called wrong that was not wrong
// twice against the same row, nor by an end that has moved meanwhile, and
// a repair is written only if nobody has written to its key since it was read: WATCH, read the row, read the key, MULTI. The
// reading of the cache shares no code with the writing of it.
//
// Values are fetched rather than digested in the server, which was measured to take 3.6 times its time per key (4.5 µs against
// 1.26; BenchmarkLook) for a 20th of the network. Of 5,000,000 keys with 50 faults all were found and repaired in 77 s, in which
// the database read each row once; loading them again took 49 s, three times the bytes into the cache, and every key was
// written (BenchmarkFaults).
package audit

import (
	"context"
	"database/sql"
	"fmt"
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// Dataset is a dataset on its live source.
type Dataset interface {
	Spec() dataset.Spec
	Encoder() *dataset.Encoder
	RowKey(row []sql.RawBytes) string
	ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error)
	ReadRows(ctx context.Context, shop string, rows []string, visit source.Visit) error
	ReadAll(ctx context.Context, shop string, visit source.Visit) error
}

// Kind is what is wrong with a key.
type Kind string

// Kinds of findings.
const (
	Missing     Kind = "missing"
	Different   Kind = "different"
	Extra       Kind = "extra" // in the cache, and of no row
	WrongExpiry Kind = "wrong_expiry"
)

// Finding is one key that is wrong.
type Finding struct {
	Kind     Kind
	Shop     string
	Dataset  string
	Key      string
	Detail   string
	Repaired bool
}

// Findings count keys. A hash that all rows share is one key.
type Findings struct {
	Keys        int64 `json:"keys"` // that should be there
	Missing     int64 `json:"missing"`
	Different   int64 `json:"different"`
	Extra       int64 `json:"extra"`
	WrongExpiry int64 `json:"wrong_expiry"`
	Repaired    int64 `json:"repaired,omitempty"` // of all that was wrong
	Changing    int64 `json:"changing,omitempty"` // changed each time that they were looked at, so that nothing can be said
}

// Wrong is how many keys are not as they should be, repaired ones included.
func (f Findings) Wrong() int64 { return f.Missing + f.Different + f.Extra + f.WrongExpiry }

// Clean says that nothing was found.
func (f Findings) Clean() bool { return f.Wrong() == 0 }

func (f *Findings) changing() { f.Changing++ }

func (f *Findings) count(k Kind) {
	switch k {
	case Missing:
		f.Missing++
	case Different:
		f.Different++
	case Extra:
		f.Extra++
	case WrongExpiry:
		f.WrongExpiry++
	}
}

const (
	// pageRows is how many rows are compared at a time.
	pageRows = 500
	// DefaultSettle is how long what looks wrong is left alone before it is looked at again: longer than a change takes from the
	// database to the cache by any way but the periodic one.
	DefaultSettle = 2 * time.Second
)

// Proceed is asked before each page of a dataset of a shop, and with neither before each look at all keys. It may wait; an error
// ends the audit.
type Proceed func(ctx context.Context, shop, dataset string) error

// Auditor compares shops and adds up what it finds. It is for one goroutine; its zero fields have meanings.
type Auditor struct {
	Cache    redis.UniversalClient // of shops that are not said to be In others
	Datasets []Dataset
	Jitter   time.Duration        // policy.expire.jitter
	Slack    func() time.Duration // by how much an expiry may differ now, as far as the cache's clock is known; nil: not at all
	Repair   bool
	Settle   time.Duration                        // DefaultSettle; 0: what looks wrong is looked at again at once
	Proceed  Proceed                              // nil: go on
	Found    func(context.Context, Finding) error // told of each finding; nil: nobody

	Findings Findings
	ByCache  map[string]*Findings // the same by the cache's name; that of Cache is config.MainCache

	seed    maphash.Seed
	seen    []uint64            // fingerprints of keys that should be there; sorted by Extras
	extra   map[uint64]struct{} // fingerprints of keys that were put aside as extra: SCAN may show one twice
	places  []*place            // that seen is of
	waiting []suspect
	byTTL   bool // the cache does not know PEXPIRETIME (before Redis 7)

	rows, reading, looking atomic.Int64 // rows read, and nanoseconds
}

// Cost is what the comparing took so far.
type Cost struct {
	Rows   int64         // read from the source
	Source time.Duration // reading them
	Cache  time.Duration // looking keys up
}

// Cost is that of all audits of this Auditor.
func (a *Auditor) Cost() Cost {
	return Cost{a.rows.Load(), time.Duration(a.reading.Load()), time.Duration(a.looking.Load())}
}

// spent counts what a reading of the source took.
func (a *Auditor) spent(began time.Time, rows int) {
	a.rows.Add(int64(rows))
	a.reading.Add(int64(time.Since(began)))
}

// Shop is what is compared of a shop.
type Shop struct {
	ID   string
	Ends time.Time // until when its keys must not have expired
	// Former are the ends that keys may have been written for before. They tell prewarm's keys in `write: missing`.
	Former []time.Time
	// Moving says that expiries are being changed from a former end to Ends: both are right.
	Moving bool
	// Now tells these three of a dataset, when it is begun and again whenever keys that looked wrong are judged; nil: they stay as they are.
	Now func(ctx context.Context, dataset string) (State, error)
	// Datasets that the shop has; nil: all of the Auditor's.
	Datasets map[string]bool
	// In is the cache that each dataset is in, by the dataset's name; nil: the Auditor's.
	In map[string]Cache
	// Parts is what is kept of datasets that are not kept whole, by the dataset's name. Whatever else is there is left alone.
	Parts map[string]source.Part
	// Ranges, if not nil, are the only ones that are compared of datasets that are read in pages, by the dataset's name.
	Ranges map[string][]Range
}

// State is how long the keys of a shop's dataset are needed at a moment. Ends are read first: while nothing moves behind that, the
// keys have them.
type State struct {
	ledger.Ends
	Moving bool
	Cold   bool // the shop is not warm any more: nothing can be said of its keys
}

// Cache is one of several.
type Cache struct {
	Name   string
	Client redis.UniversalClient
}

// Range is a part of a shop's rows, (From, To], as of a ledger's unit.
type Range struct{ From, To string }

// place is a dataset of a shop.
type place struct {
	d      Dataset
	part   source.Part // of it that is kept; zero: all
	cache  Cache
	shop   string
	expiry cache.Expiry
	moving bool
	now    func(ctx context.Context, dataset string) (State, error)
}

func (a *Auditor) expiry(e ledger.Ends) cache.Expiry {
	return cache.Expiry{Until: e.Needed, Former: e.Former, Jitter: a.Jitter}
}

// again asks how long a place's keys are needed, behind a look at them, and takes it over. moved: it is not what they were looked
// at for. While it is, keys that were moving before the look or are moving behind it may have a former expiry.
func (p *place) again(ctx context.Context, a *Auditor) (moved, moving bool, err error) {
	if p.now == nil {
		return false, p.moving, nil
	}
	s, err := p.now(ctx, p.d.Spec().Name)
	if err != nil || s.Cold {
		return s.Cold, true, err
	}
	was := p.expiry
	p.expiry, moving, p.moving = a.expiry(s.Ends), p.moving || s.Moving, s.Moving
	return !p.expiry.Until.Equal(was.Until) || !slices.EqualFunc(p.expiry.Former, was.Former, time.Time.Equal), moving, nil
}

// Shop compares what a shop's datasets hold with what is cached. What looks wrong is put aside; Extras or Rest says what it is.
func (a *Auditor) Shop(ctx context.Context, s Shop) error {
	for _, d := range a.Datasets {
		spec := d.Spec()
		if s.Datasets != nil && !s.Datasets[spec.Name] {
			continue
		}
		in := Cache{config.MainCache, a.Cache}
		if s.In != nil {
			in = s.In[spec.Name]
		}
		state := State{Ends: ledger.Ends{Needed: s.Ends, Former: s.Former}, Moving: s.Moving}
		if s.Now != nil {
			var err error
			if state, err = s.Now(ctx, spec.Name); err != nil {
				return err
			}
			if state.Cold {
				continue
			}
		}
		p := &place{d: d, part: s.Parts[spec.Name], cache: in, shop: s.ID, moving: state.Moving, now: s.Now, expiry: a.expiry(state.Ends)}
		a.places = append(a.places, p)
		ranges := []Range{{From: p.part.From, To: p.part.To}}
		if s.Ranges != nil && spec.Paged() {
			ranges = s.Ranges[spec.Name]
		}
		for _, r := range ranges {
			if err := a.compare(ctx, p, r); err != nil {
				return fmt.Errorf("audit dataset %s of shop %s: %w", spec.Name, s.ID, err)
			}
		}
	}
	return nil
}

// compare reads a place page by page, one page ahead of the one whose keys are looked up.
func (a *Auditor) compare(ctx context.Context, p *place, r Range) error {
	ctx, stop := context.WithCancel(ctx)
	pages, ended := make(chan []want, 1), make(chan error, 1)
	go func() {
		defer close(pages)
		ended <- a.read(ctx, p, r, pages)
	}()
	var failed error
	for page := range pages {
		if failed == nil {
			if failed = a.page(ctx, p, page); failed != nil {
				stop()
			}
		}
	}
	stop()
	if err := <-ended; failed == nil {
		return err
	}
	return failed
}

// page looks a page's keys up and puts aside what looks wrong.
func (a *Auditor) page(ctx context.Context, p *place, wants []want) error {
	have, err := a.look(ctx, p.cache.Client, p, wants)
	if err != nil {
		return err
	}
	keys := int64(0)
	for i, w := range wants {
		if !w.absent && !w.unsaid {
			keys++
		}
		a.remember(w.key)
		if kind, _ := a.judge(p, w, have[i]); kind != "" {
			a.waiting = append(a.waiting, suspect{place: p, want: w, since: time.Now()})
		}
	}
	a.tally(p, func(f *Findings) { f.Keys += keys })
	return a.again(ctx, false)
}

// tally counts for a place's cache and for all.
func (a *Auditor) tally(p *place, count func(*Findings)) {
	if a.ByCache == nil {
		a.ByCache = map[string]*Findings{}
	}
	if a.ByCache[p.cache.Name] == nil {
		a.ByCache[p.cache.Name] = &Findings{}
	}
	count(a.ByCache[p.cache.Name])
	count(&a.Findings)
}

func (a *Auditor) slack() time.Duration {
	if a.Slack == nil {
		return 0
	}
	return a.Slack()
}

func (a *Auditor) proceed(ctx context.Context, p *place) error {
	switch {
	case a.Proceed == nil:
		return ctx.Err()
	case p == nil:
		return a.Proceed(ctx, "", "")
	}
	return a.Proceed(ctx, p.shop, p.d.Spec().Name)
}

// remember keeps a fingerprint of a key: 8 bytes, and two keys of a billion pairs of a billion have the same.
func (a *Auditor) remember(key string) { a.seen = append(a.seen, a.fingerprint(key)) }

func (a *Auditor) fingerprint(key string) uint64 {
	if a.seed == (maphash.Seed{}) {
		a.seed = maphash.MakeSeed()
	}
	return maphash.String(a.seed, key)
}

// Seen is how many keys are remembered since the last Forget.
func (a *Auditor) Seen() int { return len(a.seen) }

// Forget lets go of what is remembered, to go on with other shops.
func (a *Auditor) Forget() { a.seen, a.places = a.seen[:0], nil }
