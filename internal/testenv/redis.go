package testenv

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/prewarm-go/prewarm/internal/servers"
)

// databases is how many tests of one process can ask for a Redis database; an empty one costs Redis about 200 bytes.
const databases = 4096

var (
	sharedRedis  shared
	nextDatabase atomic.Int64
)

// RedisServer is a Redis, or one numbered database of it.
type RedisServer struct {
	URL  string // with the database's number
	Addr string // host:port
	own
}

// Redis is an empty numbered database of the process's own server; FLUSHDB is the test's to use, FLUSHALL is not. Pub/sub
// has no databases: tests see each other's channels. Kill, Stop, Freeze, Thaw and Restart fail the test: they are for
// OwnRedis.
func Redis(t testing.TB) *RedisServer {
	t.Helper()
	server := sharedRedis.get(t, func() (*servers.Server, error) {
		return servers.StartRedis(context.Background(), servers.RedisConfig{
			Args: []string{"--databases", strconv.Itoa(databases)},
		})
	})
	db := int(nextDatabase.Add(1) - 1)
	if db >= databases {
		t.Fatalf("this process has used all %d Redis databases", databases)
	}
	return &RedisServer{URL: server.RedisURL(db), Addr: server.Addr, own: own{t: t}}
}

// OwnRedis starts a Redis for this test alone; args are more of redis-server's arguments, such as
// "--maxmemory-policy", "allkeys-lru".
func OwnRedis(t testing.TB, args ...string) *RedisServer {
	t.Helper()
	server, err := servers.StartRedis(t.Context(), servers.RedisConfig{Args: args})
	o := newOwn(t, server, err)
	return &RedisServer{URL: server.RedisURL(0), Addr: server.Addr, own: o}
}
