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
	"mime"
	"net/http"
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

func (i identity) may(method string) bool {
	return i.role == config.RoleOperator || method == http.MethodGet || method == http.MethodHead
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

// off: there is nobody to tell apart; see API.guarded for what takes the place of logins.
func (l logins) off() bool { return len(l.tokens) == 0 }

// identify says who sent the request. A wrong token is not made good by a cookie.
func (l logins) identify(r *http.Request, now time.Time) (identity, bool) {
	if l.off() {
		return identity{LoopbackName, config.RoleOperator}, true
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		t, ok := l.bearer(strings.TrimSpace(token))
		return identity{t.Name, t.Role}, ok && strings.EqualFold(scheme, "Bearer")
	}
	if c, err := r.Cookie(cookieName); err == nil {
		return l.session(c.Value, now)
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

// login makes a session for a browser: the token comes as JSON {"token": "…"}, or as a form's field.
func (a *API) login(w http.ResponseWriter, r *http.Request) {
	if a.logins.off() {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	token, err := givenToken(w, r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	t, ok := a.logins.bearer(token)
	if !ok {
		a.log.WarnContext(r.Context(), "login refused", "from", r.RemoteAddr)
		problem(w, http.StatusUnauthorized, "this is not a token of the configuration (http.tokens)")
		return
	}
	http.SetCookie(w, a.cookie(r, sign(t, time.Now().Add(sessionTime).Unix()), int(sessionTime.Seconds())))
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) logout(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, a.cookie(r, "", -1))
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}

func givenToken(w http.ResponseWriter, r *http.Request) (string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginBody)
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		if err := r.ParseForm(); err != nil {
			return "", errors.New("the form cannot be read")
		}
		return r.PostForm.Get("token"), nil
	}
	var body struct{ Token string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return "", errors.New(`send {"token": "…"}`)
	}
	return body.Token, nil
}
