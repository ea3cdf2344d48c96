package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/shops"
	"github.com/prewarm-go/prewarm/internal/source"
)

// Dataset is a dataset on its live source.
type Dataset interface {
	Spec() dataset.Spec
	CheckShop(id string) error
	Has(ctx context.Context, shop string) (bool, error)
	Count(ctx context.Context, shop string, upTo int64) (int64, error)
	Estimate(ctx context.Context, shop string) (int64, error)
	Cutoff(ctx context.Context, keep time.Duration) (column, since string, err error)
	Split(ctx context.Context, shop string, unitRows int, most int64, yield func(source.Range) error) error
}

// Begin is called before these datasets of a shop are read.
type Begin func(ctx context.Context, shop string, only ledger.Datasets) error

// ErrHeld: the servers are to be left alone, and the plan is made later.
var ErrHeld = errors.New("planning is held")

// Planner writes plans. It is safe for concurrent use.
type Planner struct {
	Ledger   *ledger.Store
	Datasets []Dataset
	Tasks    *Tasks
	UnitRows int                                      // about this many rows a unit
	Place    func(d dataset.Spec, shop string) string // the cache that a shop's dataset lives in now; nil: config.MainCache
	Begin    Begin                                    // nil: nothing is to be done
	Enter    shops.Enter                              // nil: nothing is broken off
	Log      *slog.Logger
}

// Plan writes the plan of a run's epoch, unless it is there, and enqueues the units that wait. A run that has moved on
// needs nothing and is no error.
func (p *Planner) Plan(ctx context.Context, runID string, epoch int) error {
	run, err := p.Ledger.Run(ctx, runID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if run.Epoch != epoch || run.State != ledger.RunPlanned {
		return nil
	}
	if paused, err := p.Ledger.Paused(ctx, run, ""); err != nil || paused != nil {
		return err // it is planned when it is resumed
	}
	if run.PlannedAt.IsZero() {
		kept, err := p.Ledger.Kept(ctx, run.ShopID)
		if err != nil {
			return err
		}
		units, err := p.cut(ctx, run.ShopID, kept)
		if errors.As(err, new(*ledger.OffError)) {
			return nil // which has called the run off
		}
		if err != nil {
			return err
		}
		err = p.Ledger.WritePlan(ctx, run.ID, run.Epoch, kept, units)
		if err != nil && !errors.Is(err, ledger.ErrState) {
			return err
		}
		// The times may have moved while the index was read.
		if run, err = p.Ledger.Run(ctx, runID); err != nil {
			return err
		}
		p.Log.InfoContext(ctx, "planned", "run", run.ID, "shop", run.ShopID, "units", run.UnitsTotal, "rows", run.RowsEstimated,
			"start", run.PlannedStart, "deadline", run.Deadline)
	}
	due, err := p.Ledger.WaitingOf(ctx, run)
	if err != nil {
		return err
	}
	return p.Tasks.Units(ctx, due)
}

// cut reads a shop, unless it is switched off, also in the middle of it.
func (p *Planner) cut(ctx context.Context, shop string, kept ledger.Kept) ([]ledger.Unit, error) {
	var units []ledger.Unit
	err := p.Enter.Do(ctx, shop, func(ctx context.Context) (err error) {
		if p.Begin != nil {
			if err := p.Begin(ctx, shop, kept.Datasets); err != nil {
				return fmt.Errorf("begin to keep shop %s fresh: %w", shop, err)
			}
		}
		units, err = p.split(ctx, shop, kept)
		return err
	})
	return units, err
}

// split cuts a shop into units: the small datasets first, so that a shop's own data does not wait behind its users'.
func (p *Planner) split(ctx context.Context, shop string, kept ledger.Kept) ([]ledger.Unit, error) {
	var small, big []ledger.Unit
	for _, d := range p.Datasets {
		spec := d.Spec()
		if !kept.Datasets.Has(spec.Name) {
			continue
		}
		units := &small
		if spec.Paged() {
			units = &big
		}
		cache := config.MainCache
		if p.Place != nil {
			cache = p.Place(spec, shop)
		}
		since, err := cutoff(ctx, d, kept.Window(spec.Name))
		if err != nil {
			return nil, fmt.Errorf("read the clock of dataset %s: %w", spec.Name, err)
		}
		var some []ledger.Unit
		err = d.Split(ctx, shop, p.UnitRows, kept.MaxRows.Of(spec.Name), func(r source.Range) error {
			some = append(some, ledger.Unit{Dataset: spec.Name, Cache: cache, From: r.From, To: r.To, Since: since, RowsEstimated: r.Rows})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("split dataset %s of shop %s: %w", spec.Name, shop, err)
		}
		if spec.Order == dataset.OrderNewest {
			slices.Reverse(some) // units are begun by their numbers
		}
		*units = append(*units, some...)
	}
	if small = append(small, big...); len(small) == 0 {
		return nil, fmt.Errorf("shop %s is to have the datasets %s only, and none of them is configured; change its settings", shop, kept.Datasets)
	}
	return small, nil
}

// cutoff is what rows are too old for a run that is planned now. A shop's own time counts only where the dataset has a window.
func cutoff(ctx context.Context, d Dataset, own time.Duration) (ledger.Since, error) {
	w := d.Spec().Window
	if w == nil {
		return ledger.Since{}, nil
	}
	column, since, err := d.Cutoff(ctx, cmp.Or(own, w.Keep))
	return ledger.Since{Column: column, Value: since}, err
}
