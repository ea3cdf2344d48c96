package guard

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// eachInfo calls visit with a section of INFO of the Redis, or of each master of a cluster.
func eachInfo(ctx context.Context, db redis.UniversalClient, section string, visit func(addr string, info map[string]string) error) error {
	cluster, ok := db.(*redis.ClusterClient)
	if !ok {
		return visitInfo(ctx, db, "", section, visit)
	}
	var mu sync.Mutex
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return visitInfo(ctx, node, node.Options().Addr, section, func(addr string, info map[string]string) error {
			mu.Lock()
			defer mu.Unlock()
			return visit(addr, info)
		})
	})
}

func visitInfo(ctx context.Context, db redis.Cmdable, addr, section string, visit func(string, map[string]string) error) error {
	text, err := db.Info(ctx, section).Result()
	if err != nil {
		return fmt.Errorf("read INFO %s: %w", section, err)
	}
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return visit(addr, info)
}

func infoNumber(info map[string]string, name string) (float64, error) {
	value, err := strconv.ParseFloat(info[name], 64)
	if err != nil {
		return 0, fmt.Errorf("read %s of INFO: %q is no number", name, info[name])
	}
	return value, nil
}
