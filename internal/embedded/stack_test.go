//go:build !noembed

package embedded

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func client(t *testing.T, url string) *goredis.Client {
	t.Helper()
	opts, err := goredis.ParseURL(url)
	require.NoError(t, err)
	opts.ContextTimeoutEnabled = true
	c := goredis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestEmbeddedKeysExpireByThemselvesAtAboutTheirTime(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	for _, url := range []string{s.QueueURL, s.CacheURL} {
		c := client(t, url)
		at := time.Now().Add(time.Second)
		require.NoError(t, c.Do(t.Context(), "SET", "k", "v", "PXAT", at.UnixMilli()).Err())
		require.Eventually(t, func() bool { return c.Exists(t.Context(), "k").Val() == 0 }, 30*time.Second, 5*time.Millisecond)
		require.WithinDuration(t, at, time.Now(), 900*time.Millisecond)
	}
}

func TestTheReportedExpiryStaysWithinTheSlack(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	c := client(t, s.CacheURL)
	at := time.Now().Add(time.Hour)
	pipe := c.Pipeline()
	const keys = 20_000 // so that pushing the clock takes a while
	for i := range keys {
		pipe.Do(t.Context(), "SET", i, "v", "PXAT", at.UnixMilli())
	}
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	// A few ticks, or nothing has moved yet: the clock's second hand is a key of its own.
	require.NoError(t, c.Set(t.Context(), "hand", "", 500*time.Millisecond).Err())
	require.Eventually(t, func() bool { return c.Exists(t.Context(), "hand").Val() == 0 }, 60*time.Second, 20*time.Millisecond)
	for _, key := range []string{"0", "19999"} {
		got := c.PExpireTime(t.Context(), key).Val()
		require.InDelta(t, at.UnixMilli(), got.Milliseconds(), float64(s.ExpirySlack().Milliseconds()+1))
	}
	require.Positive(t, s.ExpirySlack())
}

func TestTheStacksPassTheChecksOfRealServers(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, s *Stack) {
		t.Helper()
		queue, err := redisconn.Open(t.Context(), "queue", config.Redis{URL: s.QueueURL})
		require.NoError(t, err)
		defer queue.Close()
		require.NoError(t, redisconn.CheckQueue(t.Context(), queue, false))
		cache, err := redisconn.Open(t.Context(), "cache", config.Redis{URL: s.CacheURL})
		require.NoError(t, err)
		defer cache.Close()
		require.NoError(t, redisconn.CheckCache(t.Context(), cache))
	}
	t.Run(NameEmbedded, func(t *testing.T) { check(t, startStack(t)) })
	t.Run(NameLocal, func(t *testing.T) { check(t, startLocal(t)) })
}

func TestConcurrentTransactionsOnTheLedgerLoseNothing(t *testing.T) {
	t.Parallel()
	db := startStack(t).LedgerDB
	_, err := db.ExecContext(t.Context(), "CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER)")
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO n VALUES (1, 0)")
	require.NoError(t, err)
	increment := func(ctx context.Context) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		var v int
		if err := tx.QueryRowContext(ctx, "SELECT v FROM n WHERE id = 1").Scan(&v); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE n SET v = ? WHERE id = 1", v+1); err != nil {
			return err
		}
		return tx.Commit()
	}
	const workers, each = 8, 10
	errs := make(chan error, workers*each)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				errs <- increment(t.Context())
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	var v int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT v FROM n").Scan(&v))
	require.Equal(t, workers*each, v)
}

func startLocal(t *testing.T) *Stack {
	t.Helper()
	s, err := LocalStack(t.Context(), "")
	testenv.Need(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestTheLocalStackRunsOnRealServers(t *testing.T) {
	t.Parallel()
	s := startLocal(t)
	require.NotEqual(t, s.QueueURL, s.CacheURL)
	require.NoError(t, client(t, s.QueueURL).Ping(t.Context()).Err())
	require.NoError(t, client(t, s.CacheURL).Ping(t.Context()).Err())
	shops, err := s.Seed(t.Context(), testOptions)
	require.NoError(t, err)
	require.Len(t, shops, testOptions.Shops+SmallShops)
	require.Zero(t, s.ExpirySlack())
	require.Contains(t, s.LedgerDSN, "/prewarm")
}

func TestCloseTwiceIsHarmless(t *testing.T) {
	t.Parallel()
	s, err := Start(t.Context(), t.TempDir())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
}

func TestTheLedgerMigratesOnBothStacks(t *testing.T) {
	t.Parallel()
	lite := ledger.New(startStack(t).LedgerDB, ledger.SQLite)
	require.NoError(t, lite.Migrate(t.Context()))
	require.NoError(t, lite.Migrate(t.Context()), "again")

	my, err := ledger.Open(t.Context(), config.Ledger{DSN: startLocal(t).LedgerDSN, Pool: 4})
	require.NoError(t, err)
	defer my.Close()
	require.NoError(t, my.Migrate(t.Context()))
}
