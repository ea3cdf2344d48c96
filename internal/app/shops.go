package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/shops"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/workers"
)

// heedShops has what is done for a shop broken off when the shop is switched off.
func (a *App) heedShops(planner *plan.Planner, handler *workers.LoadHandler, signals *workers.Signals) {
	watch := &shops.Watch{Ledger: a.ledger}
	planner.Enter, a.fresh.worker.Enter, a.fresh.schedule.Enter = watch.Enter, watch.Enter, watch.Enter
	a.intake.Shops = watchedShops{a.intake.Shops, watch}
	signals.Look = func(ctx context.Context) error { return errors.Join(handler.Look(ctx), watch.Look(ctx)) }
}

// watchedShops asks the sources about a shop until it is switched off.
type watchedShops struct {
	intake.Shops
	watch *shops.Watch
}

func (w watchedShops) Known(ctx context.Context, shop string) (known bool, err error) {
	err = w.watch.Enter(ctx, shop, func(ctx context.Context) (err error) {
		known, err = w.Shops.Known(ctx, shop)
		return err
	})
	return known, err
}

func (w watchedShops) Rows(ctx context.Context, shop string, upTo int64) (rows int64, err error) {
	err = w.watch.Enter(ctx, shop, func(ctx context.Context) (err error) {
		rows, err = w.Shops.Rows(ctx, shop, upTo)
		return err
	})
	return rows, err
}

func (w watchedShops) Estimate(ctx context.Context, shop string) (rows map[string]int64, err error) {
	err = w.watch.Enter(ctx, shop, func(ctx context.Context) (err error) {
		rows, err = w.Shops.Estimate(ctx, shop)
		return err
	})
	return rows, err
}

// remover removes the keys of shops that were switched off while this pod leads.
func (a *App) remover(bound []*source.Bound) *audit.Remover {
	r := &audit.Remover{Ledger: a.ledger, Proceed: (&auditGate{a: a}).proceed, Rest: audit.DefaultRest, Owner: a.id, Log: a.log}
	for _, client := range a.caches.All() {
		r.Caches = append(r.Caches, client)
	}
	for _, b := range bound {
		r.Datasets = append(r.Datasets, b)
	}
	return r
}

// shopSettings is what the API may do with the settings of shops.
type shopSettings struct{ a *App }

var _ api.Shops = shopSettings{}

func (x shopSettings) Shops(ctx context.Context) ([]ledger.Shop, error) { return x.a.ledger.Shops(ctx) }

func (x shopSettings) Shop(ctx context.Context, id string) (ledger.Shop, error) {
	if err := x.check(id); err != nil {
		return ledger.Shop{}, err
	}
	return x.a.ledger.Shop(ctx, id)
}

func (x shopSettings) SetShop(ctx context.Context, id string, version int64, to ledger.Settings, by ledger.By) (ledger.Turned, error) {
	if err := x.check(id); err != nil {
		return ledger.Turned{}, err
	}
	if err := x.known(ctx, id, to.Kept); err != nil {
		return ledger.Turned{}, err
	}
	return x.a.intake.SetShop(ctx, id, version, to, by)
}

// known refuses datasets that there are not. Those that the shop has had are taken: a shop can be switched off whatever has become of them.
func (x shopSettings) known(ctx context.Context, id string, to ledger.Kept) error {
	kept, err := x.a.ledger.Kept(ctx, id)
	if err != nil {
		return err
	}
	if kept.Datasets != to.Datasets {
		for _, name := range to.Datasets.Names() {
			if _, err := x.dataset(name); err != nil {
				return err
			}
		}
	}
	if kept.Windows != to.Windows {
		for _, name := range to.Windows.Names() {
			switch d, err := x.dataset(name); {
			case err != nil:
				return err
			case d.Window == nil:
				return fmt.Errorf("%w: dataset %s has no window; its configuration must say by which column rows are too old", api.ErrInvalid, name)
			}
		}
	}
	if kept.MaxRows == to.MaxRows {
		return nil
	}
	for _, name := range to.MaxRows.Names() {
		switch d, err := x.dataset(name); {
		case err != nil:
			return err
		case !d.Paged():
			return fmt.Errorf("%w: dataset %s is a query, which is read in one go: write the limit into the query, or use the table form", api.ErrInvalid, name)
		}
	}
	return nil
}

// dataset is a configured one.
func (x shopSettings) dataset(name string) (dataset.Spec, error) {
	for _, d := range x.a.cfg.Datasets {
		if d.Name == name {
			return d, nil
		}
	}
	return dataset.Spec{}, fmt.Errorf("%w: there is no dataset %s; there are %s", api.ErrInvalid, name, strings.Join(x.a.datasets(), ", "))
}

// datasets are the names of those that are configured.
func (a *App) datasets() []string {
	names := make([]string, len(a.cfg.Datasets))
	for i, d := range a.cfg.Datasets {
		names[i] = d.Name
	}
	return names
}

// check refuses what cannot be a shop's id: it would be switched off under a name that no broadcast has.
func (x shopSettings) check(id string) error {
	if err := x.a.intake.Shops.CheckShop(id); err != nil {
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return nil
}
