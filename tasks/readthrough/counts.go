package readthrough

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// flushEvery is how often counts are written: what a crash loses.
	flushEvery = time.Second
	// flushTime bounds one writing.
	flushTime = 2 * time.Second
	// countsKept is how long a day's counts are kept.
	countsKept = 40 * 24 * time.Hour
)

// Fields of a shop's counts of a day.
const (
	FieldHits   = "hits"
	FieldMisses = "misses"
)

// shopText keeps a shop id from ending the hash tag it stands in.
var shopText = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// CountsKey is the hash in the cache that holds a shop's counts of a day (2006-01-02, UTC).
func CountsKey(shop, day string) string {
	return "prewarm:{" + shopText.Replace(shop) + "}:reads:" + day
}

type count struct{ hits, misses int64 }

// counts adds up in memory and writes each second.
type counts struct {
	cache   redis.UniversalClient
	onError func(error)

	mu   sync.Mutex
	open map[string]count // by shop

	once  sync.Once
	stop  chan struct{}
	ended chan struct{}
	last  error
}

func newCounts(cache redis.UniversalClient, onError func(error)) *counts {
	c := &counts{cache: cache, onError: onError, open: map[string]count{}, stop: make(chan struct{}), ended: make(chan struct{})}
	go c.run()
	return c
}

func (c *counts) hit(shop string)  { c.add(shop, count{hits: 1}) }
func (c *counts) miss(shop string) { c.add(shop, count{misses: 1}) }

func (c *counts) add(shop string, n count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have := c.open[shop]
	c.open[shop] = count{have.hits + n.hits, have.misses + n.misses}
}

func (c *counts) run() {
	defer close(c.ended)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			c.last = c.flush()
			return
		case <-tick.C:
			if err := c.flush(); err != nil {
				c.onError(err)
			}
		}
	}
}

func (c *counts) close() error {
	c.once.Do(func() { close(c.stop) })
	<-c.ended
	return c.last
}

// flush writes what was counted. What cannot be written is lost: counts are worth no memory that grows.
func (c *counts) flush() error {
	c.mu.Lock()
	some := c.open
	c.open = map[string]count{}
	c.mu.Unlock()
	if len(some) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	day := time.Now().UTC().Format(time.DateOnly)
	_, err := c.cache.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for shop, n := range some {
			key := CountsKey(shop, day)
			pipe.HIncrBy(ctx, key, FieldHits, n.hits)
			pipe.HIncrBy(ctx, key, FieldMisses, n.misses)
			pipe.Expire(ctx, key, countsKept)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write counts of reads: %w", err)
	}
	return nil
}
