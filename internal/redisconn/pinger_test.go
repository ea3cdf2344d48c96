package redisconn

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// requirePinged asks the servers of a client how long they take, and demands to know, where the system tells.
func requirePinged(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	p := NewPinger(client)
	defer func() { require.NoError(t, p.Close()) }()
	known := runtime.GOOS != "linux"
	require.Eventually(t, func() bool { // the kernel begins to stamp a moment after it was asked to
		began := time.Now()
		took, err := p.Ping(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, took, time.Since(began))
		known = known || took > 0
		return known
	}, 30*time.Second, time.Millisecond)
}

func TestAServersTimeIsKnown(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client := open(t, config.Redis{URL: server.URL})
	requirePinged(t, client)

	p := NewPinger(client)
	_, err := p.Ping(t.Context())
	require.NoError(t, err)
	server.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = p.Ping(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	server.Thaw()
	_, err = p.Ping(t.Context())
	require.NoError(t, err, "over a new connection")
	require.NoError(t, p.Close())
}
