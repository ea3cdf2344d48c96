package guard

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/config"
)

// RedisBlocked is the number of clients that wait in a blocking command. The live service may have some by design, so it is
// judged against its usual level; a sudden crowd means that those who should serve them do not. Stale means hold.
func RedisBlocked(which string, zones config.Zones) *Gauge {
	return &Gauge{Name: "redis_blocked_clients{" + which + "}", Limits: limits(zones, Limits{Times: true, Floor: 50, Smooth: 0.3}), Show: count}
}

// ReadRedisBlocked reads it, plus one; in a cluster over all masters.
func ReadRedisBlocked(ctx context.Context, db redis.UniversalClient) (float64, error) {
	sum := 1.0
	err := eachInfo(ctx, db, "clients", func(_ string, info map[string]string) error {
		n, err := infoNumber(info, "blocked_clients")
		sum += n
		return err
	})
	return sum, err
}
