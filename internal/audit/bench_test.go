package audit_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// faultsIn injects one fault in so many keys, of each kind in turn, and answers what should be found.
func (p *place) faultsIn(b testing.TB, keys, every int) map[string]audit.Kind {
	b.Helper()
	want := map[string]audit.Kind{}
	for i := 0; i < keys/every; i++ {
		user := 3 * (i*every + i%every + 1)
		key := fmt.Sprintf("user:1:%d", user)
		var err error
		switch ctx := b.Context(); i % 4 {
		case 0:
			want[key], err = audit.Missing, p.redis.Del(ctx, key).Err()
		case 1:
			want[key], err = audit.Different, p.redis.SetArgs(ctx, key, "{}", setKeepTTL).Err()
		case 2:
			key = fmt.Sprintf("user:1:%d", user+1)
			want[key], err = audit.Extra, p.redis.Set(ctx, key, "{}", time.Hour).Err()
		case 3:
			want[key], err = audit.WrongExpiry, p.redis.Expire(ctx, key, time.Minute*20).Err()
		}
		require.NoError(b, err)
	}
	return want
}

// meter is what a stretch of work cost the servers.
type meter struct {
	at                time.Time
	rows, sent, cpu   float64
	redisIn, redisOut float64
}

func (p *place) meter(b testing.TB) meter {
	b.Helper()
	m := meter{at: time.Now()}
	status := func(name string) (v float64) {
		var ignored string
		require.NoError(b, p.db.QueryRowContext(b.Context(), "SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(&ignored, &v))
		return v
	}
	facts, err := redisconn.Info(b.Context(), p.redis)
	require.NoError(b, err)
	fact := func(name string) float64 { v, _ := strconv.ParseFloat(facts[name], 64); return v }
	m.rows, m.sent = status("Rows_read"), status("Bytes_sent")
	m.cpu = fact("used_cpu_user") + fact("used_cpu_sys")
	m.redisIn, m.redisOut = fact("total_net_input_bytes"), fact("total_net_output_bytes")
	return m
}

func (p *place) report(b *testing.B, what string, m meter) {
	b.Helper()
	n := p.meter(b)
	b.Logf("%-8s %6.1f s; database: %9.0f rows read, %6.0f MB sent; cache: %5.1f s of its time, %5.0f MB in, %5.0f MB out", what, n.at.Sub(m.at).Seconds(),
		n.rows-m.rows, (n.sent-m.sent)/1e6, n.cpu-m.cpu, (n.redisIn-m.redisIn)/1e6, (n.redisOut-m.redisOut)/1e6)
}

// BenchmarkFaults loads a shop, injects one fault in 100,000 keys, and has them found and repaired. PREWARM_AUDIT_KEYS asks for
// more keys than 200,000.
func BenchmarkFaults(b *testing.B) {
	keys := 200_000
	if text := os.Getenv("PREWARM_AUDIT_KEYS"); text != "" {
		keys, _ = strconv.Atoi(text)
	}
	for range b.N {
		p := newPlace(b, testenv.OwnRedis(b).URL, specs[:1])
		p.exec(b, fmt.Sprintf(`INSERT INTO users (shop_id, user_id, nick, level, updated_at)
			SELECT 1, 3 * seq, CONCAT('nickname of user ', seq, ' ', REPEAT('x', 60)), seq %% 9, '2026-11-01 10:00:00' FROM %s`, testenv.Numbers(1, keys)))
		m := p.meter(b)
		p.load(b, "1")
		p.report(b, "load", m)
		want := p.faultsIn(b, keys, 100_000)
		var found []audit.Finding
		a := p.auditor(&found)
		a.Repair, a.Settle = true, audit.DefaultSettle
		require.NoError(b, p.redis.ConfigResetStat(b.Context()).Err())
		m = p.meter(b)
		f := p.audit(b, a, "1")
		p.report(b, "audit", m)
		require.Equal(b, want, kinds(found))
		require.EqualValues(b, len(want), f.Repaired)
		stats, err := redisconn.Info(b.Context(), p.redis, "commandstats")
		require.NoError(b, err)
		b.Logf("%+v; of the time, %s reading, %s looking up; writes: set %.12s, unlink %.12s", f, a.Cost().Source, a.Cost().Cache, stats["cmdstat_set"], stats["cmdstat_unlink"])
		m = p.meter(b)
		p.load(b, "1")
		p.report(b, "again", m)
	}
}

// digest answers one hash of the values and expiries of all its keys.
var digest = redis.NewScript(`local all = {}
for i, key in ipairs(KEYS) do
  all[2 * i - 1], all[2 * i] = redis.call('GET', key) or '', redis.call('PEXPIRETIME', key)
end
return redis.sha1hex(table.concat(all, '\n'))`)

// BenchmarkLook compares two ways to look 500 values of 290 bytes up: fetched, and digested on the server. The server's time per
// key is what a live cache pays.
func BenchmarkLook(b *testing.B) {
	const n = 500
	p := newPlace(b, testenv.OwnRedis(b).URL, nil)
	keys := make([]string, n)
	pipe := p.redis.Pipeline()
	for i := range keys {
		keys[i] = fmt.Sprintf("user:1:%d", i)
		pipe.Set(b.Context(), keys[i], fmt.Sprintf("%0290d", i), time.Hour)
	}
	_, err := pipe.Exec(b.Context())
	require.NoError(b, err)
	for name, look := range map[string]func(context.Context) error{
		"fetched": func(ctx context.Context) error {
			pipe := p.redis.Pipeline()
			for _, key := range keys {
				pipe.Get(ctx, key)
				pipe.PExpireTime(ctx, key)
			}
			_, err := pipe.Exec(ctx)
			return err
		},
		"digested": func(ctx context.Context) error { return digest.Run(ctx, p.redis, keys).Err() },
	} {
		b.Run(name, func(b *testing.B) {
			m := p.meter(b)
			for b.Loop() {
				require.NoError(b, look(b.Context()))
			}
			now := p.meter(b)
			per := 1e9 / float64(b.N) / n
			b.ReportMetric((now.cpu-m.cpu)*per, "server-ns/key")
			b.ReportMetric((now.redisOut-m.redisOut+now.redisIn-m.redisIn)*per/1e9, "B/key")
		})
	}
}
