package cache

import (
	"context"
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
	w, value, e := New(client), strings.Repeat("x", 290), Expiry{Until: time.Now().Add(time.Hour), Jitter: time.Minute}
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
	w, e := New(client), Expiry{Until: time.Now().Add(time.Hour), Jitter: time.Minute}
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

// BenchmarkScan is what a key costs that is looked at and not wanted, and BenchmarkExtend one that gets a new expiry.
func BenchmarkScan(b *testing.B) {
	client, _ := populated(b)
	before := processor(b, client)
	proceed := func(context.Context) error { return nil }
	for b.Loop() {
		require.NoError(b, Scan(b.Context(), client, "nobody:", proceed, func(context.Context, []string) error { return nil }))
	}
	perKey(b, client, before)
}

func BenchmarkExtend(b *testing.B) {
	client, e := populated(b)
	before := processor(b, client)
	w := New(client)
	x := Extension{Prefix: "key:", Own: func(string) bool { return true }, Expiry: e, Proceed: func(context.Context) error { return nil }, Moved: func(int) {}}
	for b.Loop() {
		all, err := w.Extend(b.Context(), x)
		require.NoError(b, err)
		require.GreaterOrEqual(b, all.Moved, int64(benchKeys))
	}
	perKey(b, client, before)
}

const benchKeys = 200_000

func populated(b *testing.B) (redis.UniversalClient, Expiry) {
	b.Helper()
	client, err := redisconn.Open(b.Context(), "cache", config.Redis{URL: testenv.OwnRedis(b).URL})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, client.Close()) })
	end := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	e := Expiry{Until: end, Former: []time.Time{end}}
	require.NoError(b, client.Eval(b.Context(), `for i = 1, ARGV[1] do redis.call('SET', 'key:' .. i, 'v', 'PXAT', ARGV[2]) end return 1`, nil, benchKeys, e.millis(nil)).Err())
	return client, e
}

// perKey reports the time of a key, and that of the server's processor.
func perKey(b *testing.B, client redis.UniversalClient, before float64) {
	b.Helper()
	keys := float64(b.N) * benchKeys
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/keys, "ns/key")
	b.ReportMetric((processor(b, client)-before)*1e9/keys, "server-ns/key")
}

// processor is how many seconds of processor time the server has had.
func processor(b *testing.B, client redis.UniversalClient) (sum float64) {
	b.Helper()
	facts, err := redisconn.Info(b.Context(), client)
	require.NoError(b, err)
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		n, err := strconv.ParseFloat(facts[name], 64)
		require.NoError(b, err)
		sum += n
	}
	return sum
}
