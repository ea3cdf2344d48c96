package refresh

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/shops"
)

// Finding is a dataset whose changed rows can be looked for.
type Finding interface {
	Dataset
	FindsChanged() bool
	Mark(ctx context.Context, shop string) (mark string, asOf time.Time, err error)
	Changed(ctx context.Context, shop, mark string, visit func(rows []string) error) error
}

const (
	// dueEvery is how often it is looked what is due.
	dueEvery = 2 * time.Second
	// dueAtOnce is how many shops' datasets are refreshed at a time.
	dueAtOnce = 4
)

// Scheduler looks for changed rows of the shops that are cached, every `refresh.every`. What is read in one go is read again
// whole.
type Scheduler struct {
	Ledger   *ledger.Store
	Loader   *load.Loader
	Datasets map[string]Finding
	Places   Places
	Expire   config.Expire
	Hold     func() string                                // why nothing may be done now, in the whole cluster; "": go on. nil: never
	Enter    shops.Enter                                  // nil: nothing is broken off
	Publish  func(ctx context.Context, shop string) error // tells how fresh a shop is now
	Within   time.Duration                                // how late a refresh may be before it is told
	Alerts   *alert.Dispatcher
	Metrics  *Metrics
	Log      *slog.Logger
}

// Begin keeps where the changes of a shop begin that must be found, of these datasets. It is called before the shop is read.
func (s *Scheduler) Begin(ctx context.Context, shop string, only ledger.Datasets) error {
	for name, d := range s.Datasets {
		if !scheduled(d) || !only.Has(name) {
			continue
		}
		mark, _, err := d.Mark(ctx, shop)
		if err != nil {
			return err
		}
		if err := s.Ledger.BeginFresh(ctx, ledger.Fresh{ShopID: shop, Dataset: name, Mark: mark}); err != nil {
			return err
		}
	}
	return nil
}

// scheduled says whether a dataset is refreshed by itself.
func scheduled(d Finding) bool {
	return !d.Spec().Refreshed().Off && (d.FindsChanged() || !d.Spec().Paged())
}

// Run refreshes what is due until the context ends.
func (s *Scheduler) Run(ctx context.Context) {
	tick := time.NewTicker(dueEvery)
	defer tick.Stop()
	defer s.Metrics.nobody()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.round(ctx); err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "look for changed rows; it is tried again", "error", err)
		}
	}
}

// round refreshes what is due now.
func (s *Scheduler) round(ctx context.Context) error {
	all, err := s.Ledger.Fresh(ctx)
	if err != nil {
		return err
	}
	now, err := s.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	switches, err := s.Ledger.Switches(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(f ledger.Fresh) bool {
		d, ok := s.Datasets[f.Dataset]
		return !ok || !scheduled(d) || paused(switches, f)
	})
	s.watch(ctx, now, all)
	if s.Hold != nil && s.Hold() != "" {
		return nil
	}
	return s.each(ctx, slices.DeleteFunc(all, func(f ledger.Fresh) bool {
		return now.Before(dueAt(f, s.Datasets[f.Dataset].Spec().Refreshed().Every))
	}))
}

// dueAt is pure: a shop that has just begun to be read needs no refresh yet.
func dueAt(f ledger.Fresh, every time.Duration) time.Time {
	last := f.RefreshedAt
	if f.StartedAt.After(last) {
		last = f.StartedAt
	}
	return last.Add(every)
}

func paused(switches []ledger.Switch, f ledger.Fresh) bool {
	for _, w := range switches {
		if w.Covers(f.ShopID, "", f.Dataset) {
			return true
		}
	}
	return false
}

func (s *Scheduler) each(ctx context.Context, due []ledger.Fresh) error {
	var wg sync.WaitGroup
	places := make(chan struct{}, dueAtOnce)
	errs := make([]error, len(due))
	for i, f := range due {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			bounded, cancel := context.WithTimeout(ctx, workTime)
			defer cancel()
			errs[i] = s.Enter.Do(bounded, f.ShopID, func(ctx context.Context) error {
				if err := s.refresh(ctx, f); err != nil {
					return err
				}
				return s.Publish(ctx, f.ShopID)
			})
			if errors.As(errs[i], new(*ledger.OffError)) {
				errs[i] = nil
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// refresh brings what has changed since the last time into the cache.
func (s *Scheduler) refresh(ctx context.Context, f ledger.Fresh) error {
	d := s.Datasets[f.Dataset]
	mark, asOf, err := d.Mark(ctx, f.ShopID)
	if err != nil {
		return err
	}
	needed, err := whileNeeded(ctx, func(ctx context.Context) (ledger.Ends, error) {
		return s.Ledger.Ends(ctx, f.ShopID, f.Dataset, s.Expire.AfterEnd)
	},
		func(ends ledger.Ends) error { return s.write(ctx, f, d, ends) })
	if err != nil || !needed {
		return err
	}
	if err := s.Ledger.Refreshed(ctx, f, mark, asOf); !errors.Is(err, ledger.ErrState) {
		return err
	}
	return nil // another leader was faster
}

func (s *Scheduler) write(ctx context.Context, f ledger.Fresh, d Finding, ends ledger.Ends) (err error) {
	r := load.Refreshing{Shop: f.ShopID, Dataset: d,
		Expiry: cache.Expiry{Until: ends.Needed, Former: ends.Former, Jitter: s.Expire.Jitter}}
	if r.Parts, err = keptParts(ctx, s.Ledger, f.ShopID, f.Dataset); err != nil {
		return err
	}
	places, err := s.Places.of(ctx, f.ShopID, d.Spec())
	if err != nil {
		return err
	}
	bring := func(into func(context.Context, load.Refreshing) (load.Refreshed, error)) (all error) {
		for _, r.Cache = range places { // one that is away keeps no other from being right
			done, err := into(ctx, r)
			s.Metrics.done(f.Dataset, done.Written, done.Removed, len(done.Bad))
			all = errors.Join(all, err)
		}
		return all
	}
	if !d.Spec().Paged() {
		return bring(s.Loader.RefreshAll)
	}
	return d.Changed(ctx, f.ShopID, f.Mark, func(rows []string) error {
		r.Rows = rows
		return bring(s.Loader.Refresh)
	})
}
