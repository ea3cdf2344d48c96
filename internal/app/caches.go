package app

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/refresh"
	"github.com/prewarm-go/prewarm/internal/upkeep"
)

// openCaches connects to all caches and refuses those that cannot take what is written.
func (a *App) openCaches(ctx context.Context) error {
	clients, servers := map[string]redis.UniversalClient{}, a.cfg.CacheServers()
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		field := a.cfg.CacheField(name)
		client, err := redisconn.Open(ctx, field, servers[name])
		if err != nil {
			return err
		}
		a.onClose(client.Close)
		if err := redisconn.CheckCache(ctx, client); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		clients[name] = client
	}
	a.caches = cache.NewCaches(clients)
	a.onClose(a.caches.Close)
	return nil
}

// place is the cache that a shop's dataset lives in as of now.
func (a *App) place(d dataset.Spec, shop string) string {
	name, _ := a.cfg.CacheOf(d, shop)
	return name
}

// into is where a unit's pages go.
func (a *App) into(name string) (load.Cache, error) {
	w, err := a.caches.Writer(name)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// places is where a shop's dataset is kept right.
func (a *App) places() refresh.Places {
	return refresh.Places{Ledger: a.ledger, Caches: a.caches.Names(), Plan: a.place}
}

// lookedAfter are the caches as the reconciliation sees them.
func (a *App) lookedAfter() map[string]upkeep.Cache {
	all := map[string]upkeep.Cache{}
	for name, client := range a.caches.All() {
		writer, _ := a.caches.Writer(name) // it is one of them
		all[name] = upkeep.Cache{Stamps: writer, Nodes: func(ctx context.Context) ([]redisconn.Node, error) { return redisconn.Nodes(ctx, client) }}
	}
	return all
}
