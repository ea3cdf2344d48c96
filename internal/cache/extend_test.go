package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// extended is a cache with keys of ours and of others, and what is to be moved.
type extended struct {
	w       *Writer
	client  redis.UniversalClient
	before  Expiry
	x       Extension
	looks   int
	told    int
	foreign map[string]int64
}

const ours = 2500 // more than one look and one piece

func newExtended(t *testing.T, client redis.UniversalClient) *extended {
	t.Helper()
	e := &extended{w: New(client), client: client, foreign: map[string]int64{}}
	end := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	e.before = Expiry{Until: end, Jitter: 10 * time.Minute}
	e.x = Extension{
		Prefix: "u*:1:", Own: func(key string) bool { return !strings.HasSuffix(key, ":settings") }, Expiry: e.before,
		Proceed: func(context.Context) error { e.looks++; return nil }, Moved: func(n int) { e.told += n },
	}
	e.x.Until, e.x.Former = end.Add(2*time.Hour), []time.Time{end, end.Add(2 * time.Hour)}
	set := func(key string, at int64) {
		require.NoError(t, client.Do(t.Context(), "set", key, "v", "pxat", at).Err())
	}
	for i := range ours {
		key := fmt.Sprintf("u*:1:%d", i)
		set(key, e.before.millis([]byte(key)))
	}
	for key, at := range map[string]int64{
		"u*:1:settings": e.before.millis([]byte("u*:1:settings")), // not a row's key, by its name
		"u*:1:7777":     e.before.millis([]byte("u*:1:7777")) + 1, // not ours, by its expiry
		"ux:1:5":        e.before.millis([]byte("ux:1:5")),        // what the prefix would match as a pattern
		"u*:2:5":        e.before.millis([]byte("u*:2:5")),        // another shop's
	} {
		set(key, at)
		e.foreign[key] = at
	}
	return e
}

func (e *extended) require(t *testing.T) {
	t.Helper()
	at := func(key string) int64 {
		got, err := e.client.PExpireTime(t.Context(), key).Result()
		require.NoError(t, err)
		return got.Milliseconds()
	}
	for i := range ours {
		key := fmt.Sprintf("u*:1:%d", i)
		require.Equal(t, e.x.millis([]byte(key)), at(key), key)
	}
	for key, was := range e.foreign {
		require.Equal(t, was, at(key), key)
	}
	n, ok, err := e.w.Size(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, ours+len(e.foreign), n)
}

func TestExtendMovesOurKeysAndNoOthers(t *testing.T) {
	t.Parallel()
	e := newExtended(t, openWith(t, config.Redis{URL: testenv.OwnRedis(t).URL}))
	for range 2 { // again is harmless
		e.told = 0
		all, err := e.w.Extend(t.Context(), e.x)
		require.NoError(t, err)
		require.GreaterOrEqual(t, all.Moved, int64(ours))
		require.EqualValues(t, all.Moved, e.told)
		require.Positive(t, all.Alike)
		require.GreaterOrEqual(t, e.looks, 3)
		e.require(t)
	}
}

func TestExtendOnARedisCluster(t *testing.T) {
	t.Parallel()
	_, client := cluster(t, 3)
	e := newExtended(t, client)
	_, err := e.w.Extend(t.Context(), e.x)
	require.NoError(t, err)
	e.require(t)
}

func TestExtendEndsWithItsLeaveAndGoesOnFromTheBeginning(t *testing.T) {
	t.Parallel()
	e := newExtended(t, openWith(t, config.Redis{URL: testenv.OwnRedis(t).URL}))
	proceed, stop := e.x.Proceed, errors.New("no more")
	e.x.Proceed = func(context.Context) error {
		if e.looks++; e.looks > 1 {
			return stop
		}
		return nil
	}
	all, err := e.w.Extend(t.Context(), e.x)
	require.ErrorIs(t, err, stop)
	require.Less(t, all.Moved, int64(ours))
	e.x.Proceed = proceed
	_, err = e.w.Extend(t.Context(), e.x)
	require.NoError(t, err)
	e.require(t)
}

func TestTheSizeOfADatabase(t *testing.T) {
	t.Parallel()
	facts := map[string]string{"redis_version": "7.2.0", "db0": "keys=5,expires=1,avg_ttl=0", "db3": "keys=x"}
	for db, want := range map[int]struct {
		keys int64
		ok   bool
	}{0: {5, true}, 1: {0, true}, 3: {0, false}} {
		keys, ok := keysOf(facts, db)
		require.Equal(t, want.ok, ok, db)
		require.Equal(t, want.keys, keys, db)
	}
	_, ok := keysOf(nil, 0)
	require.False(t, ok, "it may not be asked")
}
