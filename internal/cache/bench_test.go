package cache

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
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

// BenchmarkModes: pages of 500 rows of 12 columns, as objects and as hashes, on keys that are not there and on such as are.
func BenchmarkModes(b *testing.B) {
	client, err := redisconn.Open(b.Context(), "cache", config.Redis{URL: testenv.OwnRedis(b).URL})
	require.NoError(b, err)
	defer client.Close()
	w, e := New(client), Expiry{EndsAt: time.Now().Add(time.Hour), Jitter: time.Minute}
	const rows, pages = 500, 100
	for _, mode := range []struct {
		name string
		op   Op
	}{{"json/always", Set}, {"json/newer", SetNewer}, {"json/missing", SetMissing},
		{"hash/always", HSet}, {"hash/newer", HSetNewer}, {"hash/missing", HSetMissing}} {
		for _, there := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/there=%v", mode.name, there), func(b *testing.B) {
				batch := Batch{Version: dataset.Version{Column: "updated_at", Order: dataset.OrderTime}}
				b.ReportAllocs()
				before := processorTime(b, client)
				for page := 0; b.Loop(); page++ {
					if page%pages == 0 && (page == 0 || !there) {
						b.StopTimer()
						require.NoError(b, client.FlushAll(b.Context()).Err())
						b.StartTimer()
					}
					batch.Reset()
					for i := range rows {
						benchRow(&batch, mode.op, page%pages*rows+i)
					}
					require.NoError(b, w.Write(b.Context(), &batch, e))
				}
				b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
				b.ReportMetric((processorTime(b, client)-before)*1e6/float64(rows*b.N), "redis-µs/row")
			})
		}
	}
}

// processorTime is what the server has used, in seconds: what the modes cost it whatever else the machine does.
func processorTime(b *testing.B, client redis.UniversalClient) (sum float64) {
	b.Helper()
	info := client.InfoMap(b.Context(), "cpu")
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(info.Item("CPU", name), 64)
		require.NoError(b, err)
		sum += seconds
	}
	return sum
}

func benchRow(b *Batch, op Op, id int) {
	const version = "2026-01-02 03:04:05.000"
	end := func(text string) {
		b.Buf = append(b.Buf, text...)
		b.EndArg()
	}
	b.Begin(op)
	b.Buf = fmt.Appendf(b.Buf, "user:1:%d", id)
	b.EndArg()
	if op == SetNewer || op == HSetNewer {
		end(version)
	}
	if op == Set || op == SetNewer || op == SetMissing {
		b.Buf = append(b.Buf, `{"id":1`...)
		for range 11 {
			b.Buf = append(b.Buf, `,"column":"a value of it"`...)
		}
		end(`,"updated_at":"` + version + `"}`)
	} else {
		for i := range 11 {
			end("column 0123456789"[:8+i%9])
			end("a value of it")
		}
		end("updated_at")
		end(version)
	}
	b.End()
}
