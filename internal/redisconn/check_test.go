package redisconn

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestAQueueThatEvictsIsRefused(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t, "--maxmemory-policy", "allkeys-lru")
	client := open(t, config.Redis{URL: server.URL})
	err := CheckQueue(t.Context(), client, false)
	require.ErrorIs(t, err, ErrEvicts)
	require.ErrorContains(t, err, "CONFIG SET maxmemory-policy noeviction")
	require.ErrorContains(t, err, "queue.allow_eviction: true")
	require.NoError(t, CheckQueue(t.Context(), client, true))
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	require.NoError(t, CheckQueue(t.Context(), client, false))
}

func TestAServerThatDoesNotTellPasses(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t, "--maxmemory-policy", "allkeys-lru")
	admin := open(t, config.Redis{URL: server.URL})
	require.NoError(t, admin.ACLSetUser(t.Context(), "app", "on", "nopass", "~*", "&*", "+@all", "-info").Err())
	client := open(t, config.Redis{URL: server.URL, Username: "app", Password: "any"})
	require.NoError(t, CheckQueue(t.Context(), client, false))
	require.NoError(t, CheckCache(t.Context(), client))
	keys := admin.Keys(t.Context(), "prewarm:probe:*").Val()
	require.Len(t, keys, 1, "the probe writes one key")
	require.LessOrEqual(t, admin.PTTL(t.Context(), keys[0]).Val(), time.Second)
}

func TestTheCheckAnswersWithinItsContext(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client := open(t, config.Redis{URL: server.URL})
	require.NoError(t, CheckCache(t.Context(), client))
	server.Stop()
	require.Error(t, CheckQueue(t.Context(), client, false))
	require.Error(t, CheckCache(t.Context(), client))
}

func TestAReplicaIsRefused(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(testenv.OwnRedis(t).Addr)
	require.NoError(t, err)
	client := open(t, config.Redis{URL: testenv.OwnRedis(t, "--replicaof", host+" "+port).URL})
	require.ErrorIs(t, CheckQueue(t.Context(), client, true), ErrReplica)
	require.ErrorIs(t, CheckCache(t.Context(), client), ErrReplica)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]int{
		"7.0.15": {7, 0, 1}, "6.2": {6, 2, 1}, "255.255.255": {255, 255, 1}, "": {}, "7": {}, "v.x": {},
	} {
		major, minor, ok := version(text)
		require.Equal(t, want[2] == 1, ok, text)
		if ok {
			require.Equal(t, want, [3]int{major, minor, 1}, text)
		}
	}
}

func TestClusterAndSingleServerAreNotMistakenForEachOther(t *testing.T) {
	t.Parallel()
	single := testenv.Redis(t)
	text := refuse(t, config.Redis{URL: "redis://" + single.Addr, Cluster: true})
	require.Contains(t, text, "not a Redis Cluster")
	require.Contains(t, text, "remove queue.cluster")

	node := testenv.OwnRedis(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t), "--maxmemory-policy", "volatile-ttl")
	direct := redis.NewClient(&redis.Options{Addr: node.Addr})
	t.Cleanup(func() { require.NoError(t, direct.Close()) })
	require.NoError(t, direct.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	require.Contains(t, refuse(t, config.Redis{URL: "redis://" + node.Addr}), "set queue.cluster: true")

	client := open(t, config.Redis{URL: "redis://" + node.Addr, Cluster: true, Addrs: []string{"127.0.0.1:1"}})
	require.ErrorIs(t, CheckQueue(t.Context(), client, false), ErrEvicts)
	require.NoError(t, CheckCache(t.Context(), client))
	requirePinged(t, client)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// answers stands in for a server: it answers the named commands itself.
type answers map[string]func(redis.Cmder) error

func (a answers) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a answers) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a answers) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if answer, ok := a[cmd.Name()]; ok {
			cmd.SetErr(answer(cmd))
			return cmd.Err()
		}
		return next(ctx, cmd)
	}
}

func TestAnOldCacheIsRefusedByItsVersionOrByTrying(t *testing.T) {
	t.Parallel()
	byVersion := open(t, config.Redis{URL: testenv.Redis(t).URL})
	byVersion.AddHook(answers{"info": func(cmd redis.Cmder) error {
		reply, ok := cmd.(*redis.StringCmd)
		require.True(t, ok)
		reply.SetVal("# Server\r\nredis_version:6.0.16\r\n")
		return nil
	}})
	err := CheckCache(t.Context(), byVersion)
	require.ErrorIs(t, err, ErrTooOld)
	require.ErrorContains(t, err, "6.0.16")

	byTrying := open(t, config.Redis{URL: testenv.Redis(t).URL})
	byTrying.AddHook(answers{
		"info": func(redis.Cmder) error { return redisError("ERR unknown command 'INFO'") },
		"set":  func(redis.Cmder) error { return redisError("ERR syntax error") },
	})
	require.ErrorIs(t, CheckCache(t.Context(), byTrying), ErrTooOld)
	require.NoError(t, CheckQueue(t.Context(), byTrying, false))
}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}
