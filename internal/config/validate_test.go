package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidateNamesFieldAndRemedy(t *testing.T) {
	t.Parallel()
	for field, text := range map[string]string{
		"queue.url":                    "queue: {url: http://x}",
		"queue.addrs":                  "queue: {addrs: [\"a:1\"]}",
		"queue.tls":                    "queue: {tls: {ca_file: x}}",
		"cache.url":                    "cache: {url: \"redis://h/3\", cluster: true}",
		"ledger.dsn":                   "ledger: {dsn: u@tcp(x)/}",
		"tracing.endpoint":             "tracing: {endpoint: \"http://u:p@collector:4318\"}",
		"tracing.sample":               "tracing: {endpoint: \"http://collector:4318\", sample: 10}",
		"tracing.headers_file":         "tracing: {endpoint: \"http://collector:4318\", headers_file: none}",
		"ledger.password":              "ledger: {dsn: \"u:p@tcp(x)/s\", password: other}",
		"sources.main.password":        "sources: {main: {dsn: \"tcp(x)/s\", password: p}}",
		"ledger.tls":                   "ledger: {dsn: \"u:p@tcp(x)/s?tls=true\", tls: {ca_file: x}}",
		"sources.main.tls":             "sources: {main: {dsn: \"u:p@unix(/x)/s\", tls: {ca_file: x}}}",
		"ledger.pool":                  "ledger: {pool: 1}",
		"sources.main.statement_time":  "policy: {lease: 10s}",
		"sources.main.resource_group":  "sources: {main: {dsn: u@/x, resource_group: " + strings.Repeat("g", 65) + "}}",
		"sources.main.pool":            "sources: {main: {dsn: u@/x, pool: -1}}",
		"policy.warm_when.min_rows":    "policy: {warm_when: {min_rows: -1}}",
		"policy.ready_before":          "policy: {ready_before: -1s}",
		"policy.lead":                  "policy: {lead: 0s}",
		"policy.max_ahead":             "policy: {max_ahead: 3h}",
		"policy.expire.jitter":         "policy: {expire: {jitter: -1s}}",
		"policy.page_rows":             "policy: {page_rows: 0}",
		"pace.headroom":                "pace: {headroom: 0.5}",
		"pace.crowd":                   "pace: {crowd: 1.1}",
		"pace.pods_busy":               "pace: {pods_busy: 1}",
		"pace.pods_cpu":                "pace: {pods_cpu: 85}",
		"policy.page_bytes":            "policy: {page_bytes: 1}",
		"policy.unit_rows":             "policy: {unit_rows: 10}",
		"policy.retry.attempts":        "policy: {retry: {attempts: 0}}",
		"policy.retry.backoff.max":     "policy: {retry: {backoff: {max: 1s}}}",
		"width.max":                    "width: {min: 4, max: 2}",
		"width.max_per_pod":            "width: {max_per_pod: 0}",
		"http.listen":                  "http: {listen: \":8080\"}",
		"http.tokens[0].role":          "http: {tokens: [{name: a, role: root, token: b}]}",
		"http.tokens[0].token":         "http: {tokens: [{name: a, role: viewer}]}",
		"http.tokens[1].token":         "http: {tokens: [{name: a, role: viewer, token: b}, {name: c, role: viewer, token: b}]}",
		"http.tls.cert_file":           "http: {tls: {ca_file: x}}",
		"http.tls.server_name":         "http: {tls: {cert_file: x, key_file: x, server_name: x}}",
		"cache.allow_eviction":         "cache: {url: 'redis://x', allow_eviction: true}",
		"http.public_url":              "http: {public_url: \"prewarm.example.com\"}",
		"alerts.repeat":                "alerts: {repeat: -1s}",
		"alerts.resolve_after":         "alerts: {resolve_after: 1s}",
		"alerts.runbooks":              "alerts: {runbooks: \"deploy/runbooks\"}",
		"alerts.sinks[0].type":         "alerts: {sinks: [{type: pager}]}",
		"alerts.sinks[0].url":          "alerts: {sinks: [{type: slack}]}",
		"alerts.sinks[1].url":          "alerts: {sinks: [{type: wecom, url: \"https://h/x\"}, {type: slack, url: \"h/x\"}]}",
		"alerts.sinks[1].name":         "alerts: {sinks: [{type: slack, url: \"https://h/x\"}, {type: slack, url: \"https://h/y\"}]}",
		"alerts.sinks[0].name":         "alerts: {sinks: [{type: slack, name: \"a b\", url: \"https://h/x\"}]}",
		"alerts.sinks[0].secret":       "alerts: {sinks: [{type: slack, url: \"https://h/x\", secret: s}]}",
		"alerts.sinks[0].min_severity": "alerts: {sinks: [{type: slack, url: \"https://h/x\", min_severity: low}]}",
		"alerts.sinks[0].server":       "alerts: {sinks: [{type: email, from: a@b.c, to: [a@b.c]}]}",
		"alerts.sinks[0].to":           "alerts: {sinks: [{type: email, server: \"h:25\", from: a@b.c}]}",
		"alerts.sinks[0].to[0]":        "alerts: {sinks: [{type: email, server: \"h:25\", from: a@b.c, to: [\"a@b.c\\r\\nBcc: x@y.z\"]}]}",
		"alerts.sinks[0].security":     "alerts: {sinks: [{type: email, server: \"h:25\", from: a@b.c, to: [a@b.c], security: ssl}]}",
		"datasets":                     "datasets: []",
		"policy.hash_key":              "policy: {hash_key: short}",
		"datasets[0] (a).hash":         "datasets: [{name: a, query: \"SELECT id, tel FROM t WHERE id = :shop\", key: \"a:{id}\", hash: [tel]}]",
		"datasets[0].-":                "datasets: [{name: a, query: \"SELECT id FROM t WHERE id = :shop\", key: \"a:{id}\", \"-\": x}]",
		"datasets[0] (a).key":          "datasets: [{name: a, query: \"SELECT id FROM t WHERE id = :shop\"}]",
		"datasets[1] (a).name":         "datasets: [&a {name: a, query: \"SELECT id FROM t WHERE id = :shop\", key: \"a:{id}\"}, *a]",
		"datasets[0] (a).source":       "datasets: [{name: a, source: mian, query: \"SELECT id FROM t WHERE id = :shop\", key: \"a:{id}\"}]",
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			found := problemsOf(t, mergeOver(t, text))
			fields := make([]string, len(found))
			for i, p := range found {
				fields[i] = p.Field
			}
			require.Contains(t, fields, field)
		})
	}
}

// mergeOver is the minimal file with the sections of text laid over it.
func mergeOver(t *testing.T, text string) string {
	t.Helper()
	base := map[string]string{
		"queue":    `queue: {url: "redis://localhost:6379/0"}`,
		"ledger":   `ledger: {dsn: "u:p@tcp(localhost:3306)/prewarm"}`,
		"sources":  `sources: {main: {dsn: "u:p@tcp(localhost:3306)/shops"}}`,
		"datasets": `datasets: [{name: shop, query: "SELECT id FROM shops WHERE id = :shop", key: "shop:{id}"}]`,
	}
	for section, line := range base {
		if len(text) > len(section) && text[:len(section)] == section {
			continue
		}
		text += "\n" + line
	}
	if text[:5] == "queue" && text[8:11] != "url" {
		text = text[:8] + `url: "redis://localhost:6379/0", ` + text[8:]
	}
	return text
}

func TestValidateFindsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	found := problemsOf(t, "{}")
	fields := make([]string, len(found))
	for i, p := range found {
		fields[i] = p.Field
		require.NotEmpty(t, p.Remedy, p.Field)
	}
	require.Equal(t, []string{"queue.url", "cache.url", "ledger.dsn", "sources", "datasets"}, fields[:5])
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "localhost:80": true, "[::ffff:127.0.0.1]:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "localhost.evil.example:80": false, "": false,
	} {
		require.Equal(t, want, Loopback(addr), addr)
	}
}

func TestRedactedShowsNoPassword(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"u:p@tcp(h:1)/db?x=y":  "u:xxxxx@tcp(h:1)/db",
		"u:p@/s:s@tcp(h:1)/db": "u:xxxxx@tcp(h:1)/db",
		"u@tcp(h:1)/db":        "u@tcp(h:1)/db",
		"tcp(h:1)/db":          "tcp(h:1)/db",
		"u:secret@tcp(h:1)":    "(unreadable DSN)",
		"":                     "",
	} {
		require.Equal(t, want, RedactDSN(dsn))
	}
	for url, want := range map[string]string{
		"redis://:p@h:1/0":          "redis://:xxxxx@h:1/0",
		"redis://u:p@h:1/0?dial=1s": "redis://u:xxxxx@h:1/0",
		"redis://h:1":               "redis://h:1",
		"redis://:p#w@h:1/0":        "(unreadable URL)",
		"h:secret@x":                "(unreadable URL)",
	} {
		require.Equal(t, want, RedactURL(url))
	}
	c := Config{Queue: Redis{URL: "redis://:pw@h/0", Password: "pw"}, HTTP: HTTP{Tokens: []Token{{Token: "pw"}}},
		Sources: map[string]Source{"main": {DSN: "u:pw@/x"}}}
	shown := c.Redacted()
	require.Equal(t, "xxxxx", shown.HTTP.Tokens[0].Token)
	require.Equal(t, "u:xxxxx@/x", shown.Sources["main"].DSN)
	require.Equal(t, "pw", c.HTTP.Tokens[0].Token, "the original is left alone")
	require.Equal(t, "u:pw@/x", c.Sources["main"].DSN)
}

func TestAResourceGroupsNameFitsIntoAHint(t *testing.T) {
	t.Parallel()
	of := func(name string) (n int) {
		for _, p := range problemsOf(t, "sources: {main: {dsn: u@/x, resource_group: \""+name+"\"}}") {
			if p.Field == "sources.main.resource_group" {
				n++
			}
		}
		return n
	}
	require.Zero(t, of(""))
	require.Zero(t, of("low `priority`, "+strings.Repeat("é", 48)))
	require.Equal(t, 1, of(strings.Repeat("g", 65)))
	require.Equal(t, 1, of("g */ SLEEP(9)"))
	require.Equal(t, 1, of("g?"))
}
