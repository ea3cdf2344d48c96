package app_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/docs"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// documented is the text of the blocks of a kind on the page about rights.
func documented(t *testing.T, kind string) (blocks []string) {
	t.Helper()
	for _, p := range docs.Pages() {
		if p.Name == "grants" {
			for _, m := range regexp.MustCompile("(?ms)^```"+kind+"\n(.*?)^```").FindAllStringSubmatch(p.Text, -1) {
				blocks = append(blocks, m[1])
			}
		}
	}
	require.NotEmpty(t, blocks)
	return blocks
}

// rights starts servers whose users have what the page about rights says, and no others; the pods use these users, and the
// test its own.
func rights(t *testing.T) *cluster {
	t.Helper()
	server := testenv.BinlogMySQL(t)
	root := openMySQL(t, server.DSN+"?multiStatements=true")
	own := map[bool]string{true: "sql mariadb", false: "sql mysql"}[server.MariaDB()]
	for _, text := range slices.Concat([]string{"CREATE DATABASE shop CHARACTER SET utf8mb4"}, documented(t, "sql"), documented(t, own)) {
		_, err := root.ExecContext(t.Context(), text)
		require.NoError(t, err, text)
	}
	at := func(user, schema string) string { return fmt.Sprintf("%s@tcp(%s)/%s", user, server.Addr, schema) }
	c := &cluster{t: t, queueServer: testenv.OwnRedis(t), cacheServer: testenv.OwnRedis(t)}
	c.queue, c.cache = openRedis(t, c.queueServer.URL), openRedis(t, c.cacheServer.URL)
	c.ledger, c.source = openMySQL(t, at("root", "prewarm")), openMySQL(t, at("root", "shop"))
	for _, table := range schema {
		_, err := c.source.ExecContext(t.Context(), table)
		require.NoError(t, err)
	}
	c.client, c.inspector = asynq.NewClientFromRedisClient(c.queue), asynq.NewInspectorFromRedisClient(c.queue)
	acls := documented(t, "acl")
	c.queueServer.URL = withUser(t, c.queue, c.queueServer.URL, acls[0])
	c.cacheServer.URL = withUser(t, c.cache, c.cacheServer.URL, acls[1])
	c.config = c.write(at("prewarm:change-me", "prewarm"), at("prewarm_reader:change-me-too", "shop"), smallPage)
	c.configure("datasets:\n", "feed: {binlog: {}}\ndatasets:\n")
	replica := testenv.ReplicaMySQL(t, server, 2)
	c.configure("/shop\"}}\n", fmt.Sprintf("/shop\", read_from: replica, replicas: [\"prewarm_replica:change-me-three@tcp(%s)/shop\"]}}\n", replica.Addr))
	return c
}

// withUser makes the user that a line of an ACL file describes, and answers the URL to log in with.
func withUser(t *testing.T, db *redis.Client, base, line string) string {
	t.Helper()
	words := strings.Fields(line)
	args := []any{"acl", "setuser"}
	for _, w := range words[1:] {
		args = append(args, w)
	}
	require.NoError(t, db.Do(t.Context(), args...).Err())
	u, err := url.Parse(base)
	require.NoError(t, err)
	u.User = url.UserPassword(words[1], "change-me")
	return u.String()
}

func TestWithTheDocumentedRightsAndNoOthersEverythingWorks(t *testing.T) {
	t.Parallel()
	c := rights(t)
	seed(t, c.source, 1001, 2000)
	seed(t, c.source, 1002, 2000)
	seed(t, c.source, 1003, 300)
	first, second := c.serve(), c.serve()
	c.reads(first, "main/1", 1)
	c.reads(second, "main/1", 1)
	starts := time.Now().Add(20 * time.Minute)
	c.announce(ka(1001, starts), ka(1002, starts))
	c.becomes(failover, 1001, "ready")
	c.becomes(failover, 1002, "ready")
	requireWarm(t, c.cache, expect(t, c.source, 1001), starts.UTC().Truncate(time.Second).Add(2*time.Hour))
	require.Positive(t, first.metric(t, pagesAt("main/1"))+second.metric(t, pagesAt("main/1")))
	flag := "prewarm:{1001}:ready:b-1"
	c.until(soon, flag, func() bool { return c.queue.Exists(t.Context(), flag).Val() == 1 })

	c.change("DELETE FROM shop_users WHERE shop_id = 1001 AND user_id = 6")
	c.until(soon, "gone", func() bool { return c.cache.Exists(t.Context(), "user:1001:6").Val() == 0 })

	ctx := t.Context()
	require.NoError(t, c.cache.Del(ctx, "user:1001:3").Err())
	require.NoError(t, c.cache.Set(ctx, "user:1001:1", "{}", time.Hour).Err())
	require.NoError(t, c.cache.Set(ctx, "user:1001:6", "{}", time.Hour).Err())
	require.NoError(t, c.cache.Persist(ctx, "product:1001:100100001").Err())
	got := c.audited(first, map[string]any{"shop_id": "1001", "repair": true})
	require.Equal(t, "passed", got["state"], "%v", got)
	requireWarm(t, c.cache, expect(t, c.source, 1001), starts.UTC().Truncate(time.Second).Add(2*time.Hour))
	c.acts(first, second, starts)
	c.looks(first)
	second.kill(t)
	require.NoError(t, c.cache.FlushAll(t.Context()).Err())
	id, _, _ := c.run(1001)
	c.until(failover, "loaded again", func() bool {
		return c.number("SELECT COUNT(*) FROM events WHERE run_id = ? AND stage = 'cache_lost'", id) > 0 && c.queue.Exists(t.Context(), flag).Val() == 1
	})
	require.NotContains(t, first.log.String(), "denied")
	for name, db := range map[string]*redis.Client{"queue": c.queue, "cache": c.cache} {
		refused, err := db.ACLLog(t.Context(), 100).Result()
		require.NoError(t, err)
		for _, entry := range refused {
			require.Fail(t, "refused", "%s: %s %s %s", name, entry.Reason, entry.Context, entry.Object)
		}
	}
}

// acts does what operators do.
func (c *cluster) acts(first, second *pod, starts time.Time) {
	c.t.Helper()
	t := c.t
	later := ka(1003, starts.Add(10*time.Hour))
	second.post(t, "/v1/requests", request(later))
	c.becomes(soon, 1003, "planned")
	second.post(t, "/v1/plan", request(later))
	id, _, _ := c.run(1003)
	for _, path := range []string{"/v1/runs/" + id + "/pause", "/v1/runs/" + id + "/resume", "/v1/pause", "/v1/resume", "/v1/runs/" + id + "/cancel",
		"/v1/runs/" + id + "/restart"} {
		first.post(t, path, map[string]string{"reason": "rights"})
	}
	c.becomes(failover, 1003, "ready") // who restarts by hand wants it now
	moved := ka(1001, starts.Add(time.Hour))
	first.post(t, "/v1/requests", request(moved))
	first.post(t, "/v1/shops/1003/warm", map[string]string{})
}

// looks reads what people look at, asynqmon's own pages among it.
func (c *cluster) looks(p *pod) {
	c.t.Helper()
	for _, path := range []string{"/readyz", "/", "/v1/width", "/v1/pods", "/v1/runs", "/v1/alerts", "/v1/switches", "/v1/requests", "/asynqmon/api/queues",
		"/asynqmon/api/servers", "/asynqmon/api/redis_info", "/asynqmon/api/queues/warm/completed_tasks", "/asynqmon/api/queues/urgent/completed_tasks",
		"/asynqmon/api/queues/warm/scheduled_tasks", "/asynqmon/api/queues/intake"} {
		p.get(c.t, path)
	}
	text := p.get(c.t, "/metrics")
	require.Contains(c.t, text, `prewarm_scrape_failed{part="ledger"} 0`)
	require.Contains(c.t, text, `prewarm_scrape_failed{part="queue"} 0`)
}

func TestADocumentedUserMayNotDoMore(t *testing.T) {
	t.Parallel()
	c := rights(t)
	for _, u := range []string{c.queueServer.URL, c.cacheServer.URL} {
		db := openRedis(t, u)
		for _, args := range [][]any{{"get", "other"}, {"config", "get", "*"}, {"flushdb"}, {"keys", "*"}, {"acl", "list"}, {"script", "flush"}} {
			require.ErrorContains(t, db.Do(t.Context(), args...).Err(), "NOPERM", "%v", args)
		}
	}
}
