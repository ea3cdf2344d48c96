package cache

import (
	"strings"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// later is an expiry that is not over when the test ends.
func later() Expiry {
	return Expiry{Until: time.Now().Add(90 * time.Minute).Truncate(time.Second), Jitter: 10 * time.Minute}
}

func open(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	return openWith(t, config.Redis{URL: url})
}

func openWith(t *testing.T, cfg config.Redis) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Open(t.Context(), "cache", cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// put adds a command; an argument that begins with "-" is a field to drop.
func put(b *Batch, op Op, args ...string) {
	b.Begin(op)
	for _, arg := range args {
		if field, drop := strings.CutPrefix(arg, "-"); drop {
			b.Buf = append(b.Buf, field...)
			b.EndDrop()
			continue
		}
		b.Buf = append(b.Buf, arg...)
		b.EndArg()
	}
	b.End()
}

func requireExpiry(t *testing.T, client redis.UniversalClient, e Expiry, key string) {
	t.Helper()
	at, err := client.PExpireTime(t.Context(), key).Result()
	require.NoError(t, err)
	require.Equal(t, e.At([]byte(key)).UnixMilli(), at.Milliseconds(), key)
}
