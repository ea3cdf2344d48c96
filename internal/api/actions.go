package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Journal keeps what people do.
type Journal interface {
	Record(ctx context.Context, a ledger.Action) error
	// Actions are the newest that are older than before (zero: all), newest first.
	Actions(ctx context.Context, before time.Time, limit int) ([]ledger.Action, error)
}

// Action is an entry of the audit log.
type Action struct {
	At     *time.Time `json:"at"`
	Who    string     `json:"who"`
	Role   string     `json:"role"`
	From   string     `json:"from" doc:"the client's address"`
	Action string     `json:"action" doc:"method and path"`
	Reason string     `json:"reason"`
	Change string     `json:"change" doc:"what was and what is now, where the path alone does not say; empty elsewhere"`
	Status int        `json:"status" doc:"of the answer; 403: it was not allowed"`
}

// ActionList answers GET /v1/audit-log.
type ActionList struct {
	Actions []Action `json:"actions" doc:"newest first"`
}

// recordTime bounds the writing of an action, which goes on when the client has left.
const recordTime = 5 * time.Second

type saidKey struct{}

// said is what is recorded of an action beside its path.
type said struct{ why, change string }

// because remembers why somebody does what they do.
func because(ctx context.Context, reason string) {
	if s, ok := ctx.Value(saidKey{}).(*said); ok {
		s.why = reason
	}
}

// changed remembers what was and what is now.
func changed(ctx context.Context, change string) {
	if s, ok := ctx.Value(saidKey{}).(*said); ok {
		s.change = change
	}
}

// audited writes down what is asked for that would change something, with its outcome, refused or not.
func (a *API) audited(who identity, w http.ResponseWriter, r *http.Request, next http.Handler) {
	if reads(r.Method) {
		next.ServeHTTP(w, r)
		return
	}
	why, rec := said{}, &recorder{ResponseWriter: w}
	defer func() { a.record(r, who, why, cmp.Or(rec.status, http.StatusInternalServerError)) }() // also after a panic
	next.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), saidKey{}, &why)))
	rec.status = cmp.Or(rec.status, http.StatusOK)
}

func (a *API) record(r *http.Request, who identity, said said, status int) {
	done := ledger.Action{Who: who.name, Role: who.role, Client: a.proxy.client(r), Action: r.Method + " " + r.URL.EscapedPath(), Reason: said.why, Change: said.change, Status: status}
	a.log.InfoContext(r.Context(), "action", "who", done.Who, "role", done.Role, "from", done.Client, "action", done.Action, "reason", done.Reason, "changed", done.Change, "status", done.Status)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), recordTime)
	defer cancel()
	if err := a.deps.Journal.Record(ctx, done); err != nil {
		a.log.ErrorContext(ctx, "an action is in this log only", "who", done.Who, "action", done.Action, "error", err)
	}
}

const auditPath = "/v1/audit-log"

// actions registers the audit log, which operators may read.
func (a *API) actions(h huma.API) {
	huma.Register(h, op(http.MethodGet, auditPath, "list-actions", "What people did, newest first; for operators"),
		func(ctx context.Context, in *struct {
			Before time.Time `query:"before" doc:"only what was done before this"`
			Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		}) (*out[ActionList], error) {
			all, err := a.deps.Journal.Actions(ctx, in.Before, in.Limit)
			list := ActionList{Actions: make([]Action, len(all))}
			for i, x := range all {
				list.Actions[i] = Action{At: at(x.At), Who: x.Who, Role: x.Role, From: x.Client, Action: x.Action, Reason: x.Reason, Change: x.Change, Status: x.Status}
			}
			return answer(list, err)
		})
}
