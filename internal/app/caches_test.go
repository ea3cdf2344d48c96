package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// another gives the cluster a second cache, called big, and rules of placement.
func (c *cluster) another(placement string, args ...string) (big *redis.Client) {
	c.t.Helper()
	server, cluster := testenv.OwnRedis(c.t, args...), ""
	big = openRedis(c.t, server.URL)
	if len(args) > 0 {
		cluster = ", cluster: true"
		require.NoError(c.t, big.ClusterAddSlotsRange(c.t.Context(), 0, 16383).Err())
		c.until(soon, "a cluster", func() bool {
			return strings.Contains(big.ClusterInfo(c.t.Context()).Val(), "cluster_state:ok")
		})
	}
	c.rewrite("ledger:", fmt.Sprintf("caches: {big: {url: %q%s, role: key accounts, size: 64GiB}}\n%s\nledger:", strings.TrimSuffix(server.URL, "/0"), cluster, placement))
	return big
}

func clustered(t *testing.T) []string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return []string{"--cluster-enabled", "yes", "--cluster-port", port}
}

// without is what is expected but for some keys; only is those keys.
func (e expected) without(keys ...string) (rest, only expected) {
	rest, only = expected{map[string]any{}, map[string]map[string]string{}}, expected{map[string]any{}, map[string]map[string]string{}}
	named := map[string]bool{}
	for _, key := range keys {
		named[key] = true
	}
	for key, v := range e.texts {
		if named[key] {
			only.texts[key] = v
		} else {
			rest.texts[key] = v
		}
	}
	for key, v := range e.hashes {
		if named[key] {
			only.hashes[key] = v
		} else {
			rest.hashes[key] = v
		}
	}
	return rest, only
}

func TestWhatIsPlacedByRulesIsWarmedKeptRightAndAuditedThere(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	big := c.another(`placement: [{shops: ["1001"], cache: big}, {datasets: [marketing], cache: big}]`, clustered(t)...)
	seed(t, c.source, 1001, 500)
	seed(t, c.source, 1002, 300)
	p := c.inProcess()
	b1, b2 := ka(1001, time.Now().Add(time.Hour)), ka(1002, time.Now().Add(time.Hour))
	c.announce(b1, b2)
	c.becomes(soon, 1001, "ready")
	c.becomes(soon, 1002, "ready")
	right := func() {
		t.Helper()
		key := expect(t, c.source, 1001)
		rest, marketing := expect(t, c.source, 1002).without("shop:1002:marketing")
		requireWarm(t, big, key, b1.ends())
		requireWarm(t, big, marketing, b2.ends())
		requireWarm(t, c.cache, rest, b2.ends())
		require.Equal(t, key.keys()+1, dataKeys(t, big), "nothing else is there")
		require.Equal(t, rest.keys(), dataKeys(t, c.cache), "nothing else is there")
	}
	right()
	require.Equal(t, 1, c.number("SELECT COUNT(DISTINCT cache_name) FROM units u JOIN runs r ON r.run_id = u.run_id WHERE r.shop_id = '1001' AND cache_name = 'big'"))
	c.until(soon, "flag", func() bool { return c.queue.Exists(t.Context(), "prewarm:{1002}:ready:b-1").Val() == 1 })
	var flag struct{ Caches map[string]string }
	require.NoError(t, json.Unmarshal([]byte(c.queue.Get(t.Context(), "prewarm:{1002}:ready:b-1").Val()), &flag))
	require.Equal(t, map[string]string{"shop": "main", "staff": "main", "users": "main", "products": "main", "marketing": "big"}, flag.Caches)

	exec := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			_, err := c.source.ExecContext(t.Context(), s)
			require.NoError(t, err)
		}
	}
	exec("UPDATE shop_users SET nickname = 'Eve' WHERE shop_id = 1001 AND user_id = 3", "DELETE FROM shop_users WHERE shop_id = 1001 AND user_id = 6",
		"UPDATE shop_users SET nickname = 'Eve' WHERE shop_id = 1002 AND user_id = 3", "DELETE FROM marketing WHERE id = 1002001")
	p.post(t, "/v1/changes", []any{
		map[string]any{"dataset": "users", "shop": "1001", "key": []string{"3"}}, map[string]any{"dataset": "users", "shop": "1001", "key": []string{"6"}},
		map[string]any{"dataset": "users", "shop": "1002", "key": []string{"3"}}, map[string]any{"dataset": "marketing", "shop": "1002"},
	})
	c.until(soon, "handled", func() bool { return c.number("SELECT COUNT(*) FROM pending") == 0 })
	right()

	b1 = ka(1001, time.Now().Add(2*time.Hour))
	require.Equal(t, "rescheduled", p.post(t, "/v1/requests", request(b1))["outcomes"].([]any)[0].(map[string]any)["outcome"])
	c.until(failover, "touched", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE state <> 'done' OR touch = 1") == 0 })
	right()

	require.NoError(t, big.Del(t.Context(), "user:1001:9").Err())
	require.NoError(t, big.Set(t.Context(), "user:1001:1", "{}", time.Hour).Err())
	require.NoError(t, c.cache.Set(t.Context(), "user:1002:1", "{}", time.Hour).Err())
	got := c.audited(p, map[string]any{"repair": true})
	require.Equal(t, "passed", got["state"])
	counts := func(cache string) []any {
		n := got["caches"].(map[string]any)[cache].(map[string]any)
		return []any{n["keys"], n["missing"], n["extra"], n["repaired"]}
	}
	all, rest := expect(t, c.source, 1001).keys()+1, expect(t, c.source, 1002).keys()-1
	require.Equal(t, []any{float64(all), 1., 1., 2.}, counts("big"))
	require.Equal(t, "key accounts", got["caches"].(map[string]any)["big"].(map[string]any)["role"])
	require.Equal(t, []any{float64(rest), 0., 1., 1.}, counts("main"))
	right()
	metrics := p.get(t, "/metrics")
	require.Contains(t, metrics, `prewarm_cache_rows_total{cache="big"}`)
	require.Contains(t, metrics, `caches.big`, "its signals are watched")
}

func TestOnlyWhatACacheHasLostIsLoadedAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	big := c.another(`placement: [{shops: ["1001"], datasets: [users, products], cache: big}]`)
	seed(t, c.source, 1001, 500)
	seed(t, c.source, 1002, 300)
	c.inProcess()
	b := ka(1001, time.Now().Add(time.Hour))
	c.announce(b, ka(1002, time.Now().Add(time.Hour)))
	c.becomes(soon, 1001, "ready")
	c.becomes(soon, 1002, "ready")
	written := calls(t, c.cache, "set")
	require.NoError(t, big.FlushAll(t.Context()).Err())
	c.until(failover, "it is seen", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE claim > 1") > 0 })
	c.becomes(failover, 1001, "ready")
	e := expect(t, c.source, 1001)
	there, _ := e.without("shop:1001", "shop:1001:staff", "shop:1001:marketing")
	requireWarm(t, big, there, b.ends())
	require.Equal(t, written, calls(t, c.cache, "set"), "nothing was written to the other")
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE claim > 1 AND cache_name = 'main'"))
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE claim = 1 AND cache_name = 'big'"))
}

func TestACacheThatIsFlushedInTheMiddleIsLoadedAnewAndNoOther(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	big := c.another(`placement: [{datasets: [users], cache: big}]`)
	seed(t, c.source, 1001, manyRows)
	c.inProcess()
	b := warming(t, c)
	c.midway("", 1000)
	require.NoError(t, big.FlushAll(t.Context()).Err())
	c.becomes(failover, 1001, "ready")
	c.until(failover, "all is there", func() bool {
		_, state, _ := c.run(1001)
		return state == "ready" && c.number("SELECT COUNT(*) FROM units WHERE dataset = 'users'") == c.number("SELECT COUNT(*) FROM units WHERE state = 'done' AND dataset = 'users'") &&
			dataKeys(t, big) == manyRows-manyRows/50
	})
	var small []string
	e := expect(t, c.source, 1001)
	for key := range e.texts {
		if !strings.HasPrefix(key, "user:") {
			small = append(small, key)
		}
	}
	for key := range e.hashes {
		small = append(small, key)
	}
	users, rest := e.without(small...)
	requireWarm(t, big, users, b.ends())
	requireWarm(t, c.cache, rest, b.ends())
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE claim > 1 AND cache_name = 'main'"))
}

func TestAUnitGoesWhereItWasPlacedUntilItsRunIsPlannedAnew(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage, "retry: {attempts: 1}")
	const rule = `placement: [{datasets: [users], cache: big}]`
	big := c.another(rule)
	seed(t, c.source, 1001, manyRows)
	restarted := func(old, now string) *pod {
		t.Helper()
		c.rewrite(old, now)
		return c.inProcess()
	}
	stop := func(p *pod) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		require.NoError(t, p.app.Stop(ctx))
	}
	p := c.inProcess()
	warming(t, c)
	c.midway("", 1000)
	stop(p)
	require.Positive(t, c.number("SELECT COUNT(*) FROM units WHERE state = 'waiting' AND cache_name = 'big'"))
	p = restarted(rule, "placement: []")
	c.becomes(failover, 1001, "ready")
	require.Equal(t, manyRows-manyRows/50, dataKeys(t, big))
	require.Zero(t, c.cache.Exists(t.Context(), "user:1001:3").Val())

	stop(p)
	c.rewrite("placement: []", "")
	p = restarted("caches: {big:", "tracing: {} # {big:")
	require.NoError(t, c.cache.FlushAll(t.Context()).Err()) // so that something is to be done
	moved := ka(1001, time.Now().Add(2*time.Hour))
	p.post(t, "/v1/requests", request(moved))
	c.until(failover, "refused", func() bool {
		return c.number("SELECT COUNT(*) FROM units WHERE state = 'failed' AND last_error LIKE 'cache big is not in this pod%which has main;%prewarm restart%'") > 0
	})
	run, _, _ := c.run(1001)
	c.becomes(failover, 1001, "failed")
	p.post(t, "/v1/runs/"+run+"/restart", nil)
	c.becomes(failover, 1001, "ready")
	requireWarm(t, c.cache, expect(t, c.source, 1001), moved.ends())
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE epoch = 2 AND cache_name <> 'main'"))
}
