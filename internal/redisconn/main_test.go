package redisconn

import (
	"testing"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const secret = "s3cr3t-hunter2"

func open(t *testing.T, cfg config.Redis) redis.UniversalClient {
	t.Helper()
	client, err := Open(t.Context(), "queue", cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// refuse opens what must not open, and returns the error's text.
func refuse(t *testing.T, cfg config.Redis) string {
	t.Helper()
	client, err := Open(t.Context(), "queue", cfg)
	require.Error(t, err)
	require.Nil(t, client)
	require.NotContains(t, err.Error(), secret)
	return err.Error()
}
