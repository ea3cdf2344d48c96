package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

const (
	// mostLosses is how often a run's epoch may lose something before it is given up: a cache that is too small would
	// evict what was loaded again, for ever.
	mostLosses = 3
	// afterEviction is how long loading again waits after an eviction, so that it does not evict what others need.
	afterEviction = time.Minute
)

// Cache is a cache as the reconciliation sees it.
type Cache struct {
	Stamps Stamps
	Nodes  func(ctx context.Context) ([]redisconn.Node, error) // its servers
}

// Stamps reads the marks in a cache.
type Stamps interface {
	Stamps(ctx context.Context, marks []cache.RunMark) ([]map[int]int64, error)
}

// loss is what caches have lost of a run.
type loss struct {
	units []ledger.LostUnit
	why   string
	wait  time.Duration
}

// lost finds what each cache has lost: it was flushed, came back older than it was, was replaced by an empty server, or
// has evicted keys. The runs concerned are not ready any more, and are loaded again if that is still worthwhile. A cache that
// does not answer keeps no other from being looked at.
func (r *Reconciler) lost(ctx context.Context) error {
	runs, err := r.Ledger.Cached(ctx, batch)
	if err != nil {
		return err
	}
	stamped := make([]map[string]map[int]int64, len(runs))
	for i, run := range runs { // the ledger first: a stamp is written before the ledger knows of it
		if stamped[i], err = r.Ledger.Stamped(ctx, run); err != nil {
			return err
		}
	}
	losses, errs := make([]loss, len(runs)), r.unknown(runs, stamped)
	var nodes []redisconn.Node
	for _, name := range slices.Sorted(maps.Keys(r.Caches)) {
		some, err := r.lostIn(ctx, name, runs, stamped, losses)
		nodes, errs = append(nodes, some...), append(errs, err)
	}
	for i, run := range runs {
		if err := r.again(ctx, run, losses[i]); err != nil && !errors.Is(err, ledger.ErrState) {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(append(errs, r.saveNodes(ctx, nodes))...)
}

// lostIn adds what one cache has lost of each run, and says how its servers are.
func (r *Reconciler) lostIn(ctx context.Context, name string, runs []ledger.Run, stamped []map[string]map[int]int64, losses []loss) ([]redisconn.Node, error) {
	var marks []cache.RunMark
	var of []int // the runs that the marks are of
	for i, run := range runs {
		if len(stamped[i][name]) > 0 {
			marks, of = append(marks, cache.RunMark{Run: run.ID, Epoch: run.Epoch}), append(of, i)
		}
	}
	c := r.Caches[name]
	have := make([]map[int]int64, 0, len(marks))
	var err error
	if len(marks) > 0 {
		if have, err = c.Stamps.Stamps(ctx, marks); err != nil {
			return nil, fmt.Errorf("cache %s: %w", name, err)
		}
	}
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("cache %s: %w", name, err)
	}
	seen, err := r.Ledger.CacheNodes(ctx)
	if err != nil {
		return nil, err
	}
	which := "the cache"
	if len(r.Caches) > 1 {
		which = "cache " + name
	}
	evicted := evicted(which, nodes, seen)
	for n, i := range of {
		units, why, wait := missing(stamped[i][name], have[n]), which+" has lost what was written", time.Duration(0)
		if evicted != "" {
			units, why, wait = missing(stamped[i][name], nil), evicted, afterEviction
		}
		losses[i].add(units, why, wait)
	}
	return nodes, nil
}

func (l *loss) add(units []ledger.LostUnit, why string, wait time.Duration) {
	if len(units) == 0 {
		return
	}
	if l.why != "" {
		why = l.why + "; " + why
	}
	l.units, l.why, l.wait = append(l.units, units...), why, max(l.wait, wait)
}

// unknown says what stands in caches that the configuration does not have any more, so that nobody looks after it.
func (r *Reconciler) unknown(runs []ledger.Run, stamped []map[string]map[int]int64) []error {
	of := map[string]string{}
	for i, run := range runs {
		for name := range stamped[i] {
			if _, ok := r.Caches[name]; !ok && of[name] == "" {
				of[name] = run.ShopID
			}
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(of)) {
		errs = append(errs, fmt.Errorf("shop %s: %w", of[name], &cache.UnknownError{Name: name, Known: slices.Sorted(maps.Keys(r.Caches))}))
	}
	return errs
}

// missing is pure: the units whose stamp in the cache is older than the one that the ledger knows of.
func missing(known, have map[int]int64) []ledger.LostUnit {
	var units []ledger.LostUnit
	for unit, value := range known {
		if have[unit] < value {
			units = append(units, ledger.LostUnit{Unit: unit, Marked: value})
		}
	}
	slices.SortFunc(units, func(a, b ledger.LostUnit) int { return a.Unit - b.Unit })
	return units
}

// again takes units back to their start, and gives the run up if they cannot be loaded again in a way that helps.
func (r *Reconciler) again(ctx context.Context, run ledger.Run, l loss) error {
	if len(l.units) == 0 {
		return nil
	}
	now, err := r.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	losses, err := r.Ledger.Losses(ctx, run)
	if err != nil {
		return err
	}
	why := fmt.Sprintf("%s: %d units", l.why, len(l.units))
	by := ledger.By{Who: "reconciliation", Why: why}
	if err := r.Ledger.Lost(ctx, run, ledger.Loss{Units: l.units, Start: now.Add(l.wait), By: by}); err != nil {
		return err
	}
	r.Actions.WithLabelValues("lost").Inc()
	remedy := "they are loaded again"
	if reason := hopeless(run, losses, now.Add(l.wait)); reason != "" {
		remedy = "they are not loaded again: " + reason + "; give the cache more memory or persistence, then `prewarm retry " + run.ID + "`"
		by.Why += "; " + reason
		if err := r.Ledger.GiveUp(ctx, run, by); err != nil {
			return err
		}
	}
	r.Alerts.Raise(ctx, alert.Alert{
		Name: alert.CacheLost, Severity: alert.Critical, Shop: run.ShopID, Run: run.ID,
		Summary: fmt.Sprintf("shop %s is not warm any more: %s", run.ShopID, why), Remedy: remedy,
	})
	return r.Settler.Unready(ctx, run.ID)
}

// hopeless is pure: why a run that the cache has lost is not worth loading again, or "".
func hopeless(run ledger.Run, losses int, start time.Time) string {
	if losses >= mostLosses {
		return fmt.Sprintf("it was lost %d times before", losses)
	}
	took := time.Duration(0)
	if !run.ReadyAt.IsZero() {
		took = run.ReadyAt.Sub(run.StartedAt)
	}
	if left := run.EndsAt.Sub(start); left < took {
		return fmt.Sprintf("its broadcast ends in %s, and it took %s", left.Round(time.Second), took.Round(time.Second))
	}
	return ""
}

// evicted is pure: which node of a cache has evicted keys since it was last seen, or "".
func evicted(which string, nodes []redisconn.Node, seen map[string]ledger.CacheNode) string {
	for _, n := range nodes {
		was, known := seen[n.Addr]
		if known && was.Start == n.Start && n.Evicted > was.Evicted {
			return fmt.Sprintf("%s at %s evicted %d keys, its memory is too small", which, n.Addr, n.Evicted-was.Evicted)
		}
		if known && was.Start != n.Start && n.Evicted > 0 {
			return fmt.Sprintf("%s at %s has restarted and evicted %d keys, its memory is too small", which, n.Addr, n.Evicted)
		}
	}
	return ""
}

// saveNodes records how the nodes were seen, once what they evicted has been acted on.
func (r *Reconciler) saveNodes(ctx context.Context, nodes []redisconn.Node) error {
	for _, n := range nodes {
		if err := r.Ledger.SaveCacheNode(ctx, ledger.CacheNode(n)); err != nil {
			return err
		}
	}
	return nil
}
