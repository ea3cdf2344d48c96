package app_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
)

// switchRounds is how often switches are turned; PREWARM_SWITCHES asks for more.
func switchRounds(t *testing.T, n int) int {
	t.Helper()
	if text := os.Getenv("PREWARM_SWITCHES"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return n
}

// threePods is a cluster of three processes that load a shop in pages of one row, with a log of every page.
func threePods(t *testing.T) (c *cluster, p *pod, run string) {
	t.Helper()
	c = newCluster(t, "page_rows: 1", "unit_rows: 300")
	seed(t, c.source, 1001, manyRows/4)
	p = c.serve()
	c.serve()
	c.serve()
	for _, statement := range []string{
		"CREATE TABLE page_log (unit INT, at_us BIGINT, pages BIGINT)",
		`CREATE TRIGGER log_pages AFTER UPDATE ON units FOR EACH ROW
		INSERT INTO page_log SELECT NEW.unit, NEW.updated_us, NEW.pages FROM DUAL WHERE NEW.pages > OLD.pages`,
	} {
		_, err := c.ledger.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	c.announce(ka(1001, time.Now().Add(time.Minute)))
	c.until(soon, "all pods at work", func() bool {
		return c.number("SELECT COUNT(DISTINCT owner) FROM units WHERE state = 'running'") == 3
	})
	run, _, _ = c.run(1001)
	return c, p, run
}

// settles waits until nothing is running, and says how long after a moment of the ledger's clock the last page was
// recorded, and how many pages a unit still made after it at most.
func (c *cluster) settles(since int) (took time.Duration, pages int) {
	c.t.Helper()
	c.until(soon, "no unit is running", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE state = 'running'") == 0 })
	last := c.number("SELECT COALESCE(MAX(at_us), 0) FROM page_log")
	pages = c.number("SELECT COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM page_log WHERE at_us > ? GROUP BY unit) q", since)
	return time.Duration(max(last-since, 0)) * time.Microsecond, pages
}

// atWork waits until slots of several pods are at work, from the start again if all was done.
func (c *cluster) atWork(p *pod, run string) {
	c.t.Helper()
	c.until(soon, "at work", func() bool {
		if _, state, _ := c.run(1001); state == "ready" {
			p.post(c.t, "/v1/runs/"+run+"/restart", nil)
		}
		return c.number("SELECT COUNT(DISTINCT owner) FROM units WHERE state = 'running'") > 1
	})
}

func (c *cluster) clock() int {
	return c.number("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)")
}

func TestPauseStopsThreePodsWithinASecondAndResumeGoesOn(t *testing.T) {
	t.Parallel()
	c, p, run := threePods(t)
	var times []time.Duration
	most := 0
	for i := range switchRounds(t, 9) {
		path := []string{"/v1", "/v1/shops/1001", "/v1/runs/" + run}[i%3]
		c.atWork(p, run)
		p.post(t, path+"/pause", map[string]string{"reason": "the test says so"})
		took, pages := c.settles(c.clock())
		times, most = append(times, took), max(most, pages)
		require.Less(t, took, time.Second)
		p.post(t, path+"/resume", nil)
	}
	slices.Sort(times)
	t.Logf("%d pauses: the last page was recorded %s after the answer at the median, %s at most; %d pages of a unit at most", len(times),
		times[len(times)/2], times[len(times)-1], most)
	c.becomes(failover, 1001, "ready")
	require.Equal(t, 1, c.number("SELECT MAX(attempts) FROM units"), "a pause is no attempt")
	requireWarm(t, c.cache, expect(t, c.source, 1001), c.ends())
}

func TestTasksStayWhileEverythingIsPaused(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "page_rows: 10", "unit_rows: 10")
	seed(t, c.source, 1001, 3000)
	p := c.inProcess()
	c.announce(ka(1001, time.Now().Add(time.Minute)))
	c.until(soon, "at work", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE state = 'done'") > 3 })
	p.post(t, "/v1/pause", map[string]string{"reason": "the database is in trouble"})
	c.until(soon, "no unit is running", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE state = 'running'") == 0 })
	waiting := c.number("SELECT COUNT(*) FROM units WHERE state = 'waiting'")
	require.Greater(t, waiting, 50)
	held := func() (task string) {
		active, err := c.inspector.ListActiveTasks("urgent")
		require.NoError(t, err)
		for _, one := range active {
			task = one.ID
		}
		return task
	}
	var first string
	c.until(soon, "a slot holds a task", func() bool { first = held(); return first != "" })
	c.until(failover, "it was put off, and another is held", func() bool { now := held(); return now != "" && now != first })
	require.Contains(t, p.get(t, "/metrics"), `prewarm_tasks_dropped_total{reason="paused"} 0`)
	numbers := c.number("SELECT SUM(task_seq) FROM units")
	p.post(t, "/v1/resume", nil)
	c.becomes(failover, 1001, "ready")
	require.Equal(t, numbers, c.number("SELECT SUM(task_seq) FROM units"), "units got new tasks")
	require.Equal(t, 1, c.number("SELECT MAX(attempts) FROM units"))
	requireWarm(t, c.cache, expect(t, c.source, 1001), c.ends())
}

func TestCancelStopsThreePodsWithinASecond(t *testing.T) {
	t.Parallel()
	c, p, run := threePods(t)
	var quiet []time.Duration
	for i := range switchRounds(t, 6) {
		c.atWork(p, run)
		p.post(t, []string{"/v1/cancel", "/v1/shops/1001/cancel", "/v1/runs/" + run + "/cancel"}[i%3], nil)
		answered, since := time.Now(), c.clock()
		_, state, _ := c.run(1001)
		require.Equal(t, "cancelled", state)
		took, _ := c.settles(since)
		require.Zero(t, took, "a page was recorded after the cancel was answered")
		// What is still being written when the ledger has let go is bounded by the page: the cache is quiet soon.
		before, last := calls(t, c.cache, "set"), answered
		c.until(soon, "the cache is quiet", func() bool {
			if now := calls(t, c.cache, "set"); now != before {
				before, last = now, time.Now()
			}
			return time.Since(last) > 300*time.Millisecond
		})
		require.Less(t, last.Sub(answered), time.Second)
		quiet = append(quiet, last.Sub(answered))
		p.post(t, "/v1/runs/"+run+"/restart", nil)
	}
	c.becomes(failover, 1001, "ready")
	requireWarm(t, c.cache, expect(t, c.source, 1001), c.ends())
	slices.Sort(quiet)
	t.Logf("%d cancels: the last write was seen %s after the answer at most", len(quiet), quiet[len(quiet)-1])
}

func (c *cluster) ends() time.Time {
	return time.UnixMicro(int64(c.number("SELECT ends_us FROM runs"))).UTC()
}

func TestReadyRunsStayWhenAShopIsCancelled(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 50)
	p := c.inProcess()
	b := warming(t, c)
	c.becomes(soon, 1001, "ready")
	next := ka(1001, b.ends().Add(4*time.Hour))
	next["broadcast_id"] = "b-2"
	p.post(t, "/v1/requests", request(next))
	done := p.post(t, "/v1/shops/1001/cancel", nil)
	require.EqualValues(t, 1, done["cancelled"])
	require.EqualValues(t, 1, done["ready"])
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM runs WHERE broadcast_id = 'b-1' AND state = 'ready'"))
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM runs WHERE broadcast_id = 'b-2' AND state = 'cancelled'"))
	done = p.post(t, "/v1/cancel", nil)
	require.EqualValues(t, 0, done["cancelled"])
	require.EqualValues(t, 1, done["ready"])
}

func TestCancellingATaskInAsynqmonCancelsItsRun(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "page_rows: 1")
	seed(t, c.source, 1001, manyRows)
	c.inProcess()
	warming(t, c)
	c.midway("", 50)
	var active []*asynq.TaskInfo
	c.until(soon, "an active task", func() (ok bool) {
		active, _ = c.inspector.ListActiveTasks("urgent")
		return len(active) > 0
	})
	require.NoError(t, c.inspector.CancelProcessing(active[0].ID))
	c.becomes(soon, 1001, "cancelled")
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE state IN ('waiting', 'running', 'failed')"))
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM events WHERE stage = 'cancelled' AND who = 'asynqmon'"))
	require.Zero(t, c.number("SELECT COUNT(*) FROM events WHERE stage = 'attempt_failed'"))
}

func TestAHungStatementCostsOneTimeoutAndNotTheEvening(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	c.sourceOption("statement_time: 2s")
	seed(t, c.source, 1001, manyRows)
	c.inProcess()
	warming(t, c)
	c.midway("", 500)
	conn, err := c.source.Conn(t.Context())
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "LOCK TABLES shop_users WRITE")
	require.NoError(t, err)
	c.until(soon, "the statement's limit", func() bool { return c.number("SELECT COUNT(*) FROM events WHERE stage = 'attempt_failed'") > 0 })
	_, err = conn.ExecContext(t.Context(), "UNLOCK TABLES")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	c.becomes(failover, 1001, "ready")
}

// sourceOption adds a setting to the source.
func (c *cluster) sourceOption(option string) {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	require.NoError(c.t, err)
	changed := strings.Replace(string(text), "}}\n", ", "+option+"}}\n", 1)
	require.NotEqual(c.t, string(text), changed)
	require.NoError(c.t, os.WriteFile(c.config, []byte(changed), 0o600))
}

func TestARunIsReadyInTimeAlthoughTheQueueWasFlushed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	c.inProcess()
	b := warming(t, c)
	c.midway("", 500)
	require.NoError(t, c.queue.FlushAll(t.Context()).Err())
	c.becomes(failover, 1001, "ready")
	c.requireWhole(b, redone)
	c.until(soon, "flag", func() bool { return c.queue.Exists(t.Context(), "prewarm:{1001}:ready:b-1").Val() == 1 })
	require.NoError(t, c.queue.FlushAll(t.Context()).Err())
	c.until(failover, "the flag again", func() bool { return c.queue.Exists(t.Context(), "prewarm:{1001}:ready:b-1").Val() == 1 })
}
