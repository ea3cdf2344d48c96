package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// Plans answers what would become of broadcasts.
type Plans interface {
	// Plan judges a request document without changing anything; its errors are those of Intake.Accept.
	Plan(ctx context.Context, body []byte) (PlanAnswer, error)
}

// PlanAnswer answers POST /v1/plan.
type PlanAnswer struct {
	Verdicts []Planned `json:"verdicts" doc:"in the order of the document"`
	Open     []Planned `json:"open" doc:"the runs that are open now, as they would be then; nearest deadline first"`
}

// Planned is what would become of one broadcast.
type Planned struct {
	BroadcastID   string     `json:"broadcast_id"`
	ShopID        string     `json:"shop_id"`
	Outcome       string     `json:"outcome" doc:"what intake would answer; of an open run: open"`
	State         string     `json:"state" doc:"feasible, at risk or infeasible; empty: there would be nothing to do"`
	Start         *time.Time `json:"start" doc:"planned"`
	Finish        *time.Time `json:"finish" doc:"expected"`
	Finish95      *time.Time `json:"finish_95" doc:"not exceeded with 95 % certainty"`
	Deadline      *time.Time `json:"deadline"`
	MarginSeconds *int64     `json:"margin_seconds" doc:"from finish to deadline; negative: late"`
	MinutesLate   *int64     `json:"minutes_late" doc:"expected, rounded up; 0: in time"`
	Reason        string     `json:"reason"`
	Remedy        string     `json:"remedy" doc:"what would help, the cheapest first"`
}

// Open is the outcome of what was announced before.
const Open = "open"

// PlannedOf is what would become of a broadcast: the outcome that intake would answer, and the verdict if there is
// something to do.
func PlannedOf(o intake.Outcome, deadline time.Time, v *pace.Verdict) Planned {
	p := Planned{BroadcastID: o.BroadcastID, ShopID: o.ShopID, Outcome: o.Outcome, Deadline: at(deadline), Reason: o.Reason}
	if v != nil {
		is := VerdictOf(*v)
		p.State, p.Start, p.Finish, p.Finish95 = is.State, at(v.Start), is.Finish, is.Finish95
		p.MarginSeconds, p.MinutesLate, p.Reason, p.Remedy = &is.MarginSeconds, &is.MinutesLate, is.Reason, is.Remedy
	}
	return p
}

// VerdictOf is a verdict as the API shows it.
func VerdictOf(v pace.Verdict) *intake.Verdict {
	late := (max(-v.Margin, 0) + time.Minute - 1) / time.Minute
	return &intake.Verdict{State: v.State, Finish: at(v.Finish), Finish95: at(v.Finish95), MarginSeconds: int64(v.Margin.Seconds()),
		MinutesLate: int64(late), Reason: v.Reason, Remedy: v.Remedy}
}

func verdictOf(s Story) *intake.Verdict {
	if s.Verdict == nil || !open(s.State) {
		return nil
	}
	return VerdictOf(*s.Verdict)
}

// plans registers the what-if.
func (a *API) plans(h huma.API) {
	o := op(http.MethodPost, "/v1/plan", "plan", "What would become of broadcasts; nothing is changed",
		http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	document(h, o, func(ctx context.Context, in *announcement) (*out[PlanAnswer], error) {
		return answer(a.deps.Plans.Plan(ctx, in.RawBody))
	})
}
