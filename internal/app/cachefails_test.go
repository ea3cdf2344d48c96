package app_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACacheWithoutMemoryFailsTheRunAndRetryGoesOnFromTheCursor(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	p := c.inProcess()
	b := warming(t, c)
	c.midway("", 1000)
	require.NoError(t, c.cache.ConfigSet(t.Context(), "maxmemory", "1").Err())
	c.becomes(soon, 1001, "failed")
	run, _, why := c.run(1001)
	require.Regexp(t, "dataset (shop|staff|users|products|marketing): .*OOM.*raise its maxmemory", why)
	require.NotEmpty(t, c.tasks(c.inspector.ListArchivedTasks, "urgent"))
	c.until(soon, "told", func() bool { return strings.Contains(p.get(t, "/v1/alerts"), `"run_failed"`) })
	c.until(soon, "lease released", func() bool { return c.queue.Exists(t.Context(), "prewarm:{1001}:lease").Val() == 0 })
	require.Zero(t, c.queue.Exists(t.Context(), "prewarm:{1001}:ready:b-1").Val())

	require.NoError(t, c.cache.ConfigSet(t.Context(), "maxmemory", "0").Err())
	p.post(t, "/v1/runs/"+run+"/retry", nil)
	c.becomes(failover, 1001, "ready")
	c.requireWhole(b, redone)
	c.until(soon, "flag", func() bool { return c.queue.Exists(t.Context(), "prewarm:{1001}:ready:b-1").Val() == 1 })
}

func TestACacheThatIsReadOnlyForAWhileIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage, "retry: {attempts: 20, backoff: {first: 500ms, max: 1s}}")
	seed(t, c.source, 1001, manyRows)
	c.inProcess()
	b := warming(t, c)
	c.midway("", 1000)
	// A master that is not there: what is in the cache stays, and no write is taken.
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(nobody.Addr().String())
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	require.NoError(t, c.cache.ReplicaOf(t.Context(), host, port).Err())
	c.until(soon, "a failed attempt", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE last_error LIKE '%READONLY%'") > 0 })
	require.NoError(t, c.cache.ReplicaOf(t.Context(), "NO", "ONE").Err())
	c.becomes(failover, 1001, "ready")
	c.requireWhole(b, redone)
}
