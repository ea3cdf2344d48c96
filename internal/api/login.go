package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// ErrOpen: the address can be reached from elsewhere, and there is no token to keep strangers out.
var ErrOpen = errors.New("refusing to listen without tokens")

func openError(listen string) error {
	return fmt.Errorf("%w on %s, which other machines can reach; listen on 127.0.0.1:8080, or configure http.tokens", ErrOpen, listen)
}

// LoopbackName is who acts when no tokens are configured.
const LoopbackName = "loopback"

const (
	cookieName   = "prewarm_session"
	sessionTime  = 12 * time.Hour // an evening and its aftermath
	maxLoginBody = 4 << 10        // bytes
)

// identity is who sent a request.
type identity struct{ name, role string }

func (i identity) may(r *http.Request) bool {
	switch i.role {
	case config.RoleOperator:
		return true
	case config.RoleViewer:
		return reads(r.Method) && r.URL.Path != auditPath
	case config.RoleChanges:
		return r.Method == http.MethodPost && r.URL.Path == changesPath
	}
	return false
}

type identityKey struct{}

// whoIs is the sender of a request; nobody outside the guarded handlers.
func whoIs(ctx context.Context) identity {
	who, _ := ctx.Value(identityKey{}).(identity)
	return who
}

// logins knows the tokens. A session is a cookie `name.end.mac` signed with the bearer's own token, so that every pod
// accepts the cookies of every other without sharing anything else, and taking a token away ends its sessions.
type logins struct{ tokens []config.Token }

func newLogins(tokens []config.Token) logins { return logins{tokens} }

// open: there is nobody to tell apart; see API.guarded for what takes the place of logins.
func (a *API) open() bool { return len(a.logins.tokens) == 0 && a.proxy == nil }

// identify says who sent the request. A wrong token is not made good by a cookie or a proxy.
func (a *API) identify(r *http.Request, now time.Time) (identity, bool) {
	if a.open() {
		return identity{LoopbackName, config.RoleOperator}, true
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		t, ok := a.logins.bearer(strings.TrimSpace(token))
		return identity{t.Name, t.Role}, ok && strings.EqualFold(scheme, "Bearer")
	}
	if who, ok := a.proxy.identify(r); ok {
		return who, true
	}
	if c, err := r.Cookie(cookieName); err == nil {
		return a.logins.session(c.Value, now)
	}
	return identity{}, false
}

// bearer finds a token in a time that depends neither on which it is nor on how much of it is right.
func (l logins) bearer(token string) (found config.Token, ok bool) {
	given := sha256.Sum256([]byte(token))
	for _, t := range l.tokens {
		want := sha256.Sum256([]byte(t.Token))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 && t.Token != "" {
			found, ok = t, true
		}
	}
	return found, ok
}

func (l logins) session(value string, now time.Time) (identity, bool) {
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		return identity{}, false
	}
	end, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || !now.Before(time.Unix(end, 0)) {
		return identity{}, false
	}
	for _, t := range l.tokens {
		if hmac.Equal([]byte(value), []byte(sign(t, end))) {
			return identity{t.Name, t.Role}, true
		}
	}
	return identity{}, false
}

// sign makes the cookie of a session that ends at a Unix time.
func sign(t config.Token, end int64) string {
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(t.Name)) + "." + strconv.FormatInt(end, 10)
	mac := hmac.New(sha256.New, []byte(t.Token))
	mac.Write([]byte("prewarm session 1\x00" + t.Role + "\x00" + text))
	return text + "." + enc.EncodeToString(mac.Sum(nil))
}

// login makes a session for a browser: the token comes as JSON {"token": "…"}, or from the login page's form, which
// leads on to the page that was asked for.
func (a *API) login(w http.ResponseWriter, r *http.Request) {
	given, err := givenToken(w, r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if !a.open() {
		client, now := a.proxy.client(r), time.Now()
		if wait := a.wrong.wait(client, now); wait > 0 {
			tooMany(w, wait, "too many wrong tokens came from "+client)
			return
		}
		t, ok := a.logins.bearer(given.Token)
		if !ok {
			a.wrong.use(client, now)
			a.log.WarnContext(r.Context(), "login refused", "from", client)
			a.refuse(w, given)
			return
		}
		http.SetCookie(w, a.cookie(r, sign(t, time.Now().Add(sessionTime).Unix()), int(sessionTime.Seconds())))
	}
	given.leadOn(w, r)
}

func (a *API) refuse(w http.ResponseWriter, given credentials) {
	const wrong = "this is not a token of the configuration (http.tokens)"
	if given.form {
		a.deps.Login(w, http.StatusUnauthorized, given.Next, wrong)
		return
	}
	problem(w, http.StatusUnauthorized, wrong)
}

func (a *API) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, a.cookie(r, "", -1))
	credentials{form: isForm(r)}.leadOn(w, r)
}

func (a *API) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}

// credentials are what a login brings.
type credentials struct {
	Token string
	Next  string `json:"-"` // where a form leads to
	form  bool
}

// leadOn answers what went well: to a form with another page, of this server only.
func (c credentials) leadOn(w http.ResponseWriter, r *http.Request) {
	if !c.form {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	next := "/"
	if u, err := url.Parse(c.Next); err == nil && u.Host == "" && u.Scheme == "" && strings.HasPrefix(u.Path, MonitorPath+"/") {
		next = u.Path
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func isForm(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/x-www-form-urlencoded"
}

func givenToken(w http.ResponseWriter, r *http.Request) (given credentials, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginBody)
	if isForm(r) {
		if err := r.ParseForm(); err != nil {
			return given, errors.New("the form cannot be read")
		}
		return credentials{r.PostForm.Get("token"), r.PostForm.Get("next"), true}, nil
	}
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil && !errors.Is(err, io.EOF) {
		return given, errors.New(`send {"token": "…"}`)
	}
	return given, nil
}
