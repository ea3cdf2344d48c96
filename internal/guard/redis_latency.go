package guard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisLatency is the time of one PING there and back: Redis executes one command at a time, so a PING waits behind
// whatever the others sent. It is judged against its quiet level. One that does not come back in time is a reading (it took
// at least that long), not a stale value.
func RedisLatency(which string) *Gauge {
	return &Gauge{Name: "redis_latency{" + which + "}", Above0: true, Limits: RedisLatencyLimits(), Show: seconds}
}

// RedisLatencyLimits are the defaults. A PING beside full pipelines of 500 SETs waits about a millisecond, which a live
// client feels too but bears; the floor keeps a ratio of less from meaning anything.
func RedisLatencyLimits() Limits {
	return Limits{Times: true, Floor: 0.001, Hold: 3, Shrink: 5, Stop: 50, Smooth: 0.3}
}

// ReadRedisLatency reads it; in a cluster of the slowest master.
func ReadRedisLatency(ctx context.Context, db redis.UniversalClient) (float64, error) {
	began := time.Now()
	err := ping(ctx, db)
	took := time.Since(began).Seconds()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return took, nil
	}
	if err != nil {
		return 0, fmt.Errorf("ping Redis: %w", err)
	}
	return took, nil
}

func ping(ctx context.Context, db redis.UniversalClient) error {
	if cluster, ok := db.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Ping(ctx).Err() })
	}
	return db.Ping(ctx).Err()
}
