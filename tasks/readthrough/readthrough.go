// Package readthrough is for applications that read what prewarm has warmed. It gets a value from the cache, and on a miss
// loads it once per process however many ask for it, and keeps it in the cache for a while, unless somebody has put a value there
// meanwhile: what prewarm or another process writes is never overwritten. It counts hits and misses per shop and day, which
// prewarm's daily report shows. docs/reading.md has the contract for other languages.
//
// It imports go-redis and the standard library only.
package readthrough

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// Defaults of Config.
const (
	DefaultTTL      = 10 * time.Minute
	DefaultLoadTime = 5 * time.Second
)

// spread is the part of the TTL by which expiries are spread, so that what was loaded together does not expire together.
const spread = 0.2

// ErrNotFound is what a Loader returns for a row that does not exist. Nothing is kept of it.
var ErrNotFound = errors.New("readthrough: no such row")

// Loader reads a value from where it comes from, in the form that the cache holds. Its context is not the caller's: others may
// wait for the same value.
type Loader func(ctx context.Context) ([]byte, error)

// Config puts a Reader together.
type Config struct {
	Cache    redis.UniversalClient  // the Redis that prewarm warms; with several, a Reader for each (docs/caches.md says which has what)
	TTL      time.Duration          // of what a miss has loaded; default DefaultTTL, spread by a fifth. Warmed keys keep their own
	LoadTime time.Duration          // limit of one load; default DefaultLoadTime
	Off      func(shop string) bool // the shop's cache is switched off: it is neither read nor written; nil: never
	OnError  func(error)            // told of errors of the cache, which callers do not see; nil: nobody
}

// Reader is safe for concurrent use. Close it to write its last counts.
type Reader struct {
	cfg     Config
	flights flights
	counts  *counts
}

// New is a Reader. Cache must be set.
func New(c Config) *Reader {
	if c.TTL <= 0 {
		c.TTL = DefaultTTL
	}
	if c.LoadTime <= 0 {
		c.LoadTime = DefaultLoadTime
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return &Reader{cfg: c, flights: flights{open: map[string]*flight{}}, counts: newCounts(c.Cache, c.OnError)}
}

// Close writes the counts that were not written yet.
func (r *Reader) Close() error { return r.counts.close() }

// Get is the value of a shop's key: from the cache, or else from load, once at a time per key. A cache that does not answer is a
// miss that is not kept. Callers must not change the value: others may have the same.
func (r *Reader) Get(ctx context.Context, shop, key string, load Loader) ([]byte, error) {
	if r.cfg.Off != nil && r.cfg.Off(shop) {
		return load(ctx)
	}
	value, err := r.cfg.Cache.Get(ctx, key).Bytes()
	if err == nil {
		r.counts.hit(shop)
		return value, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.counts.miss(shop)
	keep := errors.Is(err, redis.Nil)
	if !keep {
		r.cfg.OnError(fmt.Errorf("read %q from the cache: %w", key, err))
	}
	return r.flights.do(ctx, key, func() ([]byte, error) { return r.load(ctx, key, load, keep) })
}

// load loads a value and keeps it, if nobody has put one there since.
func (r *Reader) load(ctx context.Context, key string, load Loader, keep bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.LoadTime)
	defer cancel()
	value, err := load(ctx)
	if err != nil || !keep {
		return value, err
	}
	ttl := time.Duration(float64(r.cfg.TTL) * (1 + spread*(rand.Float64()-0.5)*2))
	err = r.cfg.Cache.Do(ctx, "set", key, value, "nx", "px", ttl.Milliseconds()).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.cfg.OnError(fmt.Errorf("keep %q in the cache: %w", key, err))
	}
	return value, nil
}
