package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// caches checks each cache, and says where the datasets of the shop that was named live.
func (d *doctor) caches(ctx context.Context) {
	servers := d.cfg.CacheServers()
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		field, cfg := d.cfg.CacheField(name), servers[name]
		d.redis(ctx, field, cfg, func(ctx context.Context, client redis.UniversalClient) error {
			err := redisconn.CheckCache(ctx, client)
			if err == nil {
				d.memory(ctx, field, cfg, client)
			}
			return err
		})
	}
	if len(servers) == 1 || d.shop == "" {
		return
	}
	for _, spec := range d.cfg.Datasets {
		name, why := d.cfg.CacheOf(spec, d.shop)
		lives := "lives in cache " + name
		if role := servers[name].Role; role != "" {
			lives += " (" + role + ")"
		}
		d.found("dataset "+spec.Name+" of shop "+d.shop, ok, lives+": "+why, "")
	}
}

// memory says how much of a cache's memory is used, as the guard goes by it.
func (d *doctor) memory(ctx context.Context, field string, cfg config.Redis, client redis.UniversalClient) {
	check := field + " memory"
	m, err := guard.ReadMemory(ctx, client)
	if err != nil {
		d.found(check, warn, err.Error(), "let the user run INFO; "+leastRights)
		return
	}
	detail := config.Size(m.Used).String() + " used"
	if cfg.Size > 0 {
		detail += " of " + cfg.Size.String()
	}
	detail += fmt.Sprintf(", %.1f %% of what may be", 100*m.Share(int64(cfg.Size)))
	if cfg.Role != "" {
		detail = cfg.Role + ": " + detail
	}
	limits := d.cfg.Guard.RedisMemory
	if m.Share(int64(cfg.Size)) >= limits.Hold {
		d.found(check, warn, detail, fmt.Sprintf("give it more, or raise %s.size or its maxmemory: at %.0f %% the width grows no more, at %.0f %% all work stops",
			field, 100*limits.Hold, 100*limits.Stop))
		return
	}
	d.found(check, ok, detail, "")
}
