package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhateverTheOrderOfWritesTheNewestVersionStays(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		order := rapid.SampledFrom([]string{dataset.OrderNumber, dataset.OrderTime, dataset.OrderText}).Draw(r, "order")
		ranks := ascending[order]
		const keys = 3
		b, newest, want := versioned(order), [2 * keys]int{}, map[string]string{}
		for i := range rapid.IntRange(1, 40).Draw(r, "writes") {
			at := rapid.IntRange(0, 2*keys-1).Draw(r, "key")
			rank := rapid.IntRange(0, len(ranks)-1).Draw(r, "version")
			key, hash := fmt.Sprintf("%d:%d", run, at), at >= keys
			if rank >= newest[at] {
				newest[at], want[key] = rank, strconv.Itoa(i)
			}
			putRow(b, key, hash, rapid.SampledFrom(ranks[rank]).Draw(r, "spelling"), strconv.Itoa(i))
			if rapid.Bool().Draw(r, "flush") {
				require.NoError(r, New(client).Write(t.Context(), b, later()))
				b.Reset()
			}
		}
		require.NoError(r, New(client).Write(t.Context(), b, later()))
		for key, tag := range want {
			hash := key[len(key)-1]-'0' >= keys
			require.Equal(r, tag, tagOf(t, client, key, hash), key)
		}
	})
}

// race lets many writers write many versions in different orders, while disturb goes on; no reader may see a version
// after a newer one, and the newest stays.
func race(t *testing.T, client redis.UniversalClient, disturb func(ctx context.Context)) {
	t.Helper()
	const writers, versions, keys = 4, 40, 30
	name := func(k int) string { return "race:" + strconv.Itoa(k) }
	ctx, stop := context.WithCancel(t.Context())
	var others, writing sync.WaitGroup
	others.Go(func() { disturb(ctx) })
	var wrong error
	others.Go(func() { wrong = watch(ctx, client, keys, name) })
	errs := make([]error, writers)
	for n := range writers {
		writing.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1)) //nolint:gosec // a repeatable order
			b := versioned(dataset.OrderNumber)
			for _, v := range random.Perm(versions) {
				b.Reset()
				for k := range keys {
					putRow(b, name(k), k%2 == 0, strconv.Itoa(v), strconv.Itoa(v))
				}
				if err := New(client).Write(t.Context(), b, later()); err != nil {
					errs[n] = err
				}
			}
		})
	}
	writing.Wait()
	stop()
	others.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NoError(t, wrong)
	for k := range keys {
		require.Equal(t, strconv.Itoa(versions-1), tagOf(t, client, name(k), k%2 == 0))
	}
}

// watch reads the objects among the keys until the context ends.
func watch(ctx context.Context, client redis.UniversalClient, keys int, name func(int) string) error {
	seen := make([]int, keys)
	for ctx.Err() == nil {
		for k := 1; k < keys; k += 2 {
			text := client.Get(ctx, name(k)).Val()
			_, tag, _ := strings.Cut(strings.TrimSuffix(text, `"}`), `"tag":"`)
			v, err := strconv.Atoi(tag)
			if err != nil {
				continue // not there yet
			}
			if v < seen[k] {
				return fmt.Errorf("%s: version %d after %d", name(k), v, seen[k])
			}
			seen[k] = v
		}
	}
	return nil
}

func TestWritersAtTheSameTimeAndScriptsThatGetLost(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.OwnRedis(t).URL)
	flushed := 0
	race(t, client, func(ctx context.Context) {
		for ctx.Err() == nil {
			if client.ScriptFlush(ctx).Err() == nil {
				flushed++
			}
		}
	})
	require.Greater(t, flushed, 10)
}

func TestAScriptIsSentAgainToAServerThatLostIt(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client := open(t, server.URL)
	b := versioned(dataset.OrderNumber)
	for i := range PieceCommands + 300 {
		putRow(b, strconv.Itoa(i), i%2 == 0, "5", "first")
	}
	again := func() {
		require.NoError(t, New(client).Write(t.Context(), b, later()))
	}
	again()
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	again()
	server.Kill()
	server.Restart()
	again()
	require.Equal(t, int64(b.Len()), client.DBSize(t.Context()).Val())
	require.True(t, client.ScriptExists(t.Context(), newerScript.sha.(string)).Val()[0], "the script stays there")
	calls := client.InfoMap(t.Context(), "commandstats").Item("Commandstats", "cmdstat_eval")
	again()
	require.Equal(t, calls, client.InfoMap(t.Context(), "commandstats").Item("Commandstats", "cmdstat_eval"),
		"and is not sent with every page")
}

func TestTheErrorOfAScriptBlamesItsKey(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.OwnRedis(t).URL)
	for _, n := range []int{3, 103, 203} {
		require.NoError(t, client.Set(t.Context(), fmt.Sprintf("h:%d", n), "a string", 0).Err())
	}
	b := versioned(dataset.OrderNumber)
	for i := range 300 {
		require.NoError(t, client.Set(t.Context(), fmt.Sprintf("s:%d", i), `{"v":1}`, 0).Err())
		putRow(b, fmt.Sprintf("s:%d", i), false, "5", "new") // is there: goes on to the script
		put(b, SetMissing, fmt.Sprintf("s:%d", i), "x")      // is there: no error
		putRow(b, fmt.Sprintf("h:%d", i), true, "5", "new")
	}
	e := fail(t, client, b)
	require.Equal(t, WriteError{Failed: 3, Sent: 900, Key: "h:3", Err: e.Err}, *e)
	require.ErrorContains(t, e, "another type")
	require.True(t, Definitive(e))
	require.Equal(t, "new", tagOf(t, client, "h:299", true), "the others are written")
	require.Equal(t, "new", tagOf(t, client, "s:0", false))
}

func TestAScriptOnAFullCacheIsDefinitive(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.OwnRedis(t).URL)
	require.NoError(t, client.Set(t.Context(), "s", `{"v":1}`, 0).Err())
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	for _, hash := range []bool{false, true} {
		b := versioned(dataset.OrderNumber)
		putRow(b, "s", hash, "5", "x")
		e := fail(t, client, b)
		require.True(t, Definitive(e), e)
		require.ErrorContains(t, e, "raise its maxmemory")
	}
	var b Batch
	put(&b, HSetMissing, "h", "f", "v")
	require.ErrorContains(t, fail(t, client, &b), "raise its maxmemory")
}

func TestMissingRightsForScriptsAreDefinitive(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client := open(t, server.URL)
	require.NoError(t, client.ACLSetUser(t.Context(), "default", "-@scripting").Err())
	b := versioned(dataset.OrderNumber)
	putRow(b, "h", true, "5", "x")
	e := fail(t, client, b)
	require.True(t, Definitive(e), e)
	require.ErrorContains(t, e, "ACL SETUSER")
}

func TestVersionsAreKeptApartFromMisuse(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(b *Batch){
		"no Version":             func(b *Batch) { b.Version = dataset.Version{}; put(b, SetNewer, "k", "1", "{}") },
		"no version argument":    func(b *Batch) { put(b, SetNewer, "k", "{}") },
		"a dropped version":      func(b *Batch) { put(b, HSetNewer, "k", "-v", "f", "x") },
		"a hash without version": func(b *Batch) { put(b, HSetNewer, "k") },
		"field without a value":  func(b *Batch) { put(b, HSetNewer, "k", "1", "v") },
		"missing with two":       func(b *Batch) { put(b, SetMissing, "k", "1", "2") },
		"touch with a value":     func(b *Batch) { put(b, TouchMissing, "k", "1") },
	} {
		b := versioned(dataset.OrderNumber)
		misuse(b)
		require.ErrorIs(t, New(nil).Write(t.Context(), b, Expiry{}), ErrMisused, name)
	}
}
