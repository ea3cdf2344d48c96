package app_test

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/tasks"
)

const (
	manyRows  = 30000
	pageRows  = 20
	redone    = 4 * 2 * pageRows // of each of four slots two pages at most are sent and not recorded
	smallPage = "page_rows: 20"  // many pages make the work long enough to be interrupted
)

// warming starts the warming of a shop with many users, at once.
func warming(t *testing.T, c *cluster) broadcast {
	t.Helper()
	b := ka(1001, time.Now().Add(time.Minute))
	c.announce(b)
	return b
}

// requireWhole wants the run's rows all done, and right in the cache; at most that many keys were written twice.
func (c *cluster) requireWhole(b broadcast, twice int) {
	c.t.Helper()
	e := expect(c.t, c.source, 1001)
	requireWarm(c.t, c.cache, e, b.ends())
	require.Equal(c.t, e.keys(), dataKeys(c.t, c.cache))
	require.Equal(c.t, 1+3+2+len(e.texts)-2+len(e.hashes)-1, c.number("SELECT SUM(rows_done) FROM units"), "every row is counted once")
	extra := calls(c.t, c.cache, "set") - len(e.texts)
	require.LessOrEqual(c.t, extra, twice, "keys written more than once")
	c.t.Logf("%d keys written more than once", extra)
}

func TestAfterACrashTheOtherPodTakesOverFromTheCursor(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	dies := c.serve() // the first leads, so that its lock has to lapse too
	c.serve()
	b := warming(t, c)
	c.crash(dies)
	c.becomes(failover, 1001, "ready")
	c.requireWhole(b, redone)
	require.Positive(t, c.number("SELECT COUNT(*) FROM units WHERE attempts = 2"))
}

func TestAfterACrashOfTheOnlyPodANewOneGoesOnFromTheCursor(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	dies := c.serve()
	b := warming(t, c)
	c.crash(dies)
	c.serve()
	c.becomes(failover, 1001, "ready")
	c.requireWhole(b, redone)
}

// crash kills a pod that is in the middle of a unit.
func (c *cluster) crash(p *pod) {
	c.t.Helper()
	c.midway(p.id, 1000)
	p.kill(c.t)
	require.Positive(c.t, c.number("SELECT COUNT(*) FROM units WHERE dataset = 'users' AND state = 'running' AND owner = ?", p.id), "it died in the middle")
}

func TestAPodThatIsToldToStopHandsItsUnitsBackAtAPage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	stops := c.serve()
	c.serve()
	b := warming(t, c)
	c.midway(stops.id, 1000)
	c.stop(stops)
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE state = 'running' AND owner = ?", stops.id))
	require.Zero(t, c.number("SELECT COUNT(*) FROM pods WHERE pod = ?", stops.id))
	c.becomes(soon, 1001, "ready")
	require.Positive(t, c.number("SELECT COUNT(*) FROM units WHERE claim > 1"), "units were handed back")
	require.Equal(t, 1, c.number("SELECT MAX(attempts) FROM units"), "which is no attempt")
	c.requireWhole(b, 0)
}

func TestAPodThatWasFrozenAndThoughtDeadDoesNoHarmWhenItWakes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	frozen := c.serve()
	c.serve()
	b := warming(t, c)
	c.midway(frozen.id, 1000)
	require.NoError(t, frozen.cmd.Process.Signal(syscall.SIGSTOP))
	c.becomes(failover, 1001, "ready")
	original := c.cache.Get(t.Context(), "user:1001:3").Val()
	require.NoError(t, c.cache.Set(t.Context(), "user:1001:3", "mine", redis.KeepTTL).Err())
	cached, units := snapshot(t, c.cache), c.units()
	require.NoError(t, frozen.cmd.Process.Signal(syscall.SIGCONT))
	c.until(soon, "it lives again", func() bool {
		return c.number("SELECT COUNT(*) FROM pods p WHERE pod = ? AND beat_us > (SELECT ready_us FROM runs)", frozen.id) == 1
	})
	c.stop(frozen) // all that it had in hand has ended by then
	late := false  // it was frozen between its last look and the write of a page, which only its stamp gives away
	changed := 0
	for key, was := range snapshot(t, c.cache) {
		switch mark := strings.Contains(key, ":mark:"); {
		case cached[key] == was:
		case mark:
			late = true
		default:
			changed++
		}
	}
	require.NoError(t, c.cache.Set(t.Context(), "user:1001:3", original, redis.KeepTTL).Err())
	if late {
		c.until(failover, "the stamp is seen", func() bool { return c.number("SELECT COUNT(*) FROM events WHERE stage = 'cache_lost'") > 0 })
		c.becomes(failover, 1001, "ready")
		requireWarm(t, c.cache, expect(t, c.source, 1001), b.ends())
		return
	}
	require.Equal(t, units, c.units())
	require.Zero(t, changed, "keys written after waking")
	c.requireWhole(b, redone+2)
}

// stop tells a pod to stop and wants it to end well.
func (c *cluster) stop(p *pod) {
	c.t.Helper()
	require.NoError(c.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-p.end:
		require.NoError(c.t, err, "it exits with 0")
	case <-time.After(10 * time.Second):
		c.t.Fatal("it does not stop")
	}
}

func TestAPodThatIsStoppedInTheMiddleIsFollowedByANewOne(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	p := c.inProcess()
	b := warming(t, c)
	for range 2 {
		c.midway(p.id, 500)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, p.app.Stop(ctx))
		require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE state = 'running'"))
		p = c.inProcess()
	}
	c.becomes(soon, 1001, "ready")
	require.Equal(t, 1, c.number("SELECT MAX(attempts) FROM units"))
	c.requireWhole(b, 0)
}

// scheduled is how many units of a shop have their newest task in the queue; older ones may be there too, and are dropped when
// they are due.
func (c *cluster) scheduled(shop int) (n int) {
	c.t.Helper()
	for _, task := range c.tasks(c.inspector.ListScheduledTasks, "warm") {
		p, err := tasks.ParseLoad(task.Payload)
		require.NoError(c.t, err)
		if p.Shop == strconv.Itoa(shop) {
			seq, err := tasks.SeqOf(task.ID)
			require.NoError(c.t, err)
			n += c.number("SELECT COUNT(*) FROM units WHERE run_id = ? AND epoch = ? AND unit = ? AND task_seq = ?", p.Run, p.Epoch, p.Unit, seq)
		}
	}
	return n
}

func TestAQueueThatLostEverythingIsRefilledFromTheLedger(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	seed(t, c.source, 1002, 100)
	c.inProcess()
	c.announce(ka(1002, time.Now().Add(24*time.Hour)))
	c.until(soon, "scheduled", func() bool { return len(c.tasks(c.inspector.ListScheduledTasks, "warm")) == 5 })
	b := warming(t, c)
	c.midway("", 1000)
	require.NoError(t, c.queue.FlushAll(t.Context()).Err())
	c.becomes(soon, 1001, "ready")
	c.requireWhole(b, redone)
	c.until(soon, "tomorrow's tasks are back", func() bool { return c.scheduled(1002) == 5 })
	c.until(soon, "flag", func() bool { return c.queue.Exists(t.Context(), "prewarm:{1001}:ready:b-1").Val() == 1 })
}
