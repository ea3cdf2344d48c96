package app_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

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
	follow := func(to time.Time, least int) {
		t.Helper()
		c.until(soon, "tasks for the new start", func() bool {
			units := map[string]bool{} // a reconciliation in the same moment may give some of them once more
			for _, task := range c.tasks(c.inspector.ListScheduledTasks, "warm") {
				at := strings.LastIndexByte(task.ID, '.')
				seq, err := strconv.Atoi(task.ID[at+1:])
				require.NoError(t, err)
				if task.NextProcessAt.Sub(to).Abs() <= time.Second && seq >= least {
					units[task.ID[:at]] = true
				}
			}
			return len(units) == c.number("SELECT COUNT(*) FROM units")
		})
	}
	// What rows cost is known, so nobody has to begin early to find out.
	c.costs(0.00001)
	moved := earliest.Add(15 * time.Minute) // half an hour before the deadline, and five minutes for the plan to waver
	c.until(soon, "the start is as late as is safe", func() bool { return c.micros(start).After(earliest) })
	require.WithinDuration(t, moved, c.micros(start), 2*time.Second)
	follow(c.micros(start), 1)

	// Now a row is thought to take a second.
	c.costs(1)
	c.until(soon, "the start is as early as it may be", func() bool { return c.micros(start).Equal(earliest) })
	follow(earliest, 2)
	require.Contains(t, p.get(t, "/v1/runs"), `"verdict":{"state":`)
}

// costs has the cluster know what a row costs, in seconds.
func (c *cluster) costs(seconds float64) {
	c.t.Helper()
	for _, dataset := range []string{"shop", "staff", "marketing", "users", "products"} {
		_, err := c.ledger.ExecContext(c.t.Context(), `REPLACE INTO rates (dataset, version, state, updated_us) VALUES (?, 1, ?, 0)`, dataset,
			fmt.Sprintf(`{"samples": 64, "rows": 64000, "seconds": %f, "bytes": 1, "square": %f, "at": "2099-01-01T00:00:00Z"}`, 64000*seconds, 64000*seconds*seconds))
		require.NoError(c.t, err)
	}
}

// A what-if says when work would begin: a late-comer's at once, and nobody's after it is finished.
func TestAPlanSaysWhenWorkBegins(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 50)
	p := c.inProcess()
	soonest, later := ka(1001, time.Now().Add(2*time.Hour)), ka(1001, time.Now().Add(12*time.Hour)) // policy.lead is between
	later["broadcast_id"] = "b-2"
	asked := time.UnixMicro(int64(c.clock()))
	verdicts := p.post(t, "/v1/plan", request(soonest, later))["verdicts"].([]any)
	require.Len(t, verdicts, 2)
	for i, v := range verdicts {
		is := v.(map[string]any)
		require.Equal(t, "feasible", is["state"], is)
		start, err := time.Parse(time.RFC3339, is["start"].(string))
		require.NoError(t, err)
		finish, err := time.Parse(time.RFC3339, is["finish"].(string))
		require.NoError(t, err)
		require.False(t, finish.Before(start), is)
		require.Equal(t, i == 0, start.Sub(asked) < time.Minute, "%v", is)
	}
}
