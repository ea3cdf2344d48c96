package readthrough_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/tasks/readthrough"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func cache(t *testing.T) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(testenv.Redis(t).URL)
	require.NoError(t, err)
	c := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func value(text string) readthrough.Loader {
	return func(context.Context) ([]byte, error) { return []byte(text), nil }
}

func TestAKeyIsLoadedOnceHoweverManyAsk(t *testing.T) {
	t.Parallel()
	c := cache(t)
	r := readthrough.New(readthrough.Config{Cache: c})
	var loads atomic.Int64
	hold := make(chan struct{})
	load := func(context.Context) ([]byte, error) {
		loads.Add(1)
		<-hold
		return []byte("v"), nil
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			got, err := r.Get(t.Context(), "1", "user:1:2", load)
			if err != nil || string(got) != "v" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Get(ended, "1", "user:1:2", load)
	require.ErrorIs(t, err, context.Canceled)
	close(hold)
	all.Wait()
	got, err := r.Get(t.Context(), "1", "user:1:2", func(context.Context) ([]byte, error) { return nil, errors.New("not needed") })
	require.NoError(t, err)
	require.Equal(t, "v", string(got))
	ttl := c.PTTL(t.Context(), "user:1:2").Val()
	require.InDelta(t, readthrough.DefaultTTL.Seconds(), ttl.Seconds(), readthrough.DefaultTTL.Seconds()*0.25)

	require.NoError(t, r.Close())
	counts := c.HGetAll(t.Context(), readthrough.CountsKey("1", time.Now().UTC().Format(time.DateOnly))).Val()
	var hits, misses int64
	_, _ = fmt.Sscan(counts["hits"], &hits)
	_, _ = fmt.Sscan(counts["misses"], &misses)
	require.EqualValues(t, 51, hits+misses)
	require.GreaterOrEqual(t, misses, loads.Load())
}

func TestWhatIsThereIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	c := cache(t)
	r := readthrough.New(readthrough.Config{Cache: c})
	defer r.Close()
	got, err := r.Get(t.Context(), "1", "k", func(ctx context.Context) ([]byte, error) {
		return []byte("old"), c.Set(ctx, "k", "newer, written meanwhile", time.Hour).Err()
	})
	require.NoError(t, err)
	require.Equal(t, "old", string(got))
	require.Equal(t, "newer, written meanwhile", c.Get(t.Context(), "k").Val())
}

func TestRowsThatDoNotExistFailuresAndPanicsAreNotKept(t *testing.T) {
	t.Parallel()
	c := cache(t)
	r := readthrough.New(readthrough.Config{Cache: c})
	defer r.Close()
	for _, load := range []readthrough.Loader{
		func(context.Context) ([]byte, error) { return nil, readthrough.ErrNotFound },
		func(context.Context) ([]byte, error) { panic("a bug") },
	} {
		_, err := r.Get(t.Context(), "1", "k", load)
		require.Error(t, err)
		require.Zero(t, c.Exists(t.Context(), "k").Val())
	}
}

func TestAShopThatIsOffIsNeitherReadNorWritten(t *testing.T) {
	t.Parallel()
	c := cache(t)
	r := readthrough.New(readthrough.Config{Cache: c, Off: func(shop string) bool { return shop == "1" }})
	defer r.Close()
	require.NoError(t, c.Set(t.Context(), "k", "cached", time.Hour).Err())
	got, err := r.Get(t.Context(), "1", "k", value("live"))
	require.NoError(t, err)
	require.Equal(t, "live", string(got))
	got, err = r.Get(t.Context(), "2", "k", value("live"))
	require.NoError(t, err)
	require.Equal(t, "cached", string(got))
}

func TestACacheThatDoesNotAnswerIsAMiss(t *testing.T) {
	t.Parallel()
	own := testenv.OwnRedis(t)
	c := redis.NewClient(&redis.Options{Addr: own.Addr, MaxRetries: -1, DialTimeout: time.Second})
	t.Cleanup(func() { _ = c.Close() })
	var told atomic.Int64
	r := readthrough.New(readthrough.Config{Cache: c, OnError: func(error) { told.Add(1) }})
	own.Kill()
	got, err := r.Get(t.Context(), "1", "k", value("live"))
	require.NoError(t, err)
	require.Equal(t, "live", string(got))
	require.Positive(t, told.Load())
	require.Error(t, r.Close(), "the counts could not be written")
}

func TestTheCountsStandBesidePrewarmsOtherKeys(t *testing.T) {
	t.Parallel()
	const shop = "a{b}%"
	lease := redisconn.LeaseKey(shop)
	require.Equal(t, lease[:len(lease)-len("lease")]+"reads:2026-11-20", readthrough.CountsKey(shop, "2026-11-20"))
}

func ExampleReader_Get() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", DB: 1})
	reader := readthrough.New(readthrough.Config{Cache: client})
	defer reader.Close()
	user, err := reader.Get(context.Background(), "1001", "user:1001:42", func(ctx context.Context) ([]byte, error) {
		return loadUser(ctx, 1001, 42) // SELECT … from MySQL, as the JSON that the cache holds
	})
	if err != nil {
		return
	}
	fmt.Println(string(user))
}

func loadUser(context.Context, int, int) ([]byte, error) { return []byte(`{"user_id":42}`), nil }
