package guard

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// eachInfo calls visit with a section of INFO of the Redis, or of each master of a cluster, one after the other.
func eachInfo(ctx context.Context, db redis.UniversalClient, section string, visit func(addr string, info map[string]string) error) error {
	var mu sync.Mutex
	return redisconn.EachMaster(ctx, db, func(ctx context.Context, node redis.UniversalClient) error {
		info, err := redisconn.Info(ctx, node, section)
		if err != nil {
			return fmt.Errorf("read INFO %s: %w", section, err)
		}
		addr := ""
		if c, ok := node.(*redis.Client); ok {
			addr = c.Options().Addr
		}
		mu.Lock()
		defer mu.Unlock()
		return visit(addr, info)
	})
}

func infoNumber(info map[string]string, name string) (float64, error) {
	value, err := strconv.ParseFloat(info[name], 64)
	if err != nil {
		return 0, fmt.Errorf("read %s of INFO: %q is no number", name, info[name])
	}
	return value, nil
}
