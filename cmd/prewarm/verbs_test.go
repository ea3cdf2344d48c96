package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// manners is what every verb promises to scripts: with --json one document on stdout and 0, 1 with the next command on
// stderr when it fails, 2 for a command line or a configuration that cannot be meant.
type manners struct {
	good   []string          // fine, without --json
	server map[string]string // what it asks of the server, if it asks one
	bad    []string          // fails; of verbs that ask a server: nil, the server is gone
	next   string            // what the failure says to do; default: start the server
	usage  []string          // more than an unknown flag; may be nil
	apart  string            // why the verb is tested elsewhere
}

func verbTable(t *testing.T) map[string]manners {
	t.Helper()
	s := newStage(t)
	config := s.file(t, "")
	down := stage{queue: "redis://127.0.0.1:1/0", cache: "redis://127.0.0.1:1/0", ledger: "u@tcp(127.0.0.1:1)/l", source: "u@tcp(127.0.0.1:1)/s",
		datasets: goodDatasets}.file(t, "")
	well := serverWith(t, 200, map[string]string{"GET /healthz": "ok"})
	unwell := s.file(t, "")
	require.NoError(t, appendTo(unwell, "\nhttp: {listen: \"127.0.0.1:1\"}\n"))
	healthy := s.file(t, "") // with the address of a pod beside it
	require.NoError(t, appendTo(healthy, fmt.Sprintf("\nhttp: {listen: %q}\n", strings.TrimPrefix(well.URL, "http://"))))
	missing := filepath.Join(t.TempDir(), "none.yaml")
	act := func(verb string) manners {
		return manners{good: []string{verb, "r1"}, server: map[string]string{"POST /v1/runs/r1/" + verb: oneRun}, usage: []string{verb, "r1", "r2"}}
	}
	doc := write(t, "request.json", "{}")
	return map[string]manners{
		"demo":    {apart: "it lasts a minute and a half"},
		"serve":   {apart: "it logs JSON lines and does not end: serve_test.go", usage: []string{"serve", "-c", missing}},
		"init":    {good: []string{"init", "--dsn", s.source, "--force", "-c", filepath.Join(t.TempDir(), "new.yaml")}, bad: []string{"init", "--dsn", "u@tcp(127.0.0.1:1)/s", "-c", missing}, next: "check that it runs", usage: []string{"init", "--dsn", s.source, "-c", config}},
		"migrate": {good: []string{"migrate", "-c", config}, bad: []string{"migrate", "-c", down}, next: "127.0.0.1:1", usage: []string{"migrate", "-c", missing}},
		"doctor":  {good: []string{"doctor", "-c", config}, bad: []string{"doctor", "-c", down}, next: "", usage: []string{"doctor", "-c", missing}},
		"request": {good: []string{"request", doc}, server: map[string]string{"POST /v1/requests": accepted}, usage: []string{"request", doc + ".none"}},
		"plan":    {good: []string{"plan", doc}, server: map[string]string{"POST /v1/plan": `{}`}, usage: []string{"plan"}},
		"runs":    {good: []string{"runs"}, server: map[string]string{"GET /v1/runs": someRuns}, usage: []string{"runs", "--state=done"}},
		"run":     {good: []string{"run", "r1"}, server: map[string]string{"GET /v1/runs/r1": oneRun}, usage: []string{"run"}},
		"retry":   act("retry"), "restart": act("restart"), "cancel": act("cancel"), "pause": act("pause"), "resume": act("resume"),
		"shop": {good: []string{"shop", "1001", "off", "--remove", "--reason", "it leaves"}, usage: []string{"shop", "1001", "off", "--reason", "it leaves"},
			server: map[string]string{"GET /v1/shops/1001/settings": oneShop, "PUT /v1/shops/1001/settings": oneShop}},
		"status": {good: []string{"status"}, usage: []string{"status", "--watch", "--every=0s"}, server: map[string]string{
			"GET /v1/me": `{}`, "GET /v1/width": `{}`, "GET /v1/pods": `{}`, "GET /v1/alerts": `{}`, "GET /v1/switches": `{}`, "GET /v1/runs": someRuns}},
		"alerts list": {good: []string{"alerts"}, server: map[string]string{"GET /v1/alerts": `{}`}, usage: []string{"alerts", "--limit=x"}},
		"alerts test": {good: []string{"alerts", "test"}, server: map[string]string{"POST /v1/alerts/test": `{}`}},
		"audit":       {good: []string{"audit", "--list"}, server: map[string]string{"GET /v1/audits": `{}`}, usage: []string{"audit", "a1", "--list"}},
		"report":      {good: []string{"report"}, server: map[string]string{"GET /v1/report": `{}`}, usage: []string{"report", "x"}},
		"width":       {good: []string{"width"}, server: map[string]string{"GET /v1/width": `{}`}, usage: []string{"width", "--pin=3"}},
		"simulate":    {good: []string{"simulate", "--evenings=2", "--shops=5"}, usage: []string{"simulate", "--evenings=x"}},
		"version":     {good: []string{"version"}},
		"completion":  {good: []string{"completion", "bash"}, usage: []string{"completion", "csh"}},
		"man":         {good: []string{"man"}},
		"help":        {good: []string{"help"}, usage: []string{"help", "qwertz"}},
		"healthcheck": {good: []string{"healthcheck", "-c", healthy}, bad: []string{"healthcheck", "-c", unwell}, next: "the pod's log", usage: []string{"healthcheck", "-c", missing}},
	}
}

func TestEveryVerbKeepsItsPromisesToScripts(t *testing.T) {
	t.Parallel()
	table := verbTable(t)
	gone := serverWith(t, 200, nil)
	gone.Close()
	parser, err := kong.New(&cli{})
	require.NoError(t, err)
	for _, leaf := range parser.Model.Leaves(true) {
		verb := leaf.Name
		for n := leaf.Parent; n.Parent != nil; n = n.Parent {
			verb = n.Name + " " + verb
		}
		m, listed := table[verb]
		require.True(t, listed, "%s is not in the table", verb)
		require.NotEmpty(t, leaf.Help, verb)
		for _, args := range [][]string{append(strings.Fields(verb), "--nothing"), m.usage} {
			if args == nil {
				continue
			}
			r := prewarm(t, "", args...)
			require.Equal(t, exitUsage, r.code, "%v: %s", args, r.err)
		}
		if m.apart != "" {
			continue
		}
		good := m.good
		if m.server != nil {
			good = append(good, "--server", serverWith(t, 200, m.server).URL)
		}
		text := prewarm(t, "", good...)
		require.Zero(t, text.code, "%v: %s", good, text.err)
		require.False(t, json.Valid([]byte(text.out)), "%v: text is for people", good)
		r := prewarm(t, "", append(good, "--json")...)
		require.Zero(t, r.code, "%v: %s", good, r.err)
		document(t, r.out)
		m.fails(t, gone.URL)
	}
}

// fails wants 1, nothing on stdout that is not a document, and the next command.
func (m manners) fails(t *testing.T, gone string) {
	t.Helper()
	bad, next := m.bad, m.next
	if m.server != nil {
		bad, next = append(m.good, "--server", gone), "`prewarm serve`"
	}
	if bad == nil {
		return
	}
	r := prewarm(t, "", append(bad, "--json")...)
	require.Equal(t, exitFailed, r.code, "%v: %s", bad, r.err)
	require.Contains(t, r.err, next, "%v", bad)
	if r.out != "" {
		document(t, r.out)
	}
}

func appendTo(name, more string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, more...), 0o600)
}
