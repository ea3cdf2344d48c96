package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// result is what a command line did.
type result struct {
	code     int
	out, err string
}

func prewarm(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return prewarmEnv(t, nil, stdin, args...)
}

func prewarmEnv(t *testing.T, environ []string, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(args, &terminal{in: strings.NewReader(stdin), out: &out, err: &err, environ: environ})
	return result{code, out.String(), err.String()}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// answers is a server that answers each "METHOD path?query" with a status and a body, and notes what it was sent.
type answers struct {
	*httptest.Server
	asked []string
	auth  string
	body  string
}

func serverWith(t *testing.T, status int, byPath map[string]string) *answers {
	t.Helper()
	a := &answers{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked = append(a.asked, r.Method+" "+r.URL.RequestURI())
		a.auth = r.Header.Get("Authorization")
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		a.body = body.String()
		text, found := byPath[r.Method+" "+r.URL.Path]
		if !found {
			status = http.StatusNotFound
			text = `{"detail": "no such thing"}`
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(a.Close)
	return a
}

func TestUsage(t *testing.T) {
	t.Parallel()
	help := prewarm(t, "", "--help")
	require.Zero(t, help.code)
	for _, verb := range []string{"demo", "serve", "migrate", "doctor", "request", "plan", "runs", "run", "retry", "restart", "cancel", "status", "width", "simulate", "version"} {
		require.Regexp(t, `(?m)^  `+verb+`\b`, help.out)
		one := prewarm(t, "", verb, "--help")
		require.Zero(t, one.code, verb)
		require.Contains(t, one.out, "Usage: prewarm "+verb)
		require.Contains(t, one.out, "--json", verb)
	}
	for _, args := range [][]string{
		{}, {"nothing"}, {"runs", "--nothing"}, {"run"}, {"runs", "--state=done"}, {"runs", "--limit=x"}, {"serve", "--log=loud"},
		{"serve", "--drain=soon"}, {"runs", "--server=localhost"}, {"runs", "--token-file=/does/not/exist"}, {"request", "/does/not/exist"},
	} {
		r := prewarm(t, "", args...)
		require.Equal(t, exitUsage, r.code, "%v: %s", args, r.err)
		require.Empty(t, r.out)
		require.Contains(t, r.err, "prewarm: ")
	}
}

func TestAWrongConfigurationIsExplainedWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	path := write(t, "prewarm.yaml", "ledger: {dsn: \"u:hunter2@tcp(h)db\", pol: 1}\nqueue: {url: \"redis://:hunter2@h/0\"}\n")
	for _, verb := range []string{"serve", "migrate", "doctor"} {
		r := prewarm(t, "", verb, "--config", path)
		require.Equal(t, exitUsage, r.code, verb)
		require.Contains(t, r.out+r.err, `did you mean "pool"?`)
		require.NotContains(t, r.out+r.err, "hunter2")
		require.NotContains(t, r.out+r.err, "goroutine")
		require.Equal(t, exitUsage, prewarm(t, "", verb, "-c", path+".none").code)
	}
	r := prewarm(t, "", "doctor", "--json", "--config", path)
	require.Equal(t, exitUsage, r.code)
	require.Equal(t, false, document(t, r.out)["ok"])
}

func document(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &m), "stdout must be one JSON document: %s", text)
	return m
}

func TestVersion(t *testing.T) {
	t.Parallel()
	require.Contains(t, prewarm(t, "", "version").out, "prewarm ")
	require.NotEmpty(t, document(t, prewarm(t, "", "version", "--json").out)["version"])
}
