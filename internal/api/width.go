package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// WidthNow answers GET /v1/width, and whatever changes it. Fields are added and never renamed.
type WidthNow struct {
	Width     int    `json:"width" doc:"slots that the cluster should use"`
	Actual    int    `json:"actual" doc:"slots that it uses"`
	Min       int    `json:"min" doc:"width.min as configured"`
	Max       int    `json:"max" doc:"width.max as configured"`
	MaxPerPod int    `json:"max_per_pod"`
	Pods      int    `json:"pods"`
	Reason    string `json:"reason" doc:"where width comes from"`

	Demand     Demand    `json:"demand"`
	Ceiling    int       `json:"ceiling" doc:"what width could be now"`
	Wanted     int       `json:"wanted" doc:"what the demand asks for, before the ceiling; at least min"`
	Bound      bool      `json:"bound" doc:"the ceiling binds: more is wanted"`
	Binds      string    `json:"binds" doc:"what the ceiling is: max, pods or guard"`
	Paused     bool      `json:"paused" doc:"every slot pauses before its next page"`
	Share      int       `json:"share" doc:"slots of the pod that answers"`
	PodsWanted int       `json:"pods_wanted" doc:"pods that the width wants; stays put when the servers are what binds"`
	Override   *Override `json:"override" doc:"set by hand; null: nothing is"`
	Guard      []Signal  `json:"guard" doc:"how the servers feel, signal by signal"`
	Pages      []Pages   `json:"pages" doc:"of the pod that answers, by dataset; a dataset of which it has read nothing is left out"`
}

// Pages is how large the pages of a dataset are.
type Pages struct {
	Dataset string `json:"dataset"`
	Replica string `json:"replica,omitempty" doc:"that they are read at; empty: the source"`
	Rows    int    `json:"rows" doc:"of the next page"`
	Reason  string `json:"reason" doc:"why so many"`
}

// Demand is how many slots the open runs need.
type Demand struct {
	Slots    float64    `json:"slots" doc:"with headroom; 0: nothing to do now"`
	Bare     float64    `json:"bare" doc:"without headroom"`
	Ahead    float64    `json:"ahead" doc:"slots that the work is done with to keep room for late-comers; less than slots: the evening has room"`
	Run      string     `json:"run" doc:"whose deadline binds; empty: there is none"`
	Deadline *time.Time `json:"deadline" doc:"that binds"`
	Due      float64    `json:"due" doc:"slot seconds due until then"`
	Backlog  float64    `json:"backlog" doc:"slot seconds of all work"`
	Overdue  int        `json:"overdue" doc:"runs whose deadline has passed"`
	Reason   string     `json:"reason"`
}

// Override is what somebody has set by hand. Zeros are not set.
type Override struct {
	Pin   int        `json:"pin" doc:"this width, whatever the demand"`
	Min   int        `json:"min" doc:"instead of width.min"`
	Max   int        `json:"max" doc:"instead of width.max"`
	Pause bool       `json:"pause"`
	Until *time.Time `json:"until" doc:"it ends by itself"`
	Who   string     `json:"who"`
	Why   string     `json:"why"`
}

// Signal is what one signal of the guard says.
type Signal struct {
	Signal string     `json:"signal"`
	Zone   string     `json:"zone" enum:"grow,hold,shrink,stop"`
	Reason string     `json:"reason" doc:"what was seen, and the threshold"`
	At     *time.Time `json:"at" doc:"when it was seen; null: never"`
	Blind  bool       `json:"blind" doc:"there is no value, and therefore it does not say grow"`
}

// DemandOf is a demand as the API shows it.
func DemandOf(d pace.Demand) Demand {
	return Demand{Slots: d.Slots, Bare: d.Bare, Ahead: d.Ahead, Run: d.Run, Deadline: at(d.Deadline), Due: d.Due, Backlog: d.Backlog,
		Overdue: d.Overdue, Reason: d.Reason}
}

// OverrideOf is an override as the API shows it; nil if there is none, or none any more.
func OverrideOf(o *pace.Override, now time.Time) *Override {
	if o == nil || !o.Until.After(now) {
		return nil
	}
	return &Override{Pin: o.Pin, Min: o.Min, Max: o.Max, Pause: o.Pause, Until: at(o.Until), Who: o.Who, Why: o.Why}
}

// GuardOf is what the signals say as the API shows it.
func GuardOf(verdicts []guard.Verdict) []Signal {
	list := make([]Signal, len(verdicts))
	for i, v := range verdicts {
		list[i] = Signal{Signal: v.Signal, Zone: v.Zone.String(), Reason: v.Reason, At: at(v.At), Blind: v.Blind}
	}
	return list
}

// WidthSet is the body of PUT /v1/width. It takes the place of what was set before.
type WidthSet struct {
	Pin    int       `json:"pin,omitempty" minimum:"1" doc:"this width, whatever the demand; the guard is stronger"`
	Min    int       `json:"min,omitempty" minimum:"1" doc:"instead of width.min"`
	Max    int       `json:"max,omitempty" minimum:"1" doc:"instead of width.max"`
	Pause  bool      `json:"pause,omitempty" doc:"every slot pauses before its next page"`
	For    string    `json:"for,omitempty" doc:"how long, as 30m or 2h; or until"`
	Until  time.Time `json:"until,omitzero" doc:"until when; or for"`
	Reason string    `json:"reason" minLength:"1" maxLength:"500" doc:"why; shown wherever the width is"`
}

// steering registers what shows the width and sets it by hand.
func (a *API) steering(h huma.API) {
	huma.Register(h, op(http.MethodGet, "/v1/width", "get-width", "How many slots are in force, and why"),
		func(ctx context.Context, _ *struct{}) (*out[WidthNow], error) { return answer(a.deps.Width.Width(ctx)) })
	huma.Register(h, op(http.MethodPut, "/v1/width", "set-width", "Pin, bound or pause the width by hand, for a while", http.StatusBadRequest),
		func(ctx context.Context, in *struct{ Body WidthSet }) (*out[WidthNow], error) {
			return a.setWidth(ctx, in.Body)
		})
	huma.Register(h, op(http.MethodDelete, "/v1/width/override", "clear-width", "End what was set by hand, if anything was"),
		func(ctx context.Context, in *struct {
			Reason string `query:"reason" maxLength:"500" doc:"why; recorded with who did it"`
		}) (*out[WidthNow], error) {
			because(ctx, in.Reason)
			if err := a.deps.Width.ClearOverride(ctx, ledger.By{Who: whoIs(ctx).name, Why: in.Reason}); err != nil {
				return nil, failure(err)
			}
			return answer(a.deps.Width.Width(ctx))
		})
}

func (a *API) setWidth(ctx context.Context, set WidthSet) (*out[WidthNow], error) {
	now, err := a.deps.Width.Now(ctx)
	if err != nil {
		return nil, failure(err)
	}
	because(ctx, set.Reason)
	o := pace.Override{Pin: set.Pin, Min: set.Min, Max: set.Max, Pause: set.Pause, Until: set.Until, Who: whoIs(ctx).name, Why: set.Reason}
	switch {
	case (set.For == "") == set.Until.IsZero():
		return nil, huma.Error422UnprocessableEntity("say how long: for (30m, 2h) or until (a time), one of the two")
	case set.For != "":
		d, err := time.ParseDuration(set.For)
		if err != nil {
			return nil, huma.Error422UnprocessableEntity("for is not a duration; write 30m or 2h")
		}
		o.Until = now.Add(d)
	}
	is, err := a.deps.Width.Width(ctx)
	if err != nil {
		return nil, failure(err)
	}
	if err := o.Validate(now, config.Width{Min: is.Min, Max: is.Max, MaxPerPod: is.MaxPerPod}); err != nil {
		return nil, huma.Error422UnprocessableEntity(err.Error())
	}
	if err := a.deps.Width.Override(ctx, o); err != nil {
		return nil, failure(err)
	}
	return answer(a.deps.Width.Width(ctx))
}
