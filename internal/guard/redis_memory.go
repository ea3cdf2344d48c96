package guard

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/config"
)

// RedisMemory is the share in use of the memory that may be counted on: of maxmemory (without it of the machine's memory) or of
// the configured size, whichever is fuller. Warming is what fills it, and what does not fit any more evicts keys of
// the live service or is refused. Stale means hold.
func RedisMemory(which string, zones config.Zones) *Gauge {
	return &Gauge{Name: "redis_memory{" + which + "}", Limits: limits(zones, Limits{}), Show: percent}
}

// ReadRedisMemory reads it. size is the memory that may be counted on over all masters, in bytes; 0: nobody said.
func ReadRedisMemory(ctx context.Context, db redis.UniversalClient, size int64) (float64, error) {
	m, err := ReadMemory(ctx, db)
	return m.Share(size), err
}

// Memory is how a Redis, or the masters of a cluster together, uses its memory.
type Memory struct {
	Used    float64 // bytes
	Fullest float64 // the greatest share in use, over the masters, of maxmemory or of the machine
}

// Share is the share in use of what may be counted on.
func (m Memory) Share(size int64) float64 {
	if size <= 0 {
		return m.Fullest
	}
	return max(m.Fullest, m.Used/float64(size))
}

// ReadMemory reads it.
func ReadMemory(ctx context.Context, db redis.UniversalClient) (m Memory, err error) {
	err = eachInfo(ctx, db, "memory", func(_ string, info map[string]string) error {
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
		m.Used += used
		if limit > 0 {
			m.Fullest = max(m.Fullest, used/limit)
		}
		return nil
	})
	return m, err
}
