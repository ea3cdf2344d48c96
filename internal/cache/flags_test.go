package cache

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func flag(broadcast string, ends time.Time) Ready {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return Ready{
		Shop: "1001", Broadcast: broadcast, Run: "0198c0ffee0198c0ffee0198c0ffee01", Rows: 12, FinishedAt: now,
		AsOf: now.Add(-time.Minute), StartsAt: ends.Add(-time.Hour), EndsAt: ends,
	}
}

func TestTheFlagLastsUntilTheBroadcastEnds(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	f, ctx := NewFlags(client), t.Context()
	ends := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)
	want := flag("b-1", ends)
	got, err := f.Ready(ctx, want.Shop, want.Broadcast)
	require.NoError(t, err)
	require.Nil(t, got)

	require.NoError(t, f.SetReady(ctx, want))
	got, err = f.Ready(ctx, want.Shop, want.Broadcast)
	require.NoError(t, err)
	require.Equal(t, want, *got)
	key := redisconn.ReadyKey("1001", "b-1")
	require.Equal(t, ends.UnixMilli(), client.PExpireTime(ctx, key).Val().Milliseconds())
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(client.Get(ctx, key).Val()), &fields))
	for _, name := range []string{"run", "rows", "finished_at", "as_of"} {
		require.Contains(t, fields, name)
	}

	require.NoError(t, f.ClearReady(ctx, want.Shop, want.Broadcast))
	require.NoError(t, f.ClearReady(ctx, want.Shop, want.Broadcast))
	require.Zero(t, client.Exists(ctx, key).Val())
}

func TestNoFlagForABroadcastThatIsOver(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	f := NewFlags(client)
	require.NoError(t, f.SetReady(t.Context(), flag("b", time.Now().Add(-time.Second))))
	require.Zero(t, client.DBSize(t.Context()).Val())
}

func TestAMovedBroadcastMovesItsFlag(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	f, ctx := NewFlags(client), t.Context()
	ends := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)
	move := func(ends time.Time) *Ready {
		require.NoError(t, f.MoveReady(ctx, "1001", "b", ends.Add(-time.Minute), ends))
		r, err := f.Ready(ctx, "1001", "b")
		require.NoError(t, err)
		return r
	}
	require.Nil(t, move(ends), "no flag is made")
	require.NoError(t, f.SetReady(ctx, flag("b", ends)))
	moved := move(ends.Add(time.Hour))
	require.Equal(t, ends.Add(time.Hour), moved.EndsAt)
	require.Equal(t, ends.Add(time.Hour-time.Minute), moved.StartsAt)
	require.Equal(t, int64(12), moved.Rows)
	require.Equal(t, moved.EndsAt.UnixMilli(), client.PExpireTime(ctx, redisconn.ReadyKey("1001", "b")).Val().Milliseconds())
	require.Nil(t, move(time.Now().Add(-time.Second)), "the flag of a broadcast that is over is removed")
}

func TestManyFlagsComeInTheOrderAskedFor(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	f, ctx := NewFlags(client), t.Context()
	var pairs []Pair
	for i := range 2*flagsAtOnce + 3 {
		r := flag(fmt.Sprint(i), time.Now().Add(time.Hour))
		r.Rows = int64(i)
		if i%100 == 0 {
			require.NoError(t, f.SetReady(ctx, r))
		}
		pairs = append(pairs, Pair{r.Shop, r.Broadcast})
	}
	require.NoError(t, client.Set(ctx, redisconn.ReadyKey("1001", "7"), "not a flag", 0).Err())
	flags, err := f.MReady(ctx, pairs)
	require.NoError(t, err)
	require.Len(t, flags, len(pairs))
	for i, r := range flags {
		if i%100 == 0 {
			require.Equal(t, int64(i), r.Rows)
		} else {
			require.Nil(t, r)
		}
	}
}

func TestFlagsOfALostRedisAreAnError(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	f := NewFlags(open(t, server.URL))
	server.Kill()
	_, err := f.Ready(t.Context(), "1", "b")
	require.Error(t, err)
	require.NotErrorIs(t, err, redis.Nil)
	require.Error(t, f.SetReady(t.Context(), flag("b", time.Now().Add(time.Hour))))
	require.Error(t, f.ClearReady(t.Context(), "1", "b"))
	require.Error(t, f.MoveReady(t.Context(), "1", "b", time.Now(), time.Now()))
}
