package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slots are those that the living pods report.
func (c *cluster) slots() (sum, most int) {
	c.t.Helper()
	const living = "FROM pods WHERE beat_us > UNIX_TIMESTAMP(NOW(6)) * 1000000 - 5000000"
	return c.number("SELECT COALESCE(SUM(slots), 0) " + living), c.number("SELECT COALESCE(MAX(slots), 0) " + living)
}

func (c *cluster) shared(limit time.Duration, sum, most int) {
	c.t.Helper()
	c.until(limit, "the width is divided", func() bool {
		s, m := c.slots()
		return s == sum && m == most
	})
}

// shownSlots are those that asynq's inspector shows, as asynqmon does.
func (c *cluster) shownSlots() (slots int) {
	c.t.Helper()
	servers, err := c.inspector.Servers()
	require.NoError(c.t, err)
	for _, s := range servers {
		if _, loads := s.Queues["warm"]; loads && s.Status == "active" {
			slots += s.Concurrency
		}
	}
	return slots
}

func TestTheWidthIsRightAgainAfterAPodDiedAndOneCameAndNoDeadlineIsMissed(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "page_rows: 5", "page_rows_max: 5", "unit_rows: 500") // width.min is 4
	seed(t, c.source, 1001, manyRows)
	dies := c.serve()
	c.serve()
	c.shared(soon, 4, 2)
	c.until(soon, "asynqmon shows as many", func() bool { return c.shownSlots() == 4 })
	c.announce(ka(1001, time.Now().Add(12*time.Minute+30*time.Second))) // due in 2.5 minutes, half a minute before pace.margin
	c.until(soon, "both pods at work", func() bool {
		return c.number("SELECT COUNT(DISTINCT owner) FROM units WHERE state = 'running'") == 2
	})
	dies.kill(t)
	c.shared(20*time.Second, 4, 4)
	c.serve()
	c.shared(20*time.Second, 4, 2)
	c.becomes(2*time.Minute, 1001, "ready")
	require.Zero(t, c.number("SELECT COUNT(*) FROM runs WHERE late = 1 OR ready_us > deadline_us"))
	c.until(soon, "asynqmon shows as many", func() bool { return c.shownSlots() == 4 })
}

func TestAWidthThatIsSetByHandHoldsUntilItIsEnded(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	p := c.inProcess()
	c.serve()
	put := func(method, path, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, nil)
		require.NoError(t, err)
		if body != "" {
			req, err = http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		return res.StatusCode
	}
	require.Equal(t, 200, put("PUT", "/v1/width", `{"min": 1, "max": 2, "for": "10m", "reason": "a test"}`))
	c.shared(soon, 2, 1)
	require.Equal(t, 422, put("PUT", "/v1/width", `{"pin": 60, "for": "10m", "reason": "beyond width.max"}`))
	require.Equal(t, 422, put("PUT", "/v1/width", `{"pin": 6, "reason": "for ever"}`))
	require.Equal(t, 200, put("DELETE", "/v1/width/override", ""))
	c.shared(soon, 4, 2)
	require.Equal(t, 2, c.number("SELECT COUNT(*) FROM events WHERE stage = 'width'"))
}

func TestThresholdsOfTheConfigurationAreThoseOfTheSignals(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.configure(undisturbed, "guard: {mysql_threads_running: {hold: 1, shrink: 0, stop: 0}, mysql_connections: {hold: 0.001}}\n")
	p := c.inProcess()
	said := map[string]string{}
	c.until(soon, "what two signals say", func() bool {
		for _, s := range p.width(t).Guard {
			if s.Zone == "hold" && !strings.HasSuffix(s.Reason, "was not read yet") {
				said[s.Signal] = s.Reason
			}
		}
		return said["mysql_threads_running{main}"] != "" && said["mysql_connections{main}"] != ""
	})
	require.Regexp(t, `^mysql_threads_running\{main\} \d+ >= 1$`, said["mysql_threads_running{main}"])
	require.Regexp(t, `^mysql_connections\{main\} [\d.]+% >= 0.1%$`, said["mysql_connections{main}"])
}
