// Package api owns prewarm's HTTP side: the routes under /v1, who may use them, and the form of what they answer. What
// an answer says comes from the parts that Deps hands in.
//
// Every error is a problem document (RFC 9457). Whoever calls is a viewer, who may read, or an operator, who may act
// too; see login.go.
package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// Intake takes requests in.
type Intake interface {
	// Accept answers a request document; its errors are intake.ErrMalformed, intake.ErrTooLarge, or of a server that
	// does not answer.
	Accept(ctx context.Context, body []byte, via string) (intake.Answer, error)
	WarmNow(ctx context.Context, shop string, w intake.WarmNow) (intake.Outcome, error)
}

// Runs shows the work and lets people act on it. Errors are ledger.ErrNotFound, ledger.ErrState, or of a server that
// does not answer. Who acted, and why, is recorded with what was done.
type Runs interface {
	Runs(ctx context.Context, f ledger.RunFilter) (runs []ledger.Run, next string, err error)
	Run(ctx context.Context, id string) (Story, error)
	Rejects(ctx context.Context, id string) ([]ledger.RejectedRow, error)
	Switches(ctx context.Context) ([]ledger.Switch, error)
	// Verdicts are of the open runs, by their id, for lists. There is none of a run that is not known yet.
	Verdicts(ctx context.Context) map[string]pace.Verdict
	Retry(ctx context.Context, id string, by ledger.By) error
	Restart(ctx context.Context, id string, by ledger.By) error
	// Cancel says how many runs it called off, and how many of a shop, or of all, it left because they are ready.
	Cancel(ctx context.Context, on ledger.Scope, by ledger.By) (cancelled, ready int, err error)
	Pause(ctx context.Context, on ledger.Scope, by ledger.By) error
	Resume(ctx context.Context, on ledger.Scope, by ledger.By) error
	// Requests are from before a time on, newest first; zero: from the newest.
	Requests(ctx context.Context, before time.Time, limit int) ([]ledger.Request, error)
	// Request is a request and what has become of its runs.
	Request(ctx context.Context, id string) (ledger.Request, ledger.Batch, error)
}

// Story is one run with all that is known of it.
type Story struct {
	ledger.Run
	Units    []ledger.Unit
	Timeline []ledger.Event
	Switches []ledger.Switch // all that are in force
	Holder   string          // the run that holds the shop's lease; empty: none, or not known
	Verdict  *pace.Verdict   // nil: not known
}

// Health says how the process and the cluster are.
type Health interface {
	// Ready is nil if requests can be served; what is wrong is logged and not shown to strangers.
	Ready(ctx context.Context) error
	Pods(ctx context.Context) ([]ledger.Pod, error)
}

// Width says how many slots are in force, and lets people set that. Errors are of a server that does not answer.
type Width interface {
	Width(ctx context.Context) (WidthNow, error)
	// Now is the clock by which an override ends.
	Now(ctx context.Context) (time.Time, error)
	// Override replaces what was set before. It is valid within the bounds that Width answers, and Width shows it from now
	// on; the law heeds it with its next decision.
	Override(ctx context.Context, o pace.Override) error
	// ClearOverride is fine if there is nothing to end.
	ClearOverride(ctx context.Context, by ledger.By) error
}

// Deps is what an API stands on. Handlers that are nil are not mounted; all else is needed.
type Deps struct {
	Intake  Intake
	Runs    Runs
	Health  Health
	Width   Width
	Plans   Plans
	Alerts  Alerts
	History History
	Audits  Audits
	Roles   map[string]string // what the caches are for, by their names
	Journal Journal
	Reports Reports
	Changes Changes
	Shops   Shops

	Datasets []string // the names of all

	Board           http.Handler                                                // the page at / and its files under /board/
	Login           func(w http.ResponseWriter, status int, next, wrong string) // answers the page that asks for a token
	Monitor         http.Handler                                                // asynqmon with RootPath MonitorPath, for operators
	MonitorReadOnly http.Handler                                                // the same with ReadOnly, for viewers
	Metrics         http.Handler
	Around          func(http.Handler) http.Handler // put around all routes; nil: nothing is

	Listen  string         // host:port; port 0 takes a free one
	Tokens  []config.Token // none: Listen must be a loopback address, and everybody is an operator
	Proxy   *config.Proxy  // nil: no proxy is believed
	TLS     *config.TLS    // nil: plain HTTP
	Version string
	Log     *slog.Logger // default: slog.Default()
}

// MonitorPath is where asynqmon is mounted.
const MonitorPath = "/asynqmon"

// API answers HTTP requests, with or without a listener of its own.
type API struct {
	deps    Deps
	log     *slog.Logger
	logins  logins
	live    live
	proxy   *proxied
	wrong   limiter // logins and tokens
	writes  limiter
	routed  []string // the patterns of all routes
	handler http.Handler
	server
}

// New puts the routes together. It starts nothing; it refuses to be open to strangers (ErrOpen).
func New(deps Deps) (*API, error) {
	if len(deps.Tokens) == 0 && deps.Proxy == nil && !config.Loopback(deps.Listen) {
		return nil, openError(deps.Listen)
	}
	a := &API{deps: deps, log: cmp.Or(deps.Log, slog.Default()), logins: newLogins(deps.Tokens), proxy: newProxied(deps.Proxy),
		wrong: limiter{atOnce: wrongAtOnce, every: wrongEvery}, writes: limiter{atOnce: writeAtOnce, every: writeEvery}}
	a.live = live{read: a.look, history: deps.History}
	a.handler = a.guarded(a.routes())
	if deps.Around != nil {
		a.handler = deps.Around(a.handler)
	}
	return a, nil
}

// Handler is everything that the API serves.
func (a *API) Handler() http.Handler { return a.handler }

func (a *API) routes() *http.ServeMux {
	mux := &router{}
	a.resources(mux)
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /v1/events", a.events)
	mux.HandleFunc("POST /login", a.login)
	mux.HandleFunc("POST /logout", a.logout)
	if a.deps.Board != nil {
		mux.Handle("GET /{$}", a.deps.Board)
		mux.Handle("GET /board/", a.deps.Board)
	}
	if a.deps.Monitor != nil {
		mux.HandleFunc(MonitorPath+"/", a.monitor)
	}
	if a.deps.Metrics != nil {
		mux.Handle("GET /metrics", a.deps.Metrics)
	}
	a.routed = mux.patterns
	return &mux.ServeMux
}

// router is a mux that remembers its patterns.
type router struct {
	http.ServeMux
	patterns []string
}

func (m *router) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.Handle(pattern, h)
}

func (m *router) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(h))
}

// monitorPolicy is what asynqmon's page needs: it has a script and styles in itself.
const monitorPolicy = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self' data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// monitor shows asynqmon, without its buttons to those who may not press them.
func (a *API) monitor(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", monitorPolicy)
	if whoIs(r.Context()).role == config.RoleOperator {
		a.deps.Monitor.ServeHTTP(w, r)
		return
	}
	a.deps.MonitorReadOnly.ServeHTTP(w, r)
}

// healthz is open to everybody, and therefore says nothing but that the process lives, or, with ?ready, whether it is
// ready: probes of Kubernetes cannot send a token.
func (a *API) healthz(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("ready") {
		a.readyz(w, r)
		return
	}
	plain(w, http.StatusOK, "ok")
}

func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	if err := a.deps.Health.Ready(r.Context()); err != nil {
		a.log.WarnContext(r.Context(), "not ready", "error", err)
		plain(w, http.StatusServiceUnavailable, "not ready")
		return
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
