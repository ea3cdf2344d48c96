package api

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// proxiedAPI believes a proxy at 192.0.2.1, where httptest's requests come from.
func proxiedAPI(t *testing.T, f *fake) *API {
	t.Helper()
	deps := newAPI(t, f, nil).deps
	deps.Listen, deps.Tokens = "10.0.0.1:8080", tokens
	deps.Proxy = &config.Proxy{Trusted: []string{"192.0.2.0/24"}, UserHeader: "X-User", RoleHeader: "X-Groups",
		Operators: []string{"on-call"}, Viewers: []string{"engineering"}}
	a, err := New(deps)
	require.NoError(t, err)
	return a
}

func TestAProxySaysWhoAsks(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := proxiedAPI(t, f)
	as := func(user, groups string) header { return header{"X-User": user, "X-Groups": groups} }
	const act = "/v1/runs/r1/retry"
	require.Equal(t, 200, ask(a, "POST", act, "", as("ann", "hr, on-call")).Code)
	require.Equal(t, "ann", f.who)
	require.Equal(t, 403, ask(a, "POST", act, "", as("bob", "engineering")).Code)
	require.Equal(t, 200, ask(a, "GET", "/v1/runs", "", as("bob", "engineering")).Code)
	for name, h := range map[string]header{
		"no group": as("eve", "hr"), "no user": {"X-Groups": "on-call"}, "an empty user": as(" ", "on-call"), "no header": {},
		"part of a group": as("eve", "on-call-2"), "a wrong token beside it": {"X-User": "ann", "X-Groups": "on-call", "Authorization": "Bearer wrong"},
	} {
		require.Equal(t, 401, ask(a, "GET", "/v1/runs", "", h).Code, name)
	}
	require.Equal(t, 200, ask(a, "GET", "/v1/runs", "", bearer(viewerToken)).Code, "tokens go on to count")

	r := httptest.NewRequest("GET", "/v1/runs", nil)
	r.Header.Set("X-User", "ann")
	r.Header["X-Groups"] = []string{"on-call", "hr"}
	require.Equal(t, 401, serve(a, r).Code, "a header that is there twice")
	r = httptest.NewRequest("GET", "/v1/runs", nil)
	r.RemoteAddr = "198.51.100.7:1234"
	r.Header.Set("X-User", "ann")
	r.Header.Set("X-Groups", "on-call")
	require.Equal(t, 401, serve(a, r).Code, "somebody else who says so")
}

func TestTheClientIsTheProxysLastWord(t *testing.T) {
	t.Parallel()
	p := newProxied(&config.Proxy{Trusted: []string{"192.0.2.1", "2001:db8::/32"}})
	for _, c := range []struct{ from, forwarded, want string }{
		{"192.0.2.1:1", "", "192.0.2.1"},
		{"192.0.2.1:1", "203.0.113.9", "203.0.113.9"},
		{"192.0.2.1:1", "6.6.6.6, 203.0.113.9", "203.0.113.9"},
		{"192.0.2.1:1", "203.0.113.9, nonsense", "192.0.2.1"},
		{"[::ffff:192.0.2.1]:1", "203.0.113.9", "203.0.113.9"},
		{"[2001:db8::1]:1", "203.0.113.9", "203.0.113.9"},
		{"198.51.100.7:1", "203.0.113.9", "198.51.100.7"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.from
		r.Header.Set("X-Forwarded-For", c.forwarded)
		require.Equal(t, c.want, p.client(r), "%+v", c)
	}
}

func TestGuessingTokensIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, &fake{}, tokens)
		c := cookie(session(t, a, operatorToken))
		for range wrongAtOnce / 2 {
			require.Equal(t, 401, ask(a, "GET", "/v1/runs", "", bearer("wrong")).Code)
			require.Equal(t, 401, ask(a, "POST", "/login", `{"token": "wrong"}`).Code)
		}
		for _, w := range []*httptest.ResponseRecorder{
			ask(a, "GET", "/v1/runs", "", bearer(operatorToken)), ask(a, "POST", "/login", `{"token": "`+operatorToken+`"}`),
		} {
			require.Equal(t, 429, w.Code, "also the right one, or guessing would go on")
			require.Equal(t, "7", w.Header().Get("Retry-After"))
			requireProblem(t, 429, w.Header(), w.Body.Bytes())
		}
		require.Equal(t, 200, ask(a, "GET", "/v1/runs", "", c).Code, "who is logged in stays so")
		r := httptest.NewRequest("GET", "/v1/runs", nil)
		r.RemoteAddr = "198.51.100.7:1234"
		r.Header.Set("Authorization", "Bearer "+viewerToken)
		require.Equal(t, 200, serve(a, r).Code, "another client")
		time.Sleep(wrongEvery)
		require.Equal(t, 200, ask(a, "GET", "/v1/runs", "", bearer(operatorToken)).Code)
	})
}

func TestChangesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, &fake{}, tokens)
		for range writeAtOnce {
			require.Equal(t, 200, ask(a, "POST", "/v1/runs/r1/pause", "", bearer(operatorToken)).Code)
		}
		require.Equal(t, 429, ask(a, "POST", "/v1/runs/r1/pause", "", bearer(operatorToken)).Code)
		require.Equal(t, 200, ask(a, "GET", "/v1/runs", "", bearer(operatorToken)).Code)
		time.Sleep(writeEvery)
		require.Equal(t, 200, ask(a, "POST", "/v1/runs/r1/pause", "", bearer(operatorToken)).Code)
	})
}

func TestALimiterForgets(t *testing.T) {
	t.Parallel()
	l := limiter{atOnce: 1, every: time.Second}
	now := noon
	for i := range 3 * keptClients {
		now = now.Add(time.Millisecond)
		l.use(string(rune(i)), now)
		require.LessOrEqual(t, len(l.clients), keptClients)
	}
	require.Less(t, len(l.clients), keptClients)
}

func TestWhatPeopleDoIsRecorded(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	ask(a, "POST", "/v1/runs/r1/cancel", `{"reason": "the wrong shop"}`, bearer(operatorToken))
	ask(a, "PUT", "/v1/width", `{"pin": 4, "for": "1m", "reason": "a try"}`, bearer(operatorToken))
	ask(a, "DELETE", "/v1/width/override?reason=enough", "", bearer(operatorToken))
	ask(a, "POST", "/v1/shops/1001/warm", `{"reason": "they asked"}`, bearer(operatorToken))
	ask(a, "DELETE", "/asynqmon/api/queues/warm", "", bearer(operatorToken))
	ask(a, "POST", "/v1/requests", "bug", bearer(operatorToken))
	ask(a, "POST", "/v1/runs/none/cancel", "", bearer(operatorToken))
	ask(a, "POST", "/v1/pause", `{"reason": "never"}`, bearer(viewerToken))
	ask(a, "POST", "/v1/pause", "", bearer("wrong"))
	ask(a, "GET", "/v1/runs", "", bearer(viewerToken))
	op := func(action, reason string, status int) ledger.Action {
		return ledger.Action{Who: "on-call", Role: "operator", Client: "192.0.2.1", Action: action, Reason: reason, Status: status}
	}
	require.Equal(t, []ledger.Action{
		op("POST /v1/runs/r1/cancel", "the wrong shop", 200),
		op("PUT /v1/width", "a try", 200),
		op("DELETE /v1/width/override", "enough", 200),
		op("POST /v1/shops/1001/warm", "they asked", 202),
		op("DELETE /asynqmon/api/queues/warm", "", 200),
		op("POST /v1/requests", "", 500),
		op("POST /v1/runs/none/cancel", "", 404),
		{Who: "grafana", Role: "viewer", Client: "192.0.2.1", Action: "POST /v1/pause", Status: 403},
	}, f.actions)
	w := ask(a, "GET", "/v1/audit-log", "", bearer(operatorToken))
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `"who":"on-call","role":"operator","from":"192.0.2.1","action":"POST /v1/runs/r1/cancel","reason":"the wrong shop"`)
}

// FuzzRequests: whatever is asked for, strangers get nothing and viewers change nothing.
func FuzzRequests(f *testing.F) {
	for _, c := range access {
		f.Add(c.method, strings.NewReplacer("{id}", "r1", "{shop}", "1001").Replace(c.path), `{"reason": "x"}`)
	}
	f.Add("PUT", "/v1/width", `{"pin": 4, "for": "1m", "reason": "a try"}`)
	f.Add("POST", "//v1/pause", "{}")
	f.Add("post", "/v1/../v1/pause", "{}")
	deps := Deps{Log: slog.New(slog.DiscardHandler)}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		fake := &fake{}
		a := newAPI(t, fake, tokens)
		a.log = deps.Log
		a.live.close()
		for _, token := range []string{"", viewerToken, operatorToken} {
			r, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
			if err != nil || !strings.HasPrefix(path, "/") || strings.Contains(body, "bug") || strings.Contains(body, "down") {
				return
			}
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			w := serve(a, r)
			said, err := io.ReadAll(w.Body)
			require.NoError(t, err)
			switch {
			case token == "" && !public(r):
				require.Equal(t, 401, w.Code, "%s %s: %s", method, path, said)
			case token != operatorToken:
				require.Empty(t, fake.turned)
				require.Empty(t, fake.body)
				require.Empty(t, fake.who)
				require.Nil(t, fake.override)
			default:
				require.True(t, w.Code < 500 || w.Code == 503, "%s %s: %d %s", method, path, w.Code, said)
			}
		}
	})
}
