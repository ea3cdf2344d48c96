package app

import (
	"context"
	"errors"
	"sync"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/feed"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/refresh"
	"github.com/prewarm-go/prewarm/internal/source"
)

// fresh keeps right what is cached.
type fresh struct {
	intake   *refresh.Intake
	worker   *refresh.Worker    // of the pod that leads, and so is
	schedule *refresh.Scheduler // what looks for changed rows
	stream   *feed.Stream       // nil: there is none
	binlogs  []*feed.Binlog
}

// keepFresh puts together what takes in changes and what reads changed rows again.
func (a *App) keepFresh(bound []*source.Bound, loader *load.Loader, settler *load.Settler) {
	metrics := refresh.NewMetrics(a.reg)
	datasets, finding := map[string]refresh.Dataset{}, map[string]refresh.Finding{}
	var list []refresh.Dataset
	for _, b := range bound {
		datasets[b.Spec().Name], finding[b.Spec().Name] = b, b
		list = append(list, b)
		if err := b.NotRefreshed(); err != nil {
			a.log.Warn("changed rows are not looked for", "dataset", b.Spec().Name, "error", err)
		}
	}
	a.fresh = fresh{
		intake: &refresh.Intake{Ledger: a.ledger, Datasets: list, Metrics: metrics},
		worker: &refresh.Worker{Ledger: a.ledger, Loader: loader, Datasets: datasets, Places: a.places(), Expire: a.cfg.Policy.Expire, Pod: a.id, Hold: a.pacer.held,
			Alerts: a.alerts, Metrics: metrics, Log: a.log},
		schedule: &refresh.Scheduler{Ledger: a.ledger, Loader: loader, Datasets: finding, Places: a.places(), Expire: a.cfg.Policy.Expire, Hold: a.pacer.held,
			Within: a.cfg.Policy.FreshWithin, Alerts: a.alerts, Metrics: metrics, Log: a.log,
			Publish: func(ctx context.Context, shop string) error { return a.publish(ctx, settler, shop) }},
	}
	a.followStream()
	a.followBinlogs(bound)
}

// followStream reads the stream of changes, if there is one.
func (a *App) followStream() {
	if a.streamDB != nil {
		a.fresh.stream = &feed.Stream{Client: a.streamDB, Name: a.cfg.Feed.Stream.Name, Ledger: a.ledger, Changes: a.fresh.intake, Alerts: a.alerts, Log: a.log}
	}
}

// openStream connects to the Redis of the stream of changes, if there is one.
func (a *App) openStream(ctx context.Context) (err error) {
	c := a.cfg.Feed.Stream
	if c == nil {
		return nil
	}
	if a.streamDB = a.queueDB; c.Redis == nil {
		return nil
	}
	if a.streamDB, err = redisconn.Open(ctx, "feed.stream.redis", *c.Redis); err == nil {
		a.onClose(a.streamDB.Close)
	}
	return err
}

// run is what the pod that leads does.
func (f fresh) run(term context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { f.worker.Run(term) })
	wg.Go(func() { f.schedule.Run(term) })
	if f.stream != nil {
		wg.Go(func() { f.stream.Run(term) })
	}
	for _, b := range f.binlogs {
		wg.Go(func() { b.Run(term) })
	}
	wg.Wait()
}

// publish puts into a shop's ready flags how fresh it is now.
func (a *App) publish(ctx context.Context, settler *load.Settler, shop string) error {
	runs, err := a.ledger.ReadyOf(ctx, shop)
	for _, run := range runs {
		err = errors.Join(err, settler.Settle(ctx, run.ID, ledger.NowReady))
	}
	return err
}

// changes is what the API may do with changes.
type changes struct {
	*refresh.Intake
	ledger *ledger.Store
}

var _ api.Changes = changes{}

func (c changes) Changes(ctx context.Context, shop string, before int64, limit int) ([]ledger.Change, error) {
	return c.ledger.Changes(ctx, shop, before, limit)
}
