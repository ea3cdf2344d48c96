package workers

import (
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var silent = slog.New(slog.DiscardHandler)

func openRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Open(t.Context(), "queue", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}
