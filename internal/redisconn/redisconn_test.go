package redisconn

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestOpenSelectsTheDatabase(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	client := open(t, config.Redis{URL: server.URL})
	require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())
	require.Equal(t, "v", open(t, config.Redis{URL: server.URL}).Get(t.Context(), "k").Val())
	require.ErrorIs(t, open(t, config.Redis{URL: testenv.Redis(t).URL}).Get(t.Context(), "k").Err(), redis.Nil)
}

func TestOpenOverASocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "prewarm") //nolint:usetesting // t.TempDir's path may be longer than a socket's may be
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	socket := filepath.Join(dir, "sock")
	testenv.OwnRedis(t, "--unixsocket", socket)
	require.Equal(t, "PONG", open(t, config.Redis{URL: "unix://" + socket + "?db=3"}).Ping(t.Context()).Val())
	require.Contains(t, refuse(t, config.Redis{URL: "unix://" + socket + ".gone"}), "cannot be reached")
}

func TestAnUnreachableServerIsNamedWithTheRemedy(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	text := refuse(t, config.Redis{URL: "redis://user:" + secret + "@" + addr})
	require.Contains(t, text, "queue: redis at "+addr+" cannot be reached")
	require.Contains(t, text, "start it, or correct queue.url")
	require.Contains(t, refuse(t, config.Redis{URL: "redis://" + addr, Cluster: true}), "cannot be reached")
	require.Contains(t, refuse(t, config.Redis{URL: "redis://no-such-host.invalid:6379"}), "queue.url")
}

func TestAFrozenServerDoesNotHoldOpenBeyondItsContext(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client := open(t, config.Redis{URL: server.URL})
	server.Freeze()
	const allowed = 300 * time.Millisecond
	for name, call := range map[string]func(context.Context) error{
		"open": func(ctx context.Context) error {
			_, err := Open(ctx, "queue", config.Redis{URL: server.URL})
			return err
		},
		"command": func(ctx context.Context) error { return client.Get(ctx, "k").Err() },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), allowed)
		start := time.Now()
		err := call(ctx)
		cancel()
		require.Error(t, err, name)
		require.Less(t, time.Since(start), allowed+time.Second, name)
	}
	server.Thaw()
	require.ErrorIs(t, client.Get(t.Context(), "k").Err(), redis.Nil)
}

func TestUnreadableURLsDoNotShowThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"redis://u:" + secret + "@host:port", "redis://u:" + secret + "%zz@host", "http://u:" + secret + "@host",
		"redis://:6379/" + secret + "@host", "redis://host/0?" + secret + "=1", "redis://host/" + secret, secret, "",
	} {
		require.Contains(t, refuse(t, config.Redis{URL: url}), "queue.url", url)
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	admin := open(t, config.Redis{URL: server.URL})
	acl := func(user string, rules ...string) {
		require.NoError(t, admin.ACLSetUser(t.Context(), user, rules...).Err())
	}
	acl("warm", "on", ">"+secret, "~*", "&*", "+@all")
	acl("mute", "on", ">"+secret, "~*", "-@all", "+hello", "+auth")
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	address := "redis://" + server.Addr
	who := func(cfg config.Redis) string {
		name, err := open(t, cfg).Do(t.Context(), "acl", "whoami").Text()
		require.NoError(t, err)
		return name
	}

	require.Equal(t, "warm", who(config.Redis{URL: "redis://warm:" + secret + "@" + server.Addr}))
	require.Equal(t, "warm", who(config.Redis{URL: address, Username: "warm", Password: secret}))
	require.Equal(t, "warm", who(config.Redis{URL: address, Username: "warm", PasswordFile: file}))
	require.Equal(t, "warm", who(config.Redis{URL: "redis://mute:no@" + server.Addr, Username: "warm", Password: secret}))

	wrong := refuse(t, config.Redis{URL: address, Username: "warm", Password: secret + "x"})
	require.Contains(t, wrong, "refused the login")
	require.Contains(t, wrong, "queue.username and queue.password")
	require.Contains(t, refuse(t, config.Redis{URL: address, Username: "mute", Password: secret}), "too few rights")
	require.Contains(t, refuse(t, config.Redis{URL: address, PasswordFile: file + ".gone"}), "queue.password_file")

	require.NoError(t, admin.ConfigSet(t.Context(), "requirepass", secret).Err())
	require.Contains(t, refuse(t, config.Redis{URL: address}), "refused the login")
	require.Equal(t, "default", who(config.Redis{URL: "redis://:" + secret + "@" + server.Addr}))
}

func TestAWrongDatabaseNumberIsNamed(t *testing.T) {
	t.Parallel()
	require.Contains(t, refuse(t, config.Redis{URL: "redis://" + testenv.Redis(t).Addr + "/99999"}), "no database of that number")
}

func TestTheURLMayTune(t *testing.T) {
	t.Parallel()
	o, err := options("queue", config.Redis{URL: "redis://h:1/0?pool_size=300&read_timeout=7s"})
	require.NoError(t, err)
	require.Equal(t, 300, o.PoolSize)
	require.Equal(t, 7*time.Second, o.ReadTimeout)
	require.Equal(t, WriteTimeout, o.WriteTimeout)
	require.True(t, o.ContextTimeoutEnabled)
	c := clusterOptions(o, config.Redis{Addrs: []string{"i:2"}})
	require.Equal(t, []string{"h:1", "i:2"}, c.Addrs)
	require.True(t, c.ContextTimeoutEnabled)
}

func TestNoShopCanMakeAnothersKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, "prewarm:{1001}:lease", LeaseKey("1001"))
	require.Equal(t, "prewarm:{1001}:ready:b-1", ReadyKey("1001", "b-1"))
	require.NotEqual(t, ReadyKey("a}:ready:b", "c"), ReadyKey("a", "b}:ready:c"))
	require.NotEqual(t, LeaseKey("a}"), LeaseKey("a%7D"))
}
