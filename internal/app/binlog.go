package app

import (
	"maps"
	"slices"

	"github.com/prewarm-go/prewarm/internal/feed"
	"github.com/prewarm-go/prewarm/internal/source"
)

// followBinlogs reads the binlogs of the sources that are to be read so, and that a dataset is read from.
func (a *App) followBinlogs(bound []*source.Bound) {
	first := a.cfg.Feed.Binlog.Server(a.cfg.Ledger.DSN)
	for i, name := range slices.Sorted(maps.Keys(a.sources)) {
		var read []*source.Bound
		for _, b := range bound {
			if b.Source() == a.sources[name] {
				read = append(read, b)
			}
		}
		if !a.cfg.Feed.Binlog.Reads(name) || len(read) == 0 {
			continue
		}
		a.fresh.binlogs = append(a.fresh.binlogs, &feed.Binlog{
			Source: a.sources[name], ServerID: first + uint32(i), Datasets: read, Ledger: a.ledger, Changes: a.fresh.intake,
			Alerts: a.alerts, Lag: feed.NewLag(a.reg, "binlog:"+name), Log: a.log,
		})
	}
}
