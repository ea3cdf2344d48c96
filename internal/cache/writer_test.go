package cache

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestEveryOperationWritesItsKeyAndExpiry(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	conform(t, client)
}

// conform is what every kind of Redis has to do with a batch.
func conform(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	ctx, e := t.Context(), later()
	require.NoError(t, client.HSet(ctx, "partly", "old", "1", "gone", "1", "kept", "1").Err())
	require.NoError(t, client.HSet(ctx, "replaced", "old", "1").Err())
	require.NoError(t, client.HSet(ctx, "emptied", "old", "1").Err())
	require.NoError(t, client.Set(ctx, "deleted", "1", 0).Err())
	require.NoError(t, client.Set(ctx, "again", "1", 0).Err())
	require.NoError(t, client.Set(ctx, "touched", "1", 0).Err())

	var b Batch
	put(&b, Set, "plain", "v\x00\r\n€")
	put(&b, Set, "", "the empty key")
	put(&b, Set, "again", "2")
	put(&b, HSet, "partly", "old", "2", "-gone", "new", "")
	put(&b, HSet, "null", "-a", "-b")
	put(&b, ReplaceHash, "replaced", "f", "1", "g", "2")
	put(&b, ReplaceHash, "emptied")
	put(&b, Del, "deleted")
	put(&b, Touch, "touched")
	put(&b, Touch, "not there")
	want := map[string]string{}
	big := []string{"big"}
	for i := range 2*hashFields + 1 {
		want[strconv.Itoa(i)] = strconv.Itoa(-i)
		big = append(big, strconv.Itoa(i), "")
	}
	b.Begin(ReplaceHash)
	for i, arg := range big {
		b.Buf = append(b.Buf, arg...)
		if i > 0 && i%2 == 0 {
			b.Buf = strconv.AppendInt(b.Buf, int64(1-i/2), 10)
		}
		b.EndArg()
	}
	b.End()
	require.NoError(t, New(client).Write(ctx, &b, e))

	require.Equal(t, "v\x00\r\n€", client.Get(ctx, "plain").Val())
	require.Equal(t, "the empty key", client.Get(ctx, "").Val())
	require.Equal(t, "2", client.Get(ctx, "again").Val())
	require.Equal(t, map[string]string{"old": "2", "new": "", "kept": "1"}, client.HGetAll(ctx, "partly").Val())
	require.Equal(t, map[string]string{"f": "1", "g": "2"}, client.HGetAll(ctx, "replaced").Val())
	require.Equal(t, want, client.HGetAll(ctx, "big").Val())
	require.Equal(t, "1", client.Get(ctx, "touched").Val())
	for _, key := range []string{"null", "emptied", "deleted", "not there"} {
		require.Zero(t, client.Exists(ctx, key).Val(), key)
	}
	for _, key := range []string{"plain", "", "again", "partly", "replaced", "big", "touched"} {
		requireExpiry(t, client, e, key)
	}
}

func TestPagesOfManyPiecesArriveWhole(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	many(t, client, 3*PieceCommands+7)
}

// many writes so many keys from several goroutines, each with a batch of its own, used twice.
func many(t *testing.T, client redis.UniversalClient, keys int) {
	t.Helper()
	const writers = 4
	w, e := New(client), later()
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for n := range writers {
		wg.Go(func() {
			var b Batch
			for round := range 2 {
				b.Reset()
				for i := range keys {
					put(&b, Set, fmt.Sprintf("k:%d:%d", n, i), fmt.Sprintf("%d:%d:%d", round, n, i))
				}
				if errs[n] == nil {
					errs[n] = w.Write(t.Context(), &b, e)
				}
			}
		})
	}
	wg.Wait()
	for n := range writers {
		require.NoError(t, errs[n])
		for i := range keys {
			key := fmt.Sprintf("k:%d:%d", n, i)
			require.Equal(t, fmt.Sprintf("1:%d:%d", n, i), client.Get(t.Context(), key).Val())
			if i%997 == 0 {
				requireExpiry(t, client, e, key)
			}
		}
	}
}

func TestAnEmptyBatchAsksNobody(t *testing.T) {
	t.Parallel()
	require.NoError(t, New(nil).Write(t.Context(), &Batch{}, Expiry{}))
}

func TestAReaderNeverSeesAReplacedHashHalf(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	writer, reader := open(t, server.URL), open(t, server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var b Batch
		for round := 0; ctx.Err() == nil; round++ {
			b.Reset()
			args := []string{"h"}
			for i := range 50 {
				args = append(args, strconv.Itoa(i), strconv.Itoa(round))
			}
			put(&b, ReplaceHash, args...)
			if err := New(writer).Write(ctx, &b, later()); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	seen := map[string]bool{}
	for deadline := time.Now().Add(10 * time.Second); len(seen) < 20 && time.Now().Before(deadline); {
		fields := reader.HGetAll(t.Context(), "h").Val()
		if len(fields) == 0 && len(seen) == 0 {
			continue // not written yet
		}
		require.Len(t, fields, 50)
		for _, round := range fields {
			require.Equal(t, fields["0"], round)
		}
		seen[fields["0"]] = true
	}
	cancel()
	require.NoError(t, <-done)
	require.GreaterOrEqual(t, len(seen), 20)
}

func TestWritingAgainDoesNotMoveTheExpiryAndNewTimesDo(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	e := later()
	var b Batch
	put(&b, Set, "s", strings.Repeat("x", 10))
	put(&b, HSet, "h", "f", "v")
	for range 2 {
		require.NoError(t, New(client).Write(t.Context(), &b, e))
		requireExpiry(t, client, e, "s")
		requireExpiry(t, client, e, "h")
	}
	e.Until = e.Until.Add(time.Hour)
	require.NoError(t, New(client).Write(t.Context(), &b, e))
	requireExpiry(t, client, e, "s")
	requireExpiry(t, client, e, "h")
}
