package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/servers"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// pager is what an Alertmanager notifies.
type pager struct {
	url string

	mu     sync.Mutex
	states map[string][]string // of each alert, in the order of its notifications
}

func newPager(t *testing.T) *pager {
	t.Helper()
	p := &pager{states: map[string][]string{}}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var note struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&note); err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, a := range note.Alerts {
			name := a.Labels["alertname"]
			if was := p.states[name]; len(was) == 0 || was[len(was)-1] != a.Status {
				p.states[name] = append(was, a.Status)
			}
		}
	}))
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

// is says whether an alert's newest notification says so.
func (p *pager) is(name, status string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.states[name]
	return len(was) > 0 && was[len(was)-1] == status
}

// observed starts an Alertmanager that notifies the pager, and a Prometheus with the rules of deploy that scrapes the pod.
// What the rules wait for is cut to a second.
func observed(t *testing.T, am *servers.Server, p *pod) *servers.Server {
	t.Helper()
	rules, names := map[string]string{}, []string{}
	for _, name := range globbed(t, "../../deploy/prometheus/rules/*.yml") {
		names = append(names, filepath.Base(name))
		rules[filepath.Base(name)] = regexp.MustCompile(`for: \w+`).ReplaceAllString(read(t, name), "for: 1s")
	}
	prometheus, err := servers.StartPrometheus(t.Context(), servers.PrometheusConfig{Files: rules, File: fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs: [{job_name: prewarm, static_configs: [{targets: [%q]}]}]
`, strings.Join(names, ", "), am.Addr, strings.TrimPrefix(p.url, "http://"))})
	testenv.Need(t, err)
	t.Cleanup(func() { require.NoError(t, prometheus.Close()) })
	return prometheus
}

func globbed(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// lookUp is how many series a query answers.
func lookUp(t *testing.T, prometheus *servers.Server, query string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, prometheus.URL()+"/api/v1/query?query="+url.QueryEscape(query), nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []json.RawMessage }
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Empty(t, answer.Error, query)
	return len(answer.Data.Result)
}

// A late evening, seen from outside: by prewarm's own alert and by Prometheus' rule, through one Alertmanager. Afterwards
// everything that rules and dashboards ask for is there.
func TestALateEveningIsToldAndPassesAndEveryQueryHasData(t *testing.T) {
	t.Parallel()
	pager := newPager(t)
	am, err := servers.StartAlertmanager(t.Context(), servers.PrometheusConfig{File: fmt.Sprintf(`
route: {receiver: pager, group_by: [alertname], group_wait: 0s, group_interval: 1s}
receivers: [{name: pager, webhook_configs: [{url: %q}]}]
`, pager.url)})
	testenv.Need(t, err)
	t.Cleanup(func() { require.NoError(t, am.Close()) })
	c := newCluster(t, "lead: 1h")
	require.NoError(t, os.WriteFile(c.config, []byte(read(t, c.config)+fmt.Sprintf("alerts: {sinks: [{type: alertmanager, url: %q}]}\n", am.URL())), 0o600))
	seed(t, c.source, 1001, 2000)
	p := c.inProcess()
	prometheus := observed(t, am, p)

	p.post(t, "/v1/pause", map[string]string{"reason": "to be late"})
	c.announce(ka(1001, time.Now().Add(10*time.Minute+3*time.Second))) // the deadline is in three seconds
	for _, name := range []string{"prewarm_run_late", "PrewarmLate"} {
		c.until(failover, name, func() bool { return pager.is(name, "firing") })
	}
	p.post(t, "/v1/resume", map[string]string{"reason": "late enough"})
	c.becomes(failover, 1001, "ready")
	c.until(soon, "resolved", func() bool { return pager.is("PrewarmLate", "resolved") })
	// The minute that an alert stands at least has passed. It is said once: an alert that is changed while it is looked at is not ended.
	aged, err := c.ledger.ExecContext(t.Context(),
		"UPDATE alerts SET since_us = since_us - 60000000, raised_us = raised_us - 60000000 WHERE name = 'run_late' AND state = 'firing'")
	require.NoError(t, err)
	n, err := aged.RowsAffected()
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	c.until(failover, "resolved", func() bool { return pager.is("prewarm_run_late", "resolved") })
	require.Contains(t, p.get(t, "/v1/alerts"), "after its deadline")

	problems, err := promlint.New(strings.NewReader(p.get(t, "/metrics"))).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	everyQuery(t, c, prometheus)
}

func everyQuery(t *testing.T, c *cluster, prometheus *servers.Server) {
	t.Helper()
	asked := ""
	for _, name := range globbed(t, "../../dashboards/*.json") {
		var d struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(read(t, name)), &d))
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				query := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
				c.until(soon, filepath.Base(name)+": "+panel.Title, func() bool { return lookUp(t, prometheus, query) > 0 })
				asked += query + "\n"
			}
		}
	}
	for _, name := range globbed(t, "../../deploy/prometheus/rules/*.yml") {
		asked += read(t, name)
	}
	series := map[string]bool{}
	for _, name := range regexp.MustCompile(`[a-z_]*:?\bprewarm_[a-z_0-9]+(:\w+)?`).FindAllString(asked, -1) {
		series[name] = true
	}
	delete(series, "prewarm_feed_lag_seconds") // of a feed, which this cluster has not
	require.Greater(t, len(series), 30)
	for name := range series {
		require.Positive(t, lookUp(t, prometheus, `count_over_time({__name__="`+name+`"}[10m])`), name)
	}
}
