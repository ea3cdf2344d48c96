package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// BenchmarkWrite: pages of 500 rows of 290 bytes.
func BenchmarkWrite(b *testing.B) {
	client, err := redisconn.Open(b.Context(), "cache", config.Redis{URL: testenv.Redis(b).URL})
	require.NoError(b, err)
	defer client.Close()
	w, value, e := New(client), strings.Repeat("x", 290), Expiry{EndsAt: time.Now().Add(time.Hour), Jitter: time.Minute}
	var batch Batch
	const rows = 500
	b.ReportAllocs()
	page := 0
	for b.Loop() {
		batch.Reset()
		for i := range rows {
			batch.Begin(Set)
			batch.Buf = fmt.Appendf(batch.Buf, "user:1:%d", page%100*rows+i)
			batch.EndArg()
			batch.Buf = append(batch.Buf, value...)
			batch.EndArg()
			batch.End()
		}
		page++
		require.NoError(b, w.Write(b.Context(), &batch, e))
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
