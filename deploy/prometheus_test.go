package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/servers"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// rules is a file of rules.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Record      string            `yaml:"record"`
			Expr        string            `yaml:"expr"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

// ruleTests is a file of promtool's tests.
type ruleTests struct {
	Tests []struct {
		Alerts []struct {
			Alert string `yaml:"alertname"`
			Want  []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
		Exprs []struct {
			Expr string `yaml:"expr"`
			Want []any  `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	} `yaml:"tests"`
}

func readYAML[T any](t *testing.T, name string) T {
	t.Helper()
	var v T
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &v), name)
	return v
}

func TestPromtoolTakesConfigurationAndRulesAndTheirTestsPass(t *testing.T) {
	t.Parallel()
	promtool, err := servers.Find("prometheus", "promtool")
	testenv.Need(t, err)
	for _, args := range [][]string{
		{"check", "config", "--syntax-only", "prometheus/prometheus.yml"},
		append([]string{"check", "rules"}, files(t, "prometheus/rules/*.yml")...),
		append([]string{"test", "rules"}, files(t, "prometheus/tests/*.yml")...),
	} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		require.NoError(t, err, "promtool %s\n%s", strings.Join(args, " "), out)
	}
	amtool, err := servers.Find("prometheus-alertmanager", "amtool")
	testenv.Need(t, err)
	out, err := exec.CommandContext(t.Context(), amtool, "check-config", "alertmanager/alertmanager.yml").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}

func TestEveryRuleIsTestedBothWays(t *testing.T) {
	t.Parallel()
	fires, quiet, recorded := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, name := range files(t, "prometheus/tests/*.yml") {
		for _, test := range readYAML[ruleTests](t, name).Tests {
			for _, a := range test.Alerts {
				if len(a.Want) > 0 {
					fires[a.Alert] = true
				} else {
					quiet[a.Alert] = true
				}
			}
			for _, e := range test.Exprs {
				recorded[e.Expr] = len(e.Want) > 0
			}
		}
	}
	n := 0
	for _, name := range files(t, "prometheus/rules/*.yml") {
		for _, group := range readYAML[rules](t, name).Groups {
			for _, r := range group.Rules {
				n++
				if r.Record != "" {
					require.True(t, recorded[r.Record], "%s has no test", r.Record)
					continue
				}
				require.True(t, fires[r.Alert], "no test fires %s", r.Alert)
				require.True(t, quiet[r.Alert], "no test leaves %s quiet", r.Alert)
			}
		}
	}
	require.Greater(t, n, 20)
}

// parts are what a runbook has, in this order.
var parts = regexp.MustCompile(`(?s)^# (\w+)\n\nSeverity: (info|warning|critical)\.\n\n.+\n## Look at\n- .+\n## Do\n- .+\nIt is over when .+\.\n$`)

func TestEveryAlertHasARunbookAndLinksToIt(t *testing.T) {
	t.Parallel()
	base := config.Defaults().Alerts.Runbooks
	want := alert.Names()
	for _, name := range files(t, "prometheus/rules/*.yml") {
		for _, group := range readYAML[rules](t, name).Groups {
			for _, r := range group.Rules {
				if r.Alert == "" {
					continue
				}
				want = append(want, r.Alert)
				require.Equal(t, base+"/"+r.Alert+".md", r.Annotations["runbook_url"])
				require.NotEmpty(t, r.Annotations["summary"], r.Alert)
				require.NotEmpty(t, r.Annotations["description"], r.Alert)
				require.Equal(t, "prewarm", r.Labels["service"], r.Alert)
				text, err := os.ReadFile("runbooks/" + r.Alert + ".md")
				require.NoError(t, err)
				require.Contains(t, string(text), "Severity: "+r.Labels["severity"]+".", r.Alert)
			}
		}
	}
	var have []string
	for _, name := range files(t, "runbooks/*.md") {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		found := parts.FindStringSubmatch(string(text))
		require.NotNil(t, found, name)
		require.Equal(t, found[1]+".md", filepath.Base(name))
		have = append(have, found[1])
	}
	require.Subset(t, have, want, "a page for each alert")
}

func TestGrafanaGetsTheDashboards(t *testing.T) {
	t.Parallel()
	uids := map[string]bool{}
	for _, name := range files(t, "../dashboards/*.json") {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var d struct {
			UID    string
			Title  string
			Panels []struct {
				ID         int
				Title      string
				Datasource struct{ UID string }
				Targets    []struct{ Expr string }
			}
		}
		require.NoError(t, json.Unmarshal(text, &d), name)
		require.NotEmpty(t, d.Title)
		require.False(t, uids[d.UID], "%s: another dashboard has this uid", name)
		uids[d.UID] = true
		for i, p := range d.Panels {
			require.Equal(t, i+1, p.ID, name)
			require.NotEmpty(t, p.Targets, "%s: %s", name, p.Title)
			require.Equal(t, "${source}", p.Datasource.UID, "it works with any data source")
		}
	}
	require.Len(t, uids, 4)
	c := readCompose(t)
	path := readYAML[struct {
		Providers []struct {
			Options struct{ Path string } `yaml:"options"`
		} `yaml:"providers"`
	}](t, "grafana/dashboards/prewarm.yml").Providers[0].Options.Path
	require.Contains(t, c.Services["grafana"].Volumes, "./dashboards:"+path+":ro")
}
