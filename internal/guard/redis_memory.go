package guard

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// RedisMemory is the share of maxmemory that is in use, or of the machine's memory if there is no maxmemory. Warming is
// what fills it, and what does not fit any more evicts keys of the live service or is refused. Stale means hold.
func RedisMemory(which string) *Gauge {
	return &Gauge{Name: "redis_memory{" + which + "}", Limits: RedisMemoryLimits(), Show: percent}
}

// RedisMemoryLimits are the defaults. To shrink does not free memory, so it is left out: between hold and stop the evening
// goes on at its width.
func RedisMemoryLimits() Limits { return Limits{Hold: 0.85, Stop: 0.95} }

// ReadRedisMemory reads it; in a cluster of the fullest master.
func ReadRedisMemory(ctx context.Context, db redis.UniversalClient) (float64, error) {
	most := 0.0
	err := eachInfo(ctx, db, "memory", func(_ string, info map[string]string) error {
		used, err := infoNumber(info, "used_memory")
		if err != nil {
			return err
		}
		limit, err := infoNumber(info, "maxmemory")
		if err == nil && limit == 0 {
			limit, err = infoNumber(info, "total_system_memory")
		}
		if err != nil {
			return err
		}
		if limit > 0 {
			most = max(most, used/limit)
		}
		return nil
	})
	return most, err
}
