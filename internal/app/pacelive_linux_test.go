package app_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// liveReaders send the live load, each in its own thread with a connection of its own: a request that is slow delays only
// the few that are its reader's.
const liveReaders = 12

// inTurn is of how many reads one is of Redis. The load itself is to leave the pods their processor: in a virtual machine a read costs
// it half a millisecond of one.
const inTurn = 5

// liveLoad sends point reads at a fixed rate, whether answers come or not, and counts each read's time from the moment at
// which it was to be sent: what piles up behind a slow answer counts as slow too.
type liveLoad struct {
	t     *testing.T
	db    *sql.DB
	cache *redis.Client
	shops int
	users int

	rate atomic.Int64 // reads a second of the database; Redis has fewer
	stop context.CancelFunc
	done sync.WaitGroup

	mu       sync.Mutex
	database []time.Duration
	redis    []time.Duration
	failed   int
}

func startLive(t *testing.T, db *sql.DB, cache *redis.Client, shops, users int, rate int64) *liveLoad {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &liveLoad{t: t, db: db, cache: cache, shops: shops, users: users, stop: stop}
	l.rate.Store(rate)
	began := time.Now()
	for i := range liveReaders {
		l.done.Go(func() { l.read(ctx, began.Add(time.Duration(i)*time.Millisecond)) })
	}
	return l
}

// read sends reads at its part of the rate, to the database and now and then to Redis, at random moments: the gaps are those of
// many independent users.
func (l *liveLoad) read(ctx context.Context, next time.Time) {
	runtime.LockOSThread() // the runtime's own timers are a millisecond late on an idle machine
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	for n := 0; ; n++ {
		gap := rand.ExpFloat64() * liveReaders * (inTurn - 1) / inTurn / float64(l.rate.Load()) //nolint:gosec // a load
		next = next.Add(time.Duration(gap * float64(time.Second)))
		if wait := time.Until(next); wait > 0 {
			pause := syscall.NsecToTimespec(wait.Nanoseconds())
			_ = syscall.Nanosleep(&pause, nil)
		}
		if ctx.Err() != nil {
			return
		}
		l.one(ctx, conn, n%inTurn > 0, next)
	}
}

func (l *liveLoad) one(ctx context.Context, conn *sql.Conn, database bool, due time.Time) {
	shop, user := rand.IntN(l.shops)+1, rand.IntN(l.users)+1 //nolint:gosec // a load
	var err error
	if database {
		var row [3]sql.RawBytes
		var rows *sql.Rows
		if rows, err = conn.QueryContext(ctx, "SELECT nickname, balance, note FROM live_users WHERE shop_id = ? AND user_id = ?", shop, user); err == nil {
			for rows.Next() {
				err = rows.Scan(&row[0], &row[1], &row[2])
			}
			_ = rows.Close()
		}
	} else if err = l.cache.Get(ctx, liveKey(shop, user)).Err(); errors.Is(err, redis.Nil) {
		err = nil
	}
	took := time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil && ctx.Err() == nil:
		l.failed++
	case database:
		l.database = append(l.database, took)
	default:
		l.redis = append(l.redis, took)
	}
}

// felt is what live reads took in a stretch of time, in milliseconds.
type feltLatency struct {
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	RedisP99 float64 `json:"redis_p99_ms"`
	Reads    int     `json:"reads"`
	Failed   int     `json:"failed"`
}

// take is what was felt since the last time.
func (l *liveLoad) take() feltLatency {
	l.mu.Lock()
	database, redis, failed := l.database, l.redis, l.failed
	l.database, l.redis, l.failed = nil, nil, 0
	l.mu.Unlock()
	return feltLatency{
		P50: quantile(database, 0.5), P99: quantile(database, 0.99), RedisP99: quantile(redis, 0.99), Reads: len(database) + len(redis), Failed: failed,
	}
}

func quantile(of []time.Duration, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return float64(of[int(q*float64(len(of)-1))]) / float64(time.Millisecond)
}

func (l *liveLoad) end() {
	l.stop()
	l.done.Wait()
	require.Zero(l.t, l.take().Failed, "live reads failed")
}
