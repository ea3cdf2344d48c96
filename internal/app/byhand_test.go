package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/queue"
)

// settled waits until a task has been worked on, and wants it in a state.
func (c *cluster) settled(queue, id string, state asynq.TaskState) {
	c.t.Helper()
	var info *asynq.TaskInfo
	c.until(soon, "task "+id+" is "+state.String(), func() bool {
		var err error
		info, err = c.inspector.GetTaskInfo(queue, id)
		return err == nil && info.State == state
	})
}

// units is what the ledger says of all units, without the time of the last change.
func (c *cluster) units() map[string]string {
	c.t.Helper()
	rows, err := c.ledger.QueryContext(c.t.Context(), `SELECT CONCAT_WS('.', run_id, epoch, unit),
		CONCAT_WS(' ', state, key_cursor, rows_done, pages, attempts, claim, owner, task_seq, touch, last_error, updated_us) FROM units`)
	require.NoError(c.t, err)
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var id, text string
		require.NoError(c.t, rows.Scan(&id, &text))
		all[id] = text
	}
	require.NoError(c.t, rows.Err())
	return all
}

func TestATaskMayBeRunByHandAtAnyTime(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 200)
	c.inProcess()
	b := ka(1001, time.Now().Add(24*time.Hour))
	c.announce(b)
	c.until(soon, "scheduled", func() bool { return len(c.tasks(c.inspector.ListScheduledTasks, "warm")) == 5 })
	tasks := c.tasks(c.inspector.ListScheduledTasks, "warm")

	early := tasks[0].ID
	require.NoError(t, c.inspector.RunTask("warm", early))
	c.settled("warm", early, asynq.TaskStateCompleted)
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM units WHERE state = 'done'"), "a scheduled task runs early")

	archived := tasks[1].ID
	require.NoError(t, c.inspector.ArchiveTask("warm", archived))
	require.NoError(t, c.inspector.RunTask("warm", archived))
	c.settled("warm", archived, asynq.TaskStateCompleted)
	_, err := c.inspector.RunAllScheduledTasks("warm")
	require.NoError(t, err)
	c.becomes(soon, 1001, "ready")
	requireWarm(t, c.cache, expect(t, c.source, 1001), b.ends())

	c.until(soon, "all completed", func() bool { return len(c.tasks(c.inspector.ListCompletedTasks, "warm")) >= 5 })
	cached, units := snapshot(t, c.cache), c.units()
	for range 2 {
		for _, task := range c.tasks(c.inspector.ListCompletedTasks, "warm") {
			require.NoError(t, c.inspector.RunTask("warm", task.ID))
			c.settled("warm", task.ID, asynq.TaskStateCompleted)
		}
	}
	require.Equal(t, units, c.units(), "a completed task changes nothing in the ledger")
	require.True(t, maps.Equal(cached, snapshot(t, c.cache)), "nor in the cache")
}

func TestMadeUpTasksDoNoHarm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 200)
	p := c.inProcess()
	b := ka(1001, time.Now().Add(time.Minute))
	c.announce(b)
	c.becomes(soon, 1001, "ready")
	run, _, _ := c.run(1001)
	p.post(t, "/v1/runs/"+run+"/restart", nil)
	c.until(soon, "ready again", func() bool { return c.number("SELECT COUNT(*) FROM runs WHERE state = 'ready' AND epoch = 2") == 1 })
	c.until(soon, "all completed", func() bool { return len(c.tasks(c.inspector.ListCompletedTasks, "urgent")) == 10 })
	cached, units := snapshot(t, c.cache), c.units()

	for i, made := range []struct {
		queue, kind, payload, id string
		want                     asynq.TaskState
	}{
		{"intake", "warm:request", `{"broadcasts": 7}`, "", asynq.TaskStateArchived},
		{"intake", "warm:request", "\x00\xff", "", asynq.TaskStateArchived},
		{"intake", "warm:plan", `{}`, "", asynq.TaskStateArchived},
		{"intake", "nonsense", `{}`, "", asynq.TaskStateArchived},
		{"warm", "load:users", `garbage`, "", asynq.TaskStateArchived},
		{"urgent", "load:users", `{"run": "x", "unit": -1, "epoch": 1}`, "", asynq.TaskStateArchived},
		{"urgent", "mail:send", `{}`, "", asynq.TaskStateArchived},
		{"urgent", "load:users", fmt.Sprintf(`{"run": %q, "unit": 3, "epoch": 2}`, run), "of-nobody", asynq.TaskStateArchived},
		{"urgent", "load:users", fmt.Sprintf(`{"run": %q, "unit": 3, "epoch": 1}`, run), "1.x.1.00003.0", asynq.TaskStateCompleted},
		{"urgent", "load:users", fmt.Sprintf(`{"run": %q, "unit": 99, "epoch": 2}`, run), "1.x.2.00099.0", asynq.TaskStateCompleted},
		{"warm", "load:users", `{"run": "00000000000000000000000000000000", "unit": 0, "epoch": 1}`, "1.y.1.00000.0", asynq.TaskStateCompleted},
		{"intake", "warm:plan", fmt.Sprintf(`{"run": %q, "epoch": 1}`, run), "", asynq.TaskStateCompleted},
		{"intake", "warm:plan", `{"run": "00000000000000000000000000000000", "epoch": 1}`, "", asynq.TaskStateCompleted},
	} {
		if made.id == "" {
			made.id = fmt.Sprintf("made.up.%d", i)
		}
		_, err := c.client.EnqueueContext(t.Context(), asynq.NewTask(made.kind, []byte(made.payload)), asynq.Queue(made.queue),
			asynq.TaskID(made.id), asynq.Retention(time.Hour))
		require.NoError(t, err)
		c.settled(made.queue, made.id, made.want)
	}
	require.Equal(t, units, c.units())
	require.True(t, maps.Equal(cached, snapshot(t, c.cache)))
	c.until(soon, "told", func() bool { return strings.Contains(p.get(t, "/v1/alerts"), `"bad_task"`) })
	require.Contains(t, p.get(t, "/metrics"), `prewarm_tasks_dropped_total{reason="epoch"} 1`)
	require.Contains(t, p.get(t, "/metrics"), `prewarm_tasks_dropped_total{reason="unknown"} 2`)
	seed(t, c.source, 1002, 10)
	c.announce(ka(1002, time.Now().Add(time.Minute)))
	c.becomes(soon, 1002, "ready") // the pod works as before
}

// get is the body of a 200 answer.
func (p *pod) get(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(body))
	return string(body)
}

// expiries are the expiries of these keys.
func (c *cluster) expiries(e expected) map[string]time.Time {
	c.t.Helper()
	replies := map[string]*redis.DurationCmd{}
	_, err := c.cache.Pipelined(c.t.Context(), func(p redis.Pipeliner) error {
		for key := range e.texts {
			replies[key] = p.PExpireTime(c.t.Context(), key)
		}
		for key := range e.hashes {
			replies[key] = p.PExpireTime(c.t.Context(), key)
		}
		return nil
	})
	require.NoError(c.t, err)
	all := map[string]time.Time{}
	for key, r := range replies {
		all[key] = time.UnixMilli(r.Val().Milliseconds())
	}
	return all
}

func TestAReadyRunThatIsRescheduledKeepsItsValuesAndMovesTheirExpiry(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"by an hour": time.Hour, "to tomorrow": 24 * time.Hour, "to an earlier end": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "page_rows: 30", "unit_rows: 70")
			seed(t, c.source, 1001, 300)
			p := c.inProcess()
			b := ka(1001, time.Now().Add(90*time.Minute))
			c.announce(b)
			c.becomes(soon, 1001, "ready")
			e := expect(t, c.source, 1001)
			before := c.expiries(e)
			require.NoError(t, c.cache.Set(t.Context(), "user:1001:3", "mine", redis.KeepTTL).Err())
			require.NoError(t, c.cache.HSet(t.Context(), "product:1001:100100001", "stock", "mine").Err())

			starts := b["starts_at"].(time.Time).Add(by)
			moved := ka(1001, starts)
			o := p.post(t, "/v1/requests", request(moved))["outcomes"].([]any)[0].(map[string]any)
			require.Equal(t, "rescheduled", o["outcome"])
			c.until(soon, "every expiry has moved", func() bool {
				for key, at := range c.expiries(e) {
					if !at.Equal(before[key].Add(by)) {
						return false
					}
				}
				return true
			})
			require.Equal(t, "mine", c.cache.Get(t.Context(), "user:1001:3").Val())
			require.Equal(t, "mine", c.cache.HGet(t.Context(), "product:1001:100100001", "stock").Val())
			c.until(soon, "all units done", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE state <> 'done'") == 0 })
			_, state, _ := c.run(1001)
			require.Equal(t, "ready", state)
			require.Equal(t, moved.ends().UnixMilli(), c.queue.PExpireTime(t.Context(), "prewarm:{1001}:ready:b-1").Val().Milliseconds())
			require.Equal(t, "duplicate", p.post(t, "/v1/requests", request(moved))["outcomes"].([]any)[0].(map[string]any)["outcome"])
		})
	}
}

func TestARunThatIsRescheduledWhileItWarmsGetsTheNewExpiryEverywhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	p := c.inProcess()
	warming(t, c)
	c.midway("", 1000)
	moved := ka(1001, time.Now().Add(2*time.Hour))
	o := p.post(t, "/v1/requests", request(moved))["outcomes"].([]any)[0].(map[string]any)
	require.Equal(t, "rescheduled", o["outcome"])
	c.becomes(failover, 1001, "ready")
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE state <> 'done' OR touch = 1"))
	c.requireWhole(moved, redone+2)
}

func TestCancelStopsARunAndRestartBeginsItAnew(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, manyRows)
	p := c.inProcess()
	b := warming(t, c)
	c.midway("", 500)
	run, _, _ := c.run(1001)
	p.post(t, "/v1/runs/"+run+"/cancel", nil)
	_, state, _ := c.run(1001)
	require.Equal(t, "cancelled", state)
	c.until(soon, "lease gone, queue idle", func() bool {
		q, err := c.inspector.GetQueueInfo("urgent")
		return err == nil && q.Active+q.Pending+q.Retry == 0 && c.queue.Exists(t.Context(), "prewarm:{1001}:lease", "prewarm:{1001}:ready:b-1").Val() == 0
	})
	require.Less(t, c.number("SELECT SUM(rows_done) FROM units"), manyRows/2, "it stopped in the middle")
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE state IN ('waiting', 'running', 'failed')"))

	require.NoError(t, c.cache.Set(t.Context(), "user:1001:3", "mine", redis.KeepTTL).Err())
	p.post(t, "/v1/runs/"+run+"/restart", nil)
	c.becomes(failover, 1001, "ready")
	e := expect(t, c.source, 1001)
	requireWarm(t, c.cache, e, b.ends())
	require.Equal(t, 2, c.number("SELECT MAX(epoch) FROM units"))
	require.Equal(t, 29400+3000+1+3+2, c.number("SELECT SUM(rows_done) FROM units WHERE epoch = 2"), "from scratch")
}

// An announcement that the queue delivers again, because its pod was cut off before it could say that it was done, was heard.
func TestAnAnnouncementThatComesAgainDoesNotUndoWhatWasDoneSince(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 10)
	p := c.serve()
	b := ka(1001, time.Now().Add(24*time.Hour))
	payload, err := json.Marshal(request(b))
	require.NoError(t, err)
	_, err = c.client.EnqueueContext(t.Context(), asynq.NewTask("warm:request", payload), asynq.Queue("intake"), asynq.TaskID("a-1"), asynq.Retention(time.Hour))
	require.NoError(t, err)
	c.settled("intake", "a-1", asynq.TaskStateCompleted)
	run, state, _ := c.run(1001)
	require.Equal(t, "planned", state)
	p.post(t, "/v1/runs/"+run+"/cancel", map[string]any{"reason": "not tonight"})
	require.NoError(t, queue.New(c.queue).Copy(t.Context(), "intake", "a-1"))
	c.until(soon, "delivered again", func() bool { return c.number("SELECT COUNT(*) FROM requests") == 2 })
	_, state, _ = c.run(1001)
	require.Equal(t, "cancelled", state)
	c.announce(b)
	c.until(soon, "announced anew", func() bool { _, state, _ := c.run(1001); return state == "planned" })
}
