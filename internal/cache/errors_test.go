package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// fail writes what must fail.
func fail(t *testing.T, client redis.UniversalClient, b *Batch) *WriteError {
	t.Helper()
	err := New(client).Write(t.Context(), b, later())
	var e *WriteError
	require.ErrorAs(t, err, &e)
	return e
}

func TestTheErrorCountsTheKeysThatFailedAndNamesTheFirst(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	for i := range 3 {
		require.NoError(t, client.LPush(t.Context(), fmt.Sprintf("h:%d", i*100+7), "x").Err())
	}
	var b Batch
	for i := range 300 {
		put(&b, HSet, fmt.Sprintf("h:%d", i), "f", "v", "-g")
	}
	e := fail(t, client, &b)
	require.Equal(t, WriteError{Failed: 3, Sent: 300, Key: "h:7", Err: e.Err}, *e)
	require.True(t, Definitive(e))
	require.ErrorContains(t, e, `3 of 300 keys failed, the first is "h:7": WRONGTYPE`)
	require.ErrorContains(t, e, "another type")
	require.Equal(t, "v", client.HGet(t.Context(), "h:8", "f").Val(), "the others are written")
}

func TestAFullCacheIsDefinitive(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	client := open(t, server.URL)
	for _, op := range []Op{Set, HSet, ReplaceHash} {
		var b Batch
		if op == Set {
			put(&b, op, "k", "v")
		} else {
			put(&b, op, "k", "f", "v")
		}
		e := fail(t, client, &b)
		require.True(t, Definitive(e), "%d: %v", op, e)
		require.True(t, redis.IsOOMError(e), "%d: %v", op, e)
		require.ErrorContains(t, e, "raise its maxmemory")
	}
}

func TestAReplicaIsTransient(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(testenv.OwnRedis(t).Addr)
	require.NoError(t, err)
	client := open(t, testenv.OwnRedis(t, "--replicaof", host+" "+port).URL)
	var b Batch
	put(&b, Set, "k", "v")
	e := fail(t, client, &b)
	require.False(t, Definitive(e), e)
	require.ErrorContains(t, e, "READONLY")
	b.Reset()
	put(&b, ReplaceHash, "k", "f", "v")
	require.False(t, Definitive(fail(t, client, &b)))
}

func TestMissingRightsAreDefinitive(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	admin := open(t, server.URL)
	require.NoError(t, admin.ACLSetUser(t.Context(), "app", "on", "nopass", "~user:*", "+@all", "-hset").Err())
	client := openWith(t, config.Redis{URL: server.URL, Username: "app", Password: "any"})
	for _, op := range []func(*Batch){
		func(b *Batch) { put(b, Set, "shop:1", "v") },
		func(b *Batch) { put(b, HSet, "user:1", "f", "v") },
		func(b *Batch) { put(b, ReplaceHash, "user:1", "f", "v") },
	} {
		var b Batch
		op(&b)
		e := fail(t, client, &b)
		require.True(t, Definitive(e), e)
		require.ErrorContains(t, e, "ACL SETUSER")
	}
}

func TestAServerThatIsGoneIsTransientAndComesBack(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client := open(t, server.URL)
	var b Batch
	put(&b, Set, "k", "v")
	put(&b, Set, "l", "v")
	server.Kill()
	e := fail(t, client, &b)
	require.False(t, Definitive(e), e)
	require.Equal(t, 2, e.Failed)
	server.Restart()
	require.NoError(t, New(client).Write(t.Context(), &b, later()))
}

func TestAFrozenServerDoesNotHoldAWriteBeyondItsContext(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client := open(t, server.URL)
	var b Batch
	for range 2 * PieceCommands {
		put(&b, Set, "k", strings.Repeat("x", 4000)) // more than the socket's buffers take
	}
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := New(client).Write(ctx, &b, later())
	require.Error(t, err)
	require.False(t, Definitive(err), err)
	require.Less(t, time.Since(start), 1500*time.Millisecond)
	server.Thaw()
	require.NoError(t, New(client).Write(t.Context(), &b, later()))
}

func TestAStopBetweenPiecesTellsItsCause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the lease was lost")
	cancel(why)
	var b Batch
	put(&b, Set, "k", "v")
	require.ErrorIs(t, New(nil).Write(ctx, &b, Expiry{}), why)
}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestWhatTryingAgainCanHelp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"READONLY You can't write against a read only replica.", "LOADING Redis is loading the dataset in memory",
		"MASTERDOWN Link with MASTER is down", "CLUSTERDOWN The cluster is down", "MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1",
		"TRYAGAIN Multiple keys", "MISCONF Redis is configured to save RDB snapshots", "ERR max number of clients reached",
		"NOREPLICAS Not enough good replicas to write.", "ERR something new",
	} {
		require.False(t, Definitive(&WriteError{Err: redisError(text)}), text)
	}
	for _, text := range []string{
		"OOM command not allowed when used memory > 'maxmemory'.", "NOPERM no", "WRONGTYPE Operation against a key",
		"ERR unknown command 'SET'", "ERR syntax error", "ERR invalid expire time in 'set' command", "NOAUTH Authentication required.",
	} {
		require.True(t, Definitive(&WriteError{Err: redisError(text)}), text)
		require.ErrorContains(t, &WriteError{Err: redisError(text)}, "; the ")
	}
	for _, err := range []error{nil, io.EOF, context.DeadlineExceeded, redis.ErrPoolTimeout, &net.OpError{Op: "read", Err: io.EOF}} {
		require.False(t, Definitive(err), err)
	}
}

func TestAKeyOfAnyBytesStaysOnOneShortLine(t *testing.T) {
	t.Parallel()
	text := (&WriteError{Key: strings.Repeat("\n€", 5000), Err: io.EOF}).Error()
	require.Less(t, len(text), 1000)
	require.NotContains(t, text, "\n")
}
