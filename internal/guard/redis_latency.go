package guard

import (
	"context"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// RedisLatency is the time of one PING there and back: Redis executes one command at a time, so a PING waits behind
// whatever the others sent. It is judged against its quiet level, above a floor of a millisecond: a ratio of less means nothing. One that
// does not come back in time is a reading (it took at least that long), not a stale value.
func RedisLatency(which string, zones config.Zones) *Gauge {
	return &Gauge{Name: "redis_latency{" + which + "}", Above0: true, Limits: limits(zones, Limits{Times: true, Floor: 0.001, Smooth: 0.3}), Show: seconds}
}

// ReadRedisLatency reads it; ping says how long an answer took, or 0 if it does not know better than the clock.
func ReadRedisLatency(ctx context.Context, ping func(context.Context) (time.Duration, error)) (float64, error) {
	took, err := latency(ctx, ping)
	if err != nil {
		return 0, fmt.Errorf("ping Redis: %w", err)
	}
	return took, nil
}
