package app_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
)

func TestAnEveningAnnouncedInOneBatchIsWarmOnTimeAndCorrect(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "lead: 45m", "page_rows: 100", "unit_rows: 400")
	sizes := []int{0, 1, 19, 60, 100, 101, 250, 400, 401, 800, 1200, 2000}
	for i, users := range sizes {
		seed(t, c.source, 1001+i, users)
	}
	seed(t, c.source, 7, 40)
	c.serve()
	c.serve()

	starts := time.Now().Add(45*time.Minute + 20*time.Second) // so warming starts in twenty seconds: no plan is nearer to the deadline
	var batch []broadcast
	for i := range sizes {
		batch = append(batch, ka(1001+i, starts))
	}
	small, unknown := ka(7, starts), ka(404, starts)
	delete(small, "tier")
	c.announce(append(batch, small, unknown)...)

	c.until(soon, "planned", func() bool {
		return c.number("SELECT COUNT(*) FROM runs WHERE state = 'planned' AND planned_us > 0") == len(sizes)
	})
	units := c.number("SELECT COUNT(*) FROM units")
	var scheduled []*asynq.TaskInfo
	c.until(soon, "scheduled", func() bool {
		scheduled = c.tasks(c.inspector.ListScheduledTasks, "warm")
		return len(scheduled) == units
	})
	begin := batch[0]["starts_at"].(time.Time).Add(-45 * time.Minute)
	require.True(t, time.Now().Before(begin), "the machine is too slow for this test")
	for _, task := range scheduled {
		require.WithinDuration(t, begin, task.NextProcessAt, time.Second)
	}
	require.Zero(t, c.cache.DBSize(t.Context()).Val(), "nothing is warmed before the start")

	c.until(soon+time.Until(begin), "all ready", func() bool {
		return c.number("SELECT COUNT(*) FROM runs WHERE state = 'ready' AND NOT late") == len(sizes)
	})
	keys := 0
	for i := range sizes {
		e := expect(t, c.source, 1001+i)
		keys += e.keys()
		requireWarm(t, c.cache, e, batch[i].ends())
		flag := fmt.Sprintf("prewarm:{%d}:ready:b-1", 1001+i)
		c.until(soon, flag, func() bool { return c.queue.Exists(t.Context(), flag).Val() == 1 })
		require.Equal(t, batch[i].ends().UnixMilli(), c.queue.PExpireTime(t.Context(), flag).Val().Milliseconds())
		c.until(soon, "lease released", func() bool {
			return c.queue.Exists(t.Context(), fmt.Sprintf("prewarm:{%d}:lease", 1001+i)).Val() == 0
		})
	}
	require.Equal(t, keys, dataKeys(t, c.cache), "and nothing else is in the cache")
	c.until(soon, "completed", func() bool { return len(c.tasks(c.inspector.ListCompletedTasks, "warm")) == units })
	require.Equal(t, 2, c.number("SELECT COUNT(DISTINCT owner) FROM units"), "both pods worked")
	_, state, _ := c.run(7)
	require.Equal(t, "skipped", state)
	_, state, _ = c.run(404)
	require.Empty(t, state)
}

// tasks lists up to 1,000 tasks of a queue; none if asynq does not know the queue yet.
func (c *cluster) tasks(list func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error), queue string) []*asynq.TaskInfo {
	infos, err := list(queue, asynq.PageSize(1000))
	if err != nil {
		require.ErrorIs(c.t, err, asynq.ErrQueueNotFound)
	}
	return infos
}

func TestOf200IdenticalRequestsOverTwoPodsOneIsAccepted(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 100)
	pods := []*pod{c.inProcess(), c.inProcess()}
	b := ka(1001, time.Now().Add(24*time.Hour))
	payload, err := json.Marshal(request(b))
	require.NoError(t, err)

	var mu sync.Mutex
	outcomes, runs := map[string]int{}, map[string]bool{}
	count := func(answer map[string]any) {
		o := answer["outcomes"].([]any)[0].(map[string]any)
		mu.Lock()
		defer mu.Unlock()
		outcomes[o["outcome"].(string)]++
		runs[o["run_id"].(string)] = true
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() { count(pods[i%2].post(t, "/v1/requests", request(b))) })
		wg.Go(func() {
			id := fmt.Sprintf("same.%d", i)
			_, err := c.client.EnqueueContext(t.Context(), asynq.NewTask("warm:request", payload), asynq.Queue("intake"), asynq.TaskID(id),
				asynq.Retention(time.Hour))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c.until(soon, "all answered", func() bool { return len(c.tasks(c.inspector.ListCompletedTasks, "intake")) >= 100 })
	for i := range 100 {
		var answer map[string]any
		c.until(soon, "answered", func() bool {
			info, err := c.inspector.GetTaskInfo("intake", fmt.Sprintf("same.%d", i))
			return err == nil && info.State == asynq.TaskStateCompleted && json.Unmarshal(info.Result, &answer) == nil
		})
		count(answer)
	}
	require.Equal(t, map[string]int{"accepted": 1, "duplicate": 199}, outcomes)
	require.Len(t, runs, 1)
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM runs"))
	require.Equal(t, 200, c.number("SELECT COUNT(*) FROM requests"))
	c.until(soon, "planned", func() bool { return c.number("SELECT COUNT(*) FROM runs WHERE planned_us > 0") == 1 })
	require.Equal(t, 5, c.number("SELECT COUNT(*) FROM units"), "planned once")
}
