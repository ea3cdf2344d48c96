package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Switch is a pause that is in force.
type Switch struct {
	Scope string     `json:"scope" enum:"all,shop,run,dataset"`
	ID    string     `json:"id" doc:"the shop's, the run's or the dataset's; empty for all"`
	Who   string     `json:"who"`
	Why   string     `json:"reason"`
	Since *time.Time `json:"since"`
}

// SwitchList answers GET /v1/switches, and whatever changes one.
type SwitchList struct {
	Switches  []Switch `json:"switches" doc:"the widest first"`
	Cancelled int      `json:"cancelled" doc:"runs that this call has called off"`
	Ready     int      `json:"ready" doc:"runs that this call has left as they are ready: each can be called off by its id"`
}

type allAct struct{ Body *Reason }

type shopAct struct {
	Shop string `path:"shop" minLength:"1" doc:"the shop's id"`
	Body *Reason
}

type datasetAct struct {
	Dataset string `path:"dataset" minLength:"1" doc:"the dataset's name"`
	Body    *Reason
}

// verbs are what can be done to a shop or to everything.
var verbs = []struct{ name, shop, all, dataset string }{
	{"cancel", "Call off a shop's open runs", "Call off all open runs", ""},
	{"pause", "Stop all work on a shop at the next page, also of runs to come, until it is resumed", "Stop all work at the next page, also of runs to come, until it is resumed",
		"Stop all work on a dataset at the next page, in all shops, until it is resumed"},
	{"resume", "Let a paused shop go on", "Let everything go on; shops and runs that were paused by themselves stay paused",
		"Let a paused dataset go on, also one that the guard has stopped because its plan went bad"},
}

// switches registers what stops work and lets it go on.
func (a *API) switches(h huma.API) {
	huma.Register(h, op(http.MethodGet, "/v1/switches", "list-switches", "The pauses in force"),
		func(ctx context.Context, _ *struct{}) (*out[SwitchList], error) { return a.inForce(ctx, 0, 0) })
	for _, v := range verbs {
		shop := op(http.MethodPost, "/v1/shops/{shop}/"+v.name, v.name+"-shop", v.shop, http.StatusConflict)
		all := op(http.MethodPost, "/v1/"+v.name, v.name+"-all", v.all, http.StatusConflict)
		shop.SkipValidateBody, all.SkipValidateBody = true, true
		huma.Register(h, shop,
			func(ctx context.Context, in *shopAct) (*out[SwitchList], error) {
				return a.turn(ctx, v.name, ledger.Scope{Kind: ledger.ScopeShop, ID: in.Shop}, in.Body)
			})
		huma.Register(h, all,
			func(ctx context.Context, in *allAct) (*out[SwitchList], error) {
				return a.turn(ctx, v.name, ledger.Scope{Kind: ledger.ScopeAll}, in.Body)
			})
		if v.dataset == "" {
			continue
		}
		dataset := op(http.MethodPost, "/v1/datasets/{dataset}/"+v.name, v.name+"-dataset", v.dataset, http.StatusConflict)
		dataset.SkipValidateBody = true
		huma.Register(h, dataset,
			func(ctx context.Context, in *datasetAct) (*out[SwitchList], error) {
				if v.name == "pause" && !slices.Contains(a.deps.Datasets, in.Dataset) {
					return nil, huma.Error404NotFound("no such dataset; there are " + strings.Join(a.deps.Datasets, ", "))
				}
				return a.turn(ctx, v.name, ledger.Scope{Kind: ledger.ScopeDataset, ID: in.Dataset}, in.Body)
			})
	}
}

func (a *API) turn(ctx context.Context, verb string, on ledger.Scope, why *Reason) (*out[SwitchList], error) {
	var cancelled, ready int
	var err error
	switch verb {
	case "cancel":
		cancelled, ready, err = a.deps.Runs.Cancel(ctx, on, by(ctx, why))
	case "pause":
		err = a.deps.Runs.Pause(ctx, on, by(ctx, why))
	case "resume":
		err = a.deps.Runs.Resume(ctx, on, by(ctx, why))
	}
	if err != nil {
		return nil, failure(err)
	}
	return a.inForce(ctx, cancelled, ready)
}

func (a *API) inForce(ctx context.Context, cancelled, ready int) (*out[SwitchList], error) {
	all, err := a.deps.Runs.Switches(ctx)
	list := SwitchList{Switches: make([]Switch, len(all)), Cancelled: cancelled, Ready: ready}
	for i, w := range all {
		list.Switches[i] = Switch{Scope: w.Kind, ID: w.ID, Who: w.Who, Why: w.Why, Since: at(w.Since)}
	}
	return answer(list, err)
}
