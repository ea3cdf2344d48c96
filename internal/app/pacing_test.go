package app_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
)

// configure changes the cluster's configuration before its first pod.
func (c *cluster) configure(was, is string) {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	require.NoError(c.t, err)
	require.Contains(c.t, string(text), was)
	require.NoError(c.t, os.WriteFile(c.config, []byte(strings.Replace(string(text), was, is, 1)), 0o600))
}

// micros is a time of the ledger.
func (c *cluster) micros(query string, args ...any) time.Time {
	c.t.Helper()
	return time.UnixMicro(int64(c.number(query, args...))).UTC()
}

func TestTheNearestDeadlineGoesFirstWhateverCameFirst(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "page_rows: 20", "page_rows_max: 20", "unit_rows: 100")
	c.configure("width: {min: 4, max: 8, max_per_pod: 4}", "width: {min: 1, max: 1, max_per_pod: 1}")
	seed(t, c.source, 1001, 20_000)
	seed(t, c.source, 1002, 500)
	p := c.serve()
	far, near := ka(1001, time.Now().Add(2*time.Hour)), ka(1002, time.Now().Add(time.Hour))
	p.post(t, "/v1/requests", request(far)) // its 200 units are in the queue before there is anything else
	c.until(soon, "some of it is done", func() bool { return c.number("SELECT COUNT(*) FROM units WHERE state = 'done'") > 5 })
	p.post(t, "/v1/requests", request(near))
	c.becomes(soon, 1002, "ready")
	_, state, _ := c.run(1001)
	require.Equal(t, "warming", state)
	c.until(soon, "tasks that gave way are back", func() bool {
		return len(c.tasks(c.inspector.ListCompletedTasks, "urgent")) > c.number("SELECT COUNT(*) FROM units u JOIN runs r USING (run_id) WHERE r.shop_id = '1002'")
	})
	c.becomes(soon, 1001, "ready")
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE attempts > 1 OR claim > 1"), "nothing was done twice")
}

func TestAStartMovesWithThePlanAndItsTasksFollow(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "lead: 1h")
	seed(t, c.source, 1001, 2000)
	p := c.serve()
	earliest := time.Now().Add(50 * time.Second).UTC().Truncate(time.Second)
	b := ka(1001, earliest.Add(time.Hour))
	answer := p.post(t, "/v1/requests", request(b))["outcomes"].([]any)[0].(map[string]any)
	verdict := answer["verdict"].(map[string]any)
	require.Equal(t, "feasible", verdict["state"], verdict)
	require.NotEmpty(t, verdict["finish_95"])

	const start = "SELECT planned_start_us FROM runs"
	moved := earliest.Add(15 * time.Minute) // half an hour before the deadline, and five minutes for the plan to waver
	c.until(soon, "the start is as late as is safe", func() bool { return c.micros(start).After(earliest) })
	require.WithinDuration(t, moved, c.micros(start), 2*time.Second)

	// A task that comes too early waits for the start.
	tasks := c.tasks(c.inspector.ListScheduledTasks, "warm")
	require.NotEmpty(t, tasks)
	require.NoError(t, c.inspector.RunTask("warm", tasks[0].ID))
	var waits []*asynq.TaskInfo
	c.until(soon, "it is put off", func() bool {
		waits = c.tasks(c.inspector.ListRetryTasks, "warm")
		return len(waits) == 1
	})
	require.WithinDuration(t, moved, waits[0].NextProcessAt, 3*time.Second)
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE state <> 'waiting'"))

	// Now a row is thought to take a second.
	_, err := c.ledger.ExecContext(t.Context(), `INSERT INTO rates (dataset, version, state, updated_us) VALUES ('users', 1,
		'{"samples": 64, "rows": 64000, "seconds": 64000, "bytes": 1, "square": 64000, "at": "2099-01-01T00:00:00Z"}', 0)`)
	require.NoError(t, err)
	c.until(soon, "the start is as early as it may be", func() bool { return c.micros(start).Equal(earliest) })
	c.until(soon, "tasks for the new start", func() bool {
		n := 0
		for _, task := range c.tasks(c.inspector.ListScheduledTasks, "warm") {
			if task.NextProcessAt.Sub(earliest).Abs() <= time.Second && strings.HasSuffix(task.ID, ".1") {
				n++
			}
		}
		return n == c.number("SELECT COUNT(*) FROM units")
	})
	require.Contains(t, p.get(t, "/v1/runs"), `"verdict":{"state":`)
}
