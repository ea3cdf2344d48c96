package upkeep

import (
	"context"
	"errors"
	"fmt"
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

// Stamps reads the marks in the cache.
type Stamps interface {
	Stamps(ctx context.Context, marks []cache.RunMark) ([]map[int]int64, error)
}

// lost finds what the cache has lost: it was flushed, came back older than it was, was replaced by an empty server, or
// has evicted keys. The runs concerned are not ready any more, and are loaded again if that is still worthwhile.
func (r *Reconciler) lost(ctx context.Context) error {
	runs, err := r.Ledger.Cached(ctx, batch)
	if err != nil {
		return err
	}
	stamped := make([]map[int]int64, len(runs))
	marks := make([]cache.RunMark, len(runs))
	for i, run := range runs { // the ledger first: a stamp is written before the ledger knows of it
		if stamped[i], err = r.Ledger.Stamped(ctx, run); err != nil {
			return err
		}
		marks[i] = cache.RunMark{Run: run.ID, Epoch: run.Epoch}
	}
	have, err := r.Stamps.Stamps(ctx, marks)
	if err != nil {
		return err
	}
	evicted, err := r.evicted(ctx)
	if err != nil {
		return err
	}
	for i, run := range runs {
		units, why, wait := missing(stamped[i], have[i]), "the cache has lost what was written", time.Duration(0)
		if evicted != "" {
			units, why, wait = missing(stamped[i], nil), evicted, afterEviction
		}
		if err := r.again(ctx, run, units, why, wait); err != nil && !errors.Is(err, ledger.ErrState) {
			return err
		}
	}
	return r.saveNodes(ctx)
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
func (r *Reconciler) again(ctx context.Context, run ledger.Run, units []ledger.LostUnit, why string, wait time.Duration) error {
	if len(units) == 0 {
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
	why = fmt.Sprintf("%s: %d units", why, len(units))
	by := ledger.By{Who: "reconciliation", Why: why}
	if err := r.Ledger.Lost(ctx, run, ledger.Loss{Units: units, Start: now.Add(wait), By: by}); err != nil {
		return err
	}
	r.Actions.WithLabelValues("lost").Inc()
	remedy := "they are loaded again"
	if reason := hopeless(run, losses, now.Add(wait)); reason != "" {
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

// evicted says which node has evicted keys since it was last seen, or "".
func (r *Reconciler) evicted(ctx context.Context) (string, error) {
	nodes, err := r.Nodes(ctx)
	if err != nil {
		return "", err
	}
	seen, err := r.Ledger.CacheNodes(ctx)
	if err != nil {
		return "", err
	}
	r.nodes = nodes
	for _, n := range nodes {
		was, known := seen[n.Addr]
		if known && was.Start == n.Start && n.Evicted > was.Evicted {
			return fmt.Sprintf("the cache at %s evicted %d keys, its memory is too small", n.Addr, n.Evicted-was.Evicted), nil
		}
		if known && was.Start != n.Start && n.Evicted > 0 {
			return fmt.Sprintf("the cache at %s has restarted and evicted %d keys, its memory is too small", n.Addr, n.Evicted), nil
		}
	}
	return "", nil
}

// saveNodes records how the nodes were seen, once what they evicted has been acted on.
func (r *Reconciler) saveNodes(ctx context.Context) error {
	for _, n := range r.nodes {
		if err := r.Ledger.SaveCacheNode(ctx, ledger.CacheNode(n)); err != nil {
			return err
		}
	}
	return nil
}

// Nodes lists the servers of the cache.
type Nodes func(ctx context.Context) ([]redisconn.Node, error)
