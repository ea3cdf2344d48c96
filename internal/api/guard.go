package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"
)

// drain is how many bytes of a refused body are still read, so that a client that only reads after writing gets its
// answer instead of a broken connection.
const drain = 16 << 20

// guarded is everything that happens to a request before its route sees it.
func (a *API) guarded(mux *http.ServeMux) http.Handler {
	h := a.mapped(mux)
	h = a.allowed(h)
	h = a.local(h)
	return a.observed(h)
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// observed logs requests, survives their panics, and sets the headers that all answers have.
func (a *API) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, rec := time.Now(), &recorder{ResponseWriter: w}
		body := r.Body
		rec.Header().Set("X-Content-Type-Options", "nosniff")
		rec.Header().Set("X-Frame-Options", "DENY")
		rec.Header().Set("Referrer-Policy", "same-origin")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so as well
					panic(p) //nolint:forbidigo // it is how a handler breaks an answer off
				}
				a.log.ErrorContext(r.Context(), "panic in a request", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				if rec.status == 0 {
					problem(rec, http.StatusInternalServerError, "prewarm has a bug here; its log has the details")
				}
			}
			if rec.status == http.StatusRequestEntityTooLarge {
				_, _ = io.CopyN(io.Discard, body, drain)
			}
			a.log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", rec.status,
				"from", r.RemoteAddr, "took", time.Since(began))
		}()
		next.ServeHTTP(rec, r)
	})
}

// local keeps web pages of others away while there are no logins: a name that somebody lets point to 127.0.0.1 (DNS
// rebinding) would make their page same-origin with us.
func (a *API) local(next http.Handler) http.Handler {
	if !a.open() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) {
			problem(w, http.StatusForbidden, "without tokens prewarm answers only to localhost and loopback addresses; configure http.tokens to use other names")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// public says which requests need no login: to see whether the process lives, and to log in.
func public(r *http.Request) bool {
	switch r.URL.Path {
	case "/login", "/logout":
		return r.Method == http.MethodPost
	case "/healthz":
		return reads(r.Method)
	}
	return false
}

// reads says that a request changes nothing.
func reads(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// allowed lets those in who may do what they ask for.
func (a *API) allowed(next http.Handler) http.Handler {
	var origin http.CrossOriginProtection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin.Check(r) != nil {
			problem(w, http.StatusForbidden, "a page of another site sent this request")
			return
		}
		if public(r) {
			next.ServeHTTP(w, r)
			return
		}
		now, client := time.Now(), a.proxy.client(r)
		guesses := r.Header.Get("Authorization") != ""
		if wait := a.wrong.wait(client, now); guesses && wait > 0 {
			tooMany(w, wait, "too many wrong tokens came from "+client)
			return
		}
		who, ok := a.identify(r, now)
		if guesses && !ok {
			a.wrong.use(client, now)
		}
		if wait := a.writes.wait(client, now); ok && !reads(r.Method) {
			if wait > 0 {
				tooMany(w, wait, "too many changes at a time come from "+client)
				return
			}
			a.writes.use(client, now)
		}
		switch {
		case !ok && toBrowser(r):
			a.deps.Login(w, http.StatusUnauthorized, r.URL.Path, "")
		case !ok:
			w.Header().Set("WWW-Authenticate", `Bearer realm="prewarm"`)
			problem(w, http.StatusUnauthorized, "send Authorization: Bearer with a token of the configuration (http.tokens)")
		case !who.may(r):
			a.audited(who, w, r, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				problem(w, http.StatusForbidden, who.name+" has the role "+who.role+", and this needs an operator")
			}))
		default:
			a.audited(who, w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)), next)
		}
	})
}

// toBrowser says whether a person opened a page.
func toBrowser(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
}
