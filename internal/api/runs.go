package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

type runFilter struct {
	State     []string  `query:"state" enum:"planned,warming,ready,failed,cancelled,skipped" doc:"one or more, with commas"`
	Shop      string    `query:"shop"`
	Broadcast string    `query:"broadcast"`
	EndsAfter time.Time `query:"ends_after" doc:"only broadcasts that end later than this"`
	Limit     int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Next      string    `query:"next" doc:"the next of the page before"`
}

type runID struct {
	ID string `path:"id" doc:"the run's id"`
}

// RunList answers GET /v1/runs.
type RunList struct {
	Runs []Run  `json:"runs" doc:"newest first"`
	Next string `json:"next" doc:"for the next page; empty on the last"`
}

// RunDetail answers GET /v1/runs/{id}.
type RunDetail struct {
	Run
	Units    []Unit  `json:"units"`
	Timeline []Event `json:"timeline" doc:"what happened, oldest first"`
}

// Reason is the optional body of what people do.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"why; recorded with who did it"`
}

type runAct struct {
	ID   string `path:"id" doc:"the run's id"`
	Body *Reason
}

// RejectList answers GET /v1/runs/{id}/rejects.
type RejectList struct {
	Rejects []Reject `json:"rejects"`
}

// runs registers what shows and moves runs.
func (a *API) runs(h huma.API) {
	huma.Register(h, op(http.MethodGet, "/v1/runs", "list-runs", "Runs, newest first"), a.list)
	huma.Register(h, op(http.MethodGet, "/v1/runs/{id}", "get-run", "One run with its units", http.StatusNotFound), a.one)
	huma.Register(h, op(http.MethodGet, "/v1/runs/{id}/rejects", "list-rejects", "Rows that could not be encoded", http.StatusNotFound),
		func(ctx context.Context, in *runID) (*out[RejectList], error) {
			rows, err := a.deps.Runs.Rejects(ctx, in.ID)
			return answer(RejectList{rejectsOf(rows)}, err)
		})
	a.act(h, "retry", "Take a failed run up where it stopped", a.deps.Runs.Retry)
	a.act(h, "restart", "Begin a run from scratch", a.deps.Runs.Restart)
	a.act(h, "cancel", "Call a run off", func(ctx context.Context, id string, by ledger.By) error {
		_, _, err := a.deps.Runs.Cancel(ctx, ledger.Scope{Kind: ledger.ScopeRun, ID: id}, by)
		return err
	})
	a.act(h, "pause", "Stop a run at its next page, until it is resumed", func(ctx context.Context, id string, by ledger.By) error {
		return a.deps.Runs.Pause(ctx, ledger.Scope{Kind: ledger.ScopeRun, ID: id}, by)
	})
	a.act(h, "resume", "Let a paused run go on from where it stopped", func(ctx context.Context, id string, by ledger.By) error {
		return a.deps.Runs.Resume(ctx, ledger.Scope{Kind: ledger.ScopeRun, ID: id}, by)
	})
}

func (a *API) list(ctx context.Context, in *runFilter) (*out[RunList], error) {
	f := ledger.RunFilter{Shop: in.Shop, Broadcast: in.Broadcast, Limit: in.Limit, After: in.Next, EndsAfter: in.EndsAfter}
	for _, s := range in.State {
		f.States = append(f.States, ledger.RunState(s))
	}
	runs, next, err := a.deps.Runs.Runs(ctx, f)
	if err != nil {
		return nil, failure(err)
	}
	switches, err := a.deps.Runs.Switches(ctx)
	if err != nil {
		return nil, failure(err)
	}
	verdicts := a.deps.Runs.Verdicts(ctx)
	list := RunList{Runs: make([]Run, len(runs)), Next: next}
	now := time.Now()
	for i, r := range runs {
		s := Story{Run: r, Switches: switches}
		if v, ok := verdicts[r.ID]; ok {
			s.Verdict = &v
		}
		list.Runs[i] = runOf(s, now)
	}
	return answer(list, nil)
}

func (a *API) one(ctx context.Context, in *runID) (*out[RunDetail], error) {
	s, err := a.deps.Runs.Run(ctx, in.ID)
	return answer(RunDetail{runOf(s, time.Now()), unitsOf(s.Units), timelineOf(s.Timeline)}, err)
}

// act registers a move of a run, which answers with the run as it is then.
func (a *API) act(h huma.API, verb, summary string, do func(ctx context.Context, id string, by ledger.By) error) {
	o := op(http.MethodPost, "/v1/runs/{id}/"+verb, verb+"-run", summary, http.StatusNotFound, http.StatusConflict)
	o.SkipValidateBody = true // any body but a reason is as good as none
	huma.Register(h, o, func(ctx context.Context, in *runAct) (*out[RunDetail], error) {
		if err := do(ctx, in.ID, by(ctx, in.Body)); err != nil {
			return nil, failure(err)
		}
		return a.one(ctx, &runID{ID: in.ID})
	})
}

// by is who acts, and why if they say so.
func by(ctx context.Context, r *Reason) ledger.By {
	b := ledger.By{Who: whoIs(ctx).name}
	if r != nil {
		b.Why = r.Reason
		because(ctx, r.Reason)
	}
	return b
}
