package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
)

// access is what each may do: the status without login, as viewer, as operator.
var access = []struct {
	method, path       string
	nobody, view, oper int
}{
	{"POST", "/v1/requests", 401, 403, 202},
	{"POST", "/v1/shops/{shop}/warm", 401, 403, 202},
	{"GET", "/v1/runs", 401, 200, 200},
	{"GET", "/v1/runs/{id}", 401, 200, 200},
	{"GET", "/v1/runs/{id}/rejects", 401, 200, 200},
	{"POST", "/v1/runs/{id}/retry", 401, 403, 200},
	{"POST", "/v1/runs/{id}/restart", 401, 403, 200},
	{"POST", "/v1/runs/{id}/cancel", 401, 403, 200},
	{"POST", "/v1/runs/{id}/pause", 401, 403, 200},
	{"POST", "/v1/runs/{id}/resume", 401, 403, 200},
	{"POST", "/v1/shops/{shop}/cancel", 401, 403, 200},
	{"POST", "/v1/shops/{shop}/pause", 401, 403, 200},
	{"POST", "/v1/shops/{shop}/resume", 401, 403, 200},
	{"POST", "/v1/datasets/{dataset}/pause", 401, 403, 200},
	{"POST", "/v1/datasets/{dataset}/resume", 401, 403, 200},
	{"POST", "/v1/cancel", 401, 403, 200},
	{"POST", "/v1/pause", 401, 403, 200},
	{"POST", "/v1/resume", 401, 403, 200},
	{"GET", "/v1/switches", 401, 200, 200},
	{"GET", "/v1/requests", 401, 200, 200},
	{"GET", "/v1/requests/{id}", 401, 404, 404},
	{"GET", "/v1/width", 401, 200, 200},
	{"PUT", "/v1/width", 401, 403, 200},
	{"DELETE", "/v1/width/override", 401, 403, 200},
	{"POST", "/v1/plan", 401, 403, 200},
	{"POST", "/v1/audits", 401, 403, 202},
	{"GET", "/v1/audits", 401, 200, 200},
	{"GET", "/v1/audits/{id}", 401, 404, 404},
	{"GET", "/v1/report", 401, 200, 200},
	{"GET", "/report", 401, 200, 200},
	{"GET", "/v1/shops", 401, 200, 200},
	{"GET", "/v1/shops/{shop}/settings", 401, 200, 200},
	{"PUT", "/v1/shops/{shop}/settings", 401, 403, 200},
	{"DELETE", "/v1/shops/{shop}/settings?version=0&reason=done", 401, 403, 200},
	{"POST", "/v1/changes", 401, 403, 202},
	{"GET", "/v1/changes", 401, 200, 200},
	{"GET", "/v1/pods", 401, 200, 200},
	{"GET", "/v1/alerts", 401, 200, 200},
	{"POST", "/v1/alerts/test", 401, 403, 200},
	{"GET", "/v1/me", 401, 200, 200},
	{"GET", "/v1/events", 401, 503, 503}, // the pod stops
	{"GET", "/v1/audit-log", 401, 403, 200},
	{"GET", "/openapi.json", 401, 200, 200},
	{"GET", "/metrics", 401, 200, 200},
	{"HEAD", "/metrics", 401, 200, 200},
	{"GET", "/asynqmon/", 401, 200, 200},
	{"GET", "/asynqmon/api/queues", 401, 200, 200},
	{"POST", "/asynqmon/api/queues/warm:pause", 401, 403, 200},
	{"DELETE", "/asynqmon/api/queues/warm", 401, 403, 200},
	{"GET", "/healthz", 200, 200, 200},
	{"GET", "/readyz", 401, 200, 200},
	{"GET", "/", 401, 200, 200},
	{"GET", "/board/board.js", 401, 200, 200},
	{"POST", "/login", 401, 401, 401}, // without a token in the body
	{"POST", "/logout", 204, 204, 204},
	{"GET", "/login", 401, 405, 405},
	{"POST", "/v1/width", 401, 403, 405},
	{"DELETE", "/", 401, 403, 405},
	{"GET", "/v1/nothing", 401, 404, 404},
	{"GET", "/debug/pprof/", 401, 404, 404},
}

func TestEveryRouteByRole(t *testing.T) {
	t.Parallel()
	for _, c := range access {
		a := newAPI(t, &fake{}, tokens) // one that has seen no wrong token yet
		a.live.close()
		body := map[string]string{
			"POST /v1/requests": "{}", "POST /v1/plan": "{}", "POST /v1/audits": "{}", "POST /v1/changes": "{}", "PUT /v1/shops/{shop}/settings": `{"off": true, "keys": "remove", "version": 0, "reason": "a try"}`, "PUT /v1/width": `{"pin": 4, "for": "1m", "reason": "a try"}`,
		}[c.method+" "+c.path]
		path := strings.NewReplacer("{id}", "r1", "{shop}", "1001", "{dataset}", "users").Replace(c.path)
		for who, want := range map[string]int{"": c.nobody, viewerToken: c.view, operatorToken: c.oper, "wrong": 0} {
			headers := header{}
			if who != "" {
				headers = bearer(who)
			}
			if who == "wrong" {
				want = c.nobody
			}
			w := ask(a, c.method, path, body, headers)
			require.Equal(t, want, w.Code, "%s %s as %q: %s", c.method, c.path, who, w.Body)
			if w.Code >= 400 {
				requireProblem(t, w.Code, w.Header(), w.Body.Bytes())
			}
		}
	}
}

func TestTheTableOfRolesIsComplete(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, c := range access {
		path, _, _ := strings.Cut(c.path, "?")
		listed[c.method+" "+path] = true
	}
	routed := newAPI(t, &fake{}, nil).routed
	require.Greater(t, len(routed), 30)
	for _, pattern := range routed {
		if !strings.Contains(pattern, " ") { // all methods
			pattern = "GET " + pattern
		}
		pattern = strings.NewReplacer("/{$}", "/", "/board/", "/board/board.js").Replace(pattern)
		require.True(t, listed[pattern], "%s is not in the table", pattern)
	}
}

var update = flag.Bool("update", false, "write the table of docs/security.md")

// TestTheRoutesAreDocumented keeps the table of docs/security.md, which -update writes.
func TestTheRoutesAreDocumented(t *testing.T) {
	t.Parallel()
	var rows []string
	for _, pattern := range newAPI(t, &fake{}, tokens).routed {
		method, path, one := strings.Cut(strings.TrimSuffix(pattern, "{$}"), " ")
		methods := []string{method}
		if !one {
			methods, path = []string{"GET", "POST", "DELETE"}, pattern
		}
		for _, method := range methods {
			rows = append(rows, row(method, path))
		}
	}
	slices.Sort(rows)
	table := "| path | method | without a login | viewer | operator |\n|---|---|---|---|---|\n" + strings.Join(rows, "")
	const file = "../../docs/security.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), "<!-- routes -->\n")
	was, after, ends := strings.Cut(rest, "<!-- end of routes -->")
	require.True(t, ok && ends, "the marks are gone")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+"<!-- routes -->\n"+table+"<!-- end of routes -->"+after), 0o644)) //nolint:gosec // a page for everybody
		return
	}
	require.Equal(t, table, was, "go test ./internal/api -run Documented -update writes it")
}

// row says who may send a request.
func row(method, path string) string {
	r := httptest.NewRequest(method, strings.NewReplacer("{", "", "}", "").Replace(path), nil)
	may := map[bool]string{true: "yes", false: "no"}
	is := func(role string) string { return may[public(r) || identity{"x", role}.may(r)] }
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", path, method, is(""), is(config.RoleViewer), is(config.RoleOperator))
}

func requireProblem(t *testing.T, status int, h http.Header, body []byte) {
	t.Helper()
	if len(body) == 0 {
		return // HEAD
	}
	require.Equal(t, "application/problem+json", h.Get("Content-Type"), "%s", body)
	var p struct {
		Title, Detail string
		Status        int
	}
	require.NoError(t, json.Unmarshal(body, &p))
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
}

func TestAsynqmonIsReadOnlyForViewers(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &fake{}, tokens)
	require.Equal(t, "read-only", ask(a, "GET", "/asynqmon/", "", bearer(viewerToken)).Body.String())
	require.Equal(t, "full", ask(a, "GET", "/asynqmon/", "", bearer(operatorToken)).Body.String())

	w := ask(a, "GET", "/asynqmon/queues/warm", "", header{"Accept": "text/html,*/*"})
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Equal(t, "login /asynqmon/queues/warm ", w.Body.String(), "a person is asked for a token")
}
