package app

import (
	"context"
	"database/sql"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// signals are what the leader watches: every source and all Redis servers. One that cannot be read now, for want of a
// right or because the server does not know it, is left out: it would hold the width for ever.
func (a *App) signals() *guard.Watch {
	w, limits := &guard.Watch{}, a.cfg.Guard
	readable := func(g *guard.Gauge, read guard.Reader) bool {
		ctx, cancel := context.WithTimeout(context.Background(), guard.ReadTime)
		defer cancel()
		_, err := read(ctx)
		if err != nil {
			a.log.InfoContext(ctx, "a signal cannot be read and is not watched", "signal", g.Name, "error", err)
		}
		return err == nil
	}
	add := func(g *guard.Gauge, read guard.Reader) {
		if readable(g, read) {
			w.Add(g, read)
		}
	}
	for name, s := range a.sources {
		db := s.DB()
		of := func(read func(context.Context, *sql.DB) (float64, error)) guard.Reader {
			return func(ctx context.Context) (float64, error) { return read(ctx, db) }
		}
		add(guard.ThreadsRunning(name, limits.ThreadsRunning), of(guard.ReadThreadsRunning))
		add(guard.Connections(name, limits.Connections), of(guard.ReadConnections))
		if g := guard.MySQLReads(name, a.cfg.Pace.Crowd); g.Limits.Stop > 0 && readable(g, of(guard.ReadSelects)) {
			w.Add(g, nil) // the leader feeds it
		}
		if query := a.cfg.Sources[name].Canary; query != "" {
			add(guard.Canary(name, limits.Canary), func(ctx context.Context) (float64, error) { return guard.ReadCanary(ctx, db, query) })
		}
	}
	for name, db := range a.replicas.watched {
		a.watchReplica(w, add, name, db)
	}
	redises := map[string]redis.UniversalClient{"queue": a.queueDB}
	sizes := map[string]int64{}
	for name, client := range a.caches.All() {
		redises[a.cfg.CacheField(name)] = client
		sizes[a.cfg.CacheField(name)] = int64(a.cfg.CacheServers()[name].Size)
	}
	for name, db := range redises {
		of := func(read func(context.Context, redis.UniversalClient) (float64, error)) guard.Reader {
			return func(ctx context.Context) (float64, error) { return read(ctx, db) }
		}
		pinger := redisconn.NewPinger(db)
		a.onClose(pinger.Close)
		add(guard.RedisLatency(name, limits.RedisLatency), func(ctx context.Context) (float64, error) { return guard.ReadRedisLatency(ctx, pinger.Ping) })
		add(guard.RedisMemory(name, limits.RedisMemory), func(ctx context.Context) (float64, error) { return guard.ReadRedisMemory(ctx, db, sizes[name]) })
		add(guard.RedisBlocked(name, limits.BlockedClients), of(guard.ReadRedisBlocked))
		if name != "queue" {
			evictions := &guard.RedisEvictionsReader{}
			add(guard.RedisEvictions(name, limits.Evictions), func(ctx context.Context) (float64, error) { return evictions.Read(ctx, db, time.Now()) })
		}
	}
	return w
}
