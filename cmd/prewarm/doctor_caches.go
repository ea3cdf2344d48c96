package main

import (
	"context"
	"maps"
	"slices"

	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// caches checks each cache, and says where the datasets of the shop that was named live.
func (d *doctor) caches(ctx context.Context) {
	servers := d.cfg.CacheServers()
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		d.redis(ctx, d.cfg.CacheField(name), servers[name], redisconn.CheckCache)
	}
	if len(servers) == 1 || d.shop == "" {
		return
	}
	for _, spec := range d.cfg.Datasets {
		name, why := d.cfg.CacheOf(spec, d.shop)
		d.found("dataset "+spec.Name+" of shop "+d.shop, ok, "lives in cache "+name+": "+why, "")
	}
}
