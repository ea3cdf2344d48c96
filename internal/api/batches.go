package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Batch is a request: a batch of broadcasts as it was answered.
type Batch struct {
	ID         string         `json:"id"`
	RequestID  string         `json:"request_id" doc:"upstream's name for it"`
	Via        string         `json:"via" doc:"asynq, http, or by hand and who"`
	ReceivedAt *time.Time     `json:"received_at"`
	Broadcasts int            `json:"broadcasts"`
	Outcomes   map[string]int `json:"outcomes" doc:"broadcasts by outcome: accepted, duplicate, skipped, invalid …"`
}

// BatchDetail answers GET /v1/requests/{id}: what was answered, and what has become of the runs.
type BatchDetail struct {
	Batch
	Runs          int              `json:"runs"`
	States        map[string]int   `json:"states" doc:"runs by state, as they stand now"`
	Failed        int              `json:"failed"`
	Late          int              `json:"late"`
	RowsDone      int64            `json:"rows_done"`
	RowsEstimated int64            `json:"rows_estimated"`
	StartedAt     *time.Time       `json:"started_at" doc:"of the first run"`
	ReadyAt       *time.Time       `json:"ready_at" doc:"of the last run that is ready"`
	Answers       []intake.Outcome `json:"answers"`
}

// BatchList answers GET /v1/requests.
type BatchList struct {
	Requests []Batch `json:"requests" doc:"newest first"`
}

type requestFilter struct {
	Before time.Time `query:"before" doc:"only requests received before this"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"50"`
}

// batches registers what shows requests.
func (a *API) batches(h huma.API) {
	huma.Register(h, op(http.MethodGet, "/v1/requests", "list-requests", "Requests, newest first"),
		func(ctx context.Context, in *requestFilter) (*out[BatchList], error) {
			all, err := a.deps.Runs.Requests(ctx, in.Before, in.Limit)
			list := BatchList{Requests: make([]Batch, len(all))}
			for i, r := range all {
				list.Requests[i], _ = requestOf(r)
			}
			return answer(list, err)
		})
	huma.Register(h, op(http.MethodGet, "/v1/requests/{id}", "get-request", "One request, and what has become of its runs", http.StatusNotFound),
		func(ctx context.Context, in *struct {
			ID string `path:"id" doc:"request_id, or the id of the list; the newest if there are several"`
		}) (*out[BatchDetail], error) {
			r, b, err := a.deps.Runs.Request(ctx, in.ID)
			return answer(batchOf(r, b), err)
		})
}

func requestOf(r ledger.Request) (Batch, []intake.Outcome) {
	var answers []intake.Outcome
	_ = json.Unmarshal([]byte(r.Outcomes), &answers) // written by intake
	counts := map[string]int{}
	for _, o := range answers {
		counts[o.Outcome]++
	}
	return Batch{ID: r.ID, RequestID: r.RequestID, Via: r.Via, ReceivedAt: at(r.ReceivedAt), Broadcasts: r.Broadcasts, Outcomes: counts}, answers
}

func batchOf(r ledger.Request, b ledger.Batch) BatchDetail {
	d := BatchDetail{
		Runs: b.Runs, States: map[string]int{}, Failed: b.States[ledger.RunFailed], Late: b.Late, RowsDone: b.Rows,
		RowsEstimated: b.Estimated, StartedAt: at(b.StartedAt), ReadyAt: at(b.FinishedAt),
	}
	d.Batch, d.Answers = requestOf(r)
	for s, n := range b.States {
		d.States[string(s)] = n
	}
	return d
}
