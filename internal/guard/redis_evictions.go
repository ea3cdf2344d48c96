package guard

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/config"
)

// RedisEvictions is how many keys a second the Redis throws away to make room. With the memory full, every key that is
// warmed costs another one, perhaps of a live broadcast. Stale means hold.
func RedisEvictions(which string, zones config.Zones) *Gauge {
	return &Gauge{Name: "redis_evictions{" + which + "}", Limits: limits(zones, Limits{}), Show: perSecond}
}

// RedisEvictionsReader turns Redis's counter into a rate. The zero value is ready; it is safe for concurrent use.
type RedisEvictionsReader struct {
	mu   sync.Mutex
	last map[string]float64 // by node
	at   time.Time
}

// Read is the keys a second since the last call, over all masters; 0 on the first. A counter that fell (the server was
// started anew) counts from 0.
func (r *RedisEvictionsReader) Read(ctx context.Context, db redis.UniversalClient, now time.Time) (float64, error) {
	found := map[string]float64{}
	err := eachInfo(ctx, db, "stats", func(addr string, info map[string]string) (err error) {
		found[addr], err = infoNumber(info, "evicted_keys")
		return err
	})
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	last, since := r.last, now.Sub(r.at).Seconds()
	r.last, r.at = found, now
	if last == nil || since <= 0 {
		return 0, nil
	}
	sum := 0.0
	for addr, n := range found {
		before, known := last[addr]
		switch {
		case !known:
		case n < before:
			sum += n
		default:
			sum += n - before
		}
	}
	return sum / since, nil
}
