package refresh

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/shops"
)

const (
	// lookEvery is how often the list is looked at: with the time that reading takes, it is how late a change is in the cache.
	lookEvery = 200 * time.Millisecond
	// trimEvery is how often the record of changes is cut.
	trimEvery = time.Minute
	// workAtOnce is how many shops' datasets are worked on at a time.
	workAtOnce = 8
	// workRows is how many rows of the list are taken at a time.
	workRows = 4000
	// workTime bounds the work on one shop's dataset: all of a big shop is read in minutes.
	workTime = 30 * time.Minute
	// workAgain is how long a shop's dataset waits whose rows could not be read or written.
	workAgain = 5 * time.Second
	// wholeAgain is how long a dataset that is read in one go waits before it is read again.
	wholeAgain = time.Second
)

// Worker reads again what is on the list. Two at once do no harm.
type Worker struct {
	Ledger   *ledger.Store
	Loader   *load.Loader
	Datasets map[string]Dataset
	Places   Places
	Expire   config.Expire
	Pod      string
	Hold     func() string // why nothing may be done now, in the whole cluster; "": go on. nil: never
	Enter    shops.Enter   // nil: nothing is broken off
	Alerts   *alert.Dispatcher
	Metrics  *Metrics
	Log      *slog.Logger

	mu   sync.Mutex
	busy map[ledger.Group]time.Time // what is worked on (zero), or has to wait until then
}

// Run works on the list until the context ends.
func (w *Worker) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	tick, trim := time.NewTicker(lookEvery), time.NewTicker(trimEvery)
	defer tick.Stop()
	defer trim.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := w.look(ctx, &running); err != nil && ctx.Err() == nil {
				w.Log.WarnContext(ctx, "look for changed rows; it is tried again", "error", err)
			}
		case <-trim.C:
			if err := w.Ledger.TrimChanges(ctx); err != nil && ctx.Err() == nil {
				w.Log.WarnContext(ctx, "trim the record of changes; it is tried again", "error", err)
			}
		}
	}
}

// look begins to work on what is on the list.
func (w *Worker) look(ctx context.Context, running *sync.WaitGroup) error {
	if w.Hold != nil && w.Hold() != "" {
		return nil
	}
	busy, free := w.taken()
	if free <= 0 {
		return nil
	}
	rows, upto, err := w.Ledger.Pending(ctx, busy, workRows)
	if err != nil || len(rows) == 0 {
		return err
	}
	now, err := w.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	cached, err := w.Ledger.CachedShops(ctx)
	if err != nil {
		return err
	}
	for _, group := range grouped(rows) {
		if free == 0 {
			break
		}
		free--
		g := ledger.Group{ShopID: group[0].ShopID, Dataset: group[0].Dataset}
		w.take(g, time.Time{})
		running.Go(func() {
			w.take(g, w.work(ctx, g, group, upto, cached.Has(g.ShopID, g.Dataset), now))
		})
	}
	return nil
}

// taken are the groups that are worked on or wait, and how many more may be begun.
func (w *Worker) taken() (groups []ledger.Group, free int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	free = workAtOnce
	for g, until := range w.busy {
		switch {
		case until.IsZero():
			free--
		case until.Before(time.Now()):
			delete(w.busy, g)
			continue
		}
		groups = append(groups, g)
	}
	return groups, free
}

func (w *Worker) take(g ledger.Group, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy == nil {
		w.busy = map[ledger.Group]time.Time{}
	}
	w.busy[g] = until
}

// grouped puts the rows of each shop's dataset together; the groups are in the order of their first rows.
func grouped(rows []ledger.Pending) [][]ledger.Pending {
	at := map[ledger.Group]int{}
	var groups [][]ledger.Pending
	for _, p := range rows {
		g := ledger.Group{ShopID: p.ShopID, Dataset: p.Dataset}
		i, ok := at[g]
		if !ok {
			i = len(groups)
			at[g] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], p)
	}
	return groups
}

// work does one group, and says until when it waits before the next.
func (w *Worker) work(ctx context.Context, g ledger.Group, rows []ledger.Pending, upto int64, cached bool, now time.Time) (until time.Time) {
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	began := time.Now()
	again, err := w.group(ctx, g, rows, cached)
	if errors.As(err, new(*ledger.OffError)) {
		return time.Now() // which has taken its rows off the list
	}
	if err == nil {
		err = w.Ledger.Handled(ctx, rows, upto, w.Pod)
	}
	if err != nil {
		if ctx.Err() == nil {
			w.Log.WarnContext(ctx, "refresh; it is tried again", "shop", g.ShopID, "dataset", g.Dataset, "rows", len(rows), "error", err)
			w.tell(ctx, g, err)
		}
		return time.Now().Add(workAgain)
	}
	for _, p := range rows {
		w.Metrics.waited(now.Add(time.Since(began)).Sub(p.NotedAt))
	}
	return time.Now().Add(again)
}

// tell raises an alert for what does not mend itself.
func (w *Worker) tell(ctx context.Context, g ledger.Group, err error) {
	if w.Alerts == nil || load.Unavailable(err) && !load.Definitive(err) {
		return
	}
	w.Alerts.Raise(ctx, alert.Alert{
		Name: alert.RefreshFailed, Severity: alert.Warning, Shop: g.ShopID, Summary: "changed rows cannot be brought into the cache: " + err.Error(),
		Remedy: "mend the cause; they are tried again every few seconds, and their keys are stale until then",
	})
}

// group reads the rows of one shop's dataset again. again is how long the next time should wait.
func (w *Worker) group(ctx context.Context, g ledger.Group, rows []ledger.Pending, cached bool) (again time.Duration, err error) {
	d, known := w.Datasets[g.Dataset]
	if !known || !cached {
		return 0, nil // its keys are not prewarm's to keep any more
	}
	err = w.Enter.Do(ctx, g.ShopID, func(ctx context.Context) (err error) {
		again, err = w.read(ctx, g, d, rows)
		return err
	})
	return again, err
}

func (w *Worker) read(ctx context.Context, g ledger.Group, d Dataset, rows []ledger.Pending) (again time.Duration, err error) {
	_, err = whileNeeded(ctx, func(ctx context.Context) (ledger.Ends, error) {
		return w.Ledger.Ends(ctx, g.ShopID, g.Dataset, w.Expire.AfterEnd)
	},
		func(ends ledger.Ends) (err error) {
			again, err = w.write(ctx, g, d, rows, ends)
			return err
		})
	return again, err
}

func (w *Worker) write(ctx context.Context, g ledger.Group, d Dataset, rows []ledger.Pending, ends ledger.Ends) (again time.Duration, err error) {
	r := load.Refreshing{Shop: g.ShopID, Dataset: d,
		Expiry: cache.Expiry{Until: ends.Needed, Former: ends.Former, Jitter: w.Expire.Jitter}}
	if r.Parts, err = keptParts(ctx, w.Ledger, g.ShopID, g.Dataset); err != nil {
		return 0, err
	}
	all := false
	for _, p := range rows {
		switch key, ok := strings.CutPrefix(p.RowKey, cachedKey); {
		case ok:
			r.Keys = append(r.Keys, key)
		case p.RowKey == "":
			all = true
		default:
			r.Rows = append(r.Rows, p.RowKey)
		}
	}
	places, err := w.Places.of(ctx, g.ShopID, d.Spec())
	errs := []error{err}
	for _, r.Cache = range places {
		errs = append(errs, w.into(ctx, g, r, all))
	}
	if all {
		again = wholeAgain
	}
	return again, errors.Join(errs...)
}

// into brings what is read again into one cache.
func (w *Worker) into(ctx context.Context, g ledger.Group, r load.Refreshing, all bool) error {
	var errs []error
	if len(r.Rows) > 0 || len(r.Keys) > 0 && r.Dataset.Spec().Paged() {
		done, err := w.Loader.Refresh(ctx, r)
		errs = append(errs, err)
		w.record(ctx, g, done)
	}
	if all {
		done, err := w.Loader.RefreshAll(ctx, r)
		errs = append(errs, err)
		w.record(ctx, g, done)
	}
	return errors.Join(errs...)
}

func (w *Worker) record(ctx context.Context, g ledger.Group, done load.Refreshed) {
	w.Metrics.done(g.Dataset, done.Written, done.Removed, len(done.Bad))
	if len(done.Bad) > 0 {
		keys := make([]string, len(done.Bad))
		for i, b := range done.Bad {
			keys[i] = b.RowKey
		}
		w.Log.WarnContext(ctx, "changed rows cannot be encoded, and are not cached any more", "shop", g.ShopID, "dataset", g.Dataset,
			"rows", strings.Join(slices.Compact(keys[:min(len(keys), 10)]), ", "), "error", done.Bad[0].Error)
	}
}
