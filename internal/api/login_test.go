package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
)

func session(t *testing.T, a *API, token string) *http.Cookie {
	t.Helper()
	w := ask(a, "POST", "/login", `{"token": "`+token+`"}`, header{"Content-Type": "application/json"})
	require.Equal(t, http.StatusNoContent, w.Code, w.Body)
	require.Len(t, w.Result().Cookies(), 1)
	return w.Result().Cookies()[0]
}

func cookie(c *http.Cookie) header { return header{"Cookie": c.Name + "=" + c.Value} }

func TestASessionIsWorthItsToken(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	c := session(t, a, viewerToken)
	require.True(t, c.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.False(t, c.Secure, "plain HTTP")
	require.NotContains(t, c.Value, viewerToken)
	require.Equal(t, 200, ask(a, "GET", "/v1/runs", "", cookie(c)).Code)
	require.Equal(t, 403, ask(a, "POST", "/v1/runs/r1/retry", "", cookie(c)).Code)

	c = session(t, a, operatorToken)
	require.Equal(t, 200, ask(a, "POST", "/v1/runs/r1/retry", "", cookie(c)).Code)
	require.Equal(t, "on-call", f.who)
	require.Equal(t, 200, ask(newAPI(t, &fake{}, tokens), "GET", "/v1/runs", "", cookie(c)).Code, "another pod accepts it")
	require.Equal(t, 401, ask(a, "GET", "/v1/runs", "", cookie(c), bearer("wrong")).Code, "a wrong token is not made good")

	form := header{"Content-Type": "application/x-www-form-urlencoded"}
	w := ask(a, "POST", "/login", "next=/asynqmon/queues/x&token="+viewerToken, form)
	require.Equal(t, 303, w.Code)
	require.Equal(t, "/asynqmon/queues/x", w.Header().Get("Location"))
	require.NotEmpty(t, w.Result().Cookies())
	for _, next := range []string{"", "/", "//evil.example/asynqmon/", "https://evil.example/asynqmon/", "/\\evil.example", "/v1/runs"} {
		w := ask(a, "POST", "/login", url.Values{"token": {viewerToken}, "next": {next}}.Encode(), form)
		require.Equal(t, "/", w.Header().Get("Location"), next)
	}
	w = ask(a, "POST", "/login", "next=/asynqmon/&token=wrong", form)
	require.Contains(t, w.Body.String(), "login /asynqmon/ this is not a token")
	require.Empty(t, w.Result().Cookies())
	require.Equal(t, 303, ask(a, "POST", "/logout", "", form, cookie(c)).Code)
	require.Equal(t, 401, ask(a, "POST", "/login", "token=wrong", form).Code)
	require.Equal(t, 401, ask(a, "POST", "/login", "token=", form).Code)
	require.Equal(t, 400, ask(a, "POST", "/login", strings.Repeat("x", 10<<10), header{"Content-Type": "application/json"}).Code)
	require.Negative(t, ask(a, "POST", "/logout", "", cookie(c)).Result().Cookies()[0].MaxAge)
	require.True(t, ask(a, "POST", "/login", "token="+viewerToken, form, header{"X-Forwarded-Proto": "https"}).Result().Cookies()[0].Secure)
}

func TestASessionCannotBeMadeOrKept(t *testing.T) {
	t.Parallel()
	l, now := newLogins(tokens), noon
	good := sign(tokens[1], now.Add(time.Minute).Unix())
	who, ok := l.session(good, now)
	require.True(t, ok)
	require.Equal(t, identity{"on-call", config.RoleOperator}, who)

	_, ok = l.session(good, now.Add(time.Minute))
	require.False(t, ok, "it ends")
	parts := strings.Split(good, ".")
	for name, value := range map[string]string{
		"empty": "", "longer": parts[0] + ".99999999999." + parts[2], "another's name": "Z3JhZmFuYQ." + parts[1] + "." + parts[2],
		"unsigned": parts[0] + "." + parts[1] + ".", "padded": good + ".", "not a number": parts[0] + ".x." + parts[2],
	} {
		_, ok := l.session(value, now)
		require.False(t, ok, name)
	}
	_, ok = newLogins([]config.Token{{Name: "on-call", Role: config.RoleOperator, Token: "changed"}}).session(good, now)
	require.False(t, ok, "a changed token ends its sessions")
	_, ok = newLogins([]config.Token{{Name: "on-call", Role: config.RoleViewer, Token: operatorToken}}).session(good, now)
	require.False(t, ok, "so does a changed role")
	_, ok = newLogins([]config.Token{{Name: "none"}}).bearer("")
	require.False(t, ok, "an empty token lets nobody in")
}

func TestWithoutTokensOnlyLoopbackIsServed(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{":8080", "0.0.0.0:8080", "10.1.2.3:8080", "prewarm.example:8080"} {
		_, err := New(Deps{Listen: listen})
		require.ErrorIs(t, err, ErrOpen)
		require.ErrorContains(t, err, "http.tokens")
	}
	f := &fake{}
	a := newAPI(t, f, nil)
	require.Equal(t, 200, ask(a, "POST", "/v1/runs/r1/retry", "").Code)
	require.Equal(t, LoopbackName, f.who)
	require.Equal(t, 204, ask(a, "POST", "/login", "").Code)
	for host, want := range map[string]int{
		"localhost:1": 200, "127.0.0.1": 200, "[::1]:8080": 200, "evil.example": 403, "localhost.evil.example:8080": 403, "10.0.0.1": 403,
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/v1/runs", nil)
		require.NoError(t, err)
		w := serve(a, r)
		require.Equal(t, want, w.Code, host)
	}
}

func TestPagesOfOthersCannotAct(t *testing.T) {
	t.Parallel()
	loopback, open := newAPI(t, &fake{}, nil), newAPI(t, &fake{}, tokens)
	c := cookie(session(t, open, operatorToken))
	for name, h := range map[string]header{
		"cross-site": {"Sec-Fetch-Site": "cross-site"}, "same-site": {"Sec-Fetch-Site": "same-site"},
		"old browser": {"Origin": "http://evil.example"}, "null origin": {"Origin": "null"},
	} {
		require.Equal(t, 403, ask(loopback, "POST", "/v1/runs/r1/retry", "", h).Code, name)
		require.Equal(t, 403, ask(open, "POST", "/v1/runs/r1/retry", "", h, c).Code, name)
		require.Equal(t, 403, ask(open, "DELETE", "/asynqmon/api/queues/warm", "", h, c).Code, name)
		require.Equal(t, 403, ask(open, "POST", "/login", "", h).Code, name)
	}
	for name, h := range map[string]header{
		"our page": {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8080"}, "curl": {},
	} {
		require.Equal(t, 200, ask(loopback, "POST", "/v1/runs/r1/retry", "", h).Code, name)
		require.Equal(t, 200, ask(open, "POST", "/v1/runs/r1/retry", "", h, c).Code, name)
	}
}
