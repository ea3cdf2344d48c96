package cache

import (
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestWhatIsThereIsLeftAlone(t *testing.T) {
	t.Parallel()
	leavesAloneWhatIsThere(t, open(t, testenv.Redis(t).URL), 0)
}

func leavesAloneWhatIsThere(t *testing.T, client redis.UniversalClient, slack time.Duration) {
	t.Helper()
	ctx, e := t.Context(), later()
	soon := time.Now().Add(time.Minute).Truncate(time.Second)
	app := func(key string) { require.NoError(t, client.PExpireAt(ctx, key, soon).Err()) }
	require.NoError(t, client.Set(ctx, "app", "theirs", 0).Err())
	require.NoError(t, client.Set(ctx, "app short", "theirs", 0).Err())
	require.NoError(t, client.HSet(ctx, "app hash", "theirs", "1").Err())
	require.NoError(t, client.HSet(ctx, "app type", "theirs", "1").Err())
	app("app short")
	app("app hash")

	var b Batch
	for _, key := range []string{"app", "app short", "app type", "free"} {
		put(&b, SetMissing, key, "ours")
	}
	put(&b, HSetMissing, "app hash", "ours", "1")
	put(&b, HSetMissing, "free hash", "ours", "1", "-null")
	put(&b, HSetMissing, append([]string{"free wide"}, wide()...)...)
	put(&b, HSetMissing, "empty", "-null")
	put(&b, TouchMissing, "app short")
	put(&b, TouchMissing, "not there")
	again := e
	again.Former = []time.Time{e.Until.Add(-time.Hour), e.Until.Add(time.Hour)} // nothing of it is theirs
	for _, e := range []Expiry{e, e, again} {
		require.NoError(t, New(client).Write(ctx, &b, e))
		for _, key := range []string{"app", "app short"} {
			require.Equal(t, "theirs", client.Get(ctx, key).Val())
		}
		require.Equal(t, "ours", client.Get(ctx, "free").Val())
		require.Equal(t, map[string]string{"theirs": "1"}, client.HGetAll(ctx, "app hash").Val())
		require.Equal(t, map[string]string{"theirs": "1"}, client.HGetAll(ctx, "app type").Val())
		require.Equal(t, map[string]string{"ours": "1"}, client.HGetAll(ctx, "free hash").Val())
		require.Equal(t, int64(len(wide())/2), client.HLen(ctx, "free wide").Val())
		for key, at := range map[string]time.Time{"free": e.At([]byte("free")), "free hash": e.At([]byte("free hash")),
			"free wide": e.At([]byte("free wide")), "app short": soon, "app hash": soon} {
			require.InDelta(t, at.UnixMilli(), client.PExpireTime(ctx, key).Val().Milliseconds(), float64(slack.Milliseconds()), key)
		}
		require.Equal(t, time.Duration(-1), client.PTTL(ctx, "app").Val())
		require.Zero(t, client.Exists(ctx, "empty", "not there").Val())
	}
}

func TestPrewarmsOwnKeysLiveForTheLongerBroadcast(t *testing.T) {
	t.Parallel()
	client, ctx := open(t, testenv.Redis(t).URL), t.Context()
	first, second := later(), later()
	second.Until = second.Until.Add(3 * time.Hour)
	moved := second
	moved.Until = moved.Until.Add(-time.Hour)
	write := func(e Expiry, value string, op ...Op) {
		var b Batch
		for _, op := range op {
			switch op {
			case TouchMissing:
				put(&b, op, "s")
				put(&b, op, "h")
			case SetMissing:
				put(&b, op, "s", value)
			default:
				put(&b, op, "h", "f", value)
			}
		}
		require.NoError(t, New(client).Write(ctx, &b, e))
	}
	write(first, "1", SetMissing, HSetMissing)
	write(second, "2", SetMissing, HSetMissing)
	requireExpiry(t, client, first, "s")
	requireExpiry(t, client, first, "h")

	second.Former = []time.Time{first.Until}
	write(second, "2", SetMissing, HSetMissing)
	requireExpiry(t, client, second, "s")
	requireExpiry(t, client, second, "h")
	require.Equal(t, "1", client.Get(ctx, "s").Val())
	require.Equal(t, "1", client.HGet(ctx, "h", "f").Val())

	moved.Former = []time.Time{first.Until, second.Until}
	write(moved, "", TouchMissing)
	requireExpiry(t, client, moved, "s")
	requireExpiry(t, client, moved, "h")
}
