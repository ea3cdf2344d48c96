package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/intake"
)

// MaxBody is the largest request document, in bytes. 10,000 broadcasts, which is the most that one may hold, have 2 MiB.
const MaxBody = 4 << 20

type announcement struct {
	RawBody []byte `contentType:"application/json"`
}

// Warm is the optional body of POST /v1/shops/{shop}/warm.
type Warm struct {
	BroadcastID string    `json:"broadcast_id,omitempty" doc:"default: made up"`
	StartsAt    time.Time `json:"starts_at,omitzero" doc:"default: now"`
	EndsAt      time.Time `json:"ends_at,omitzero" doc:"default: four hours after starts_at"`
	Reason      string    `json:"reason,omitempty" maxLength:"500" doc:"why; recorded with who did it"`
}

type byHand struct {
	Shop string `path:"shop" minLength:"1" doc:"the shop's id"`
	Body *Warm
}

// requests registers what makes work.
func (a *API) requests(h huma.API) {
	o := op(http.MethodPost, "/v1/requests", "announce", "Announce broadcasts; each has its own outcome",
		http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	o.DefaultStatus = http.StatusAccepted
	document(h, o, a.announce)

	o = op(http.MethodPost, "/v1/shops/{shop}/warm", "warm", "Warm one shop by hand, now", http.StatusBadRequest)
	o.DefaultStatus = http.StatusAccepted
	huma.Register(h, o, a.warm)
}

func (a *API) announce(ctx context.Context, in *announcement) (*out[intake.Answer], error) {
	return answer(a.deps.Intake.Accept(ctx, in.RawBody, "http"))
}

// warm answers an outcome; an invalid one is the whole request's and therefore an error.
func (a *API) warm(ctx context.Context, in *byHand) (*out[intake.Outcome], error) {
	w := intake.WarmNow{Who: whoIs(ctx).name}
	if in.Body != nil {
		w.BroadcastID, w.StartsAt, w.EndsAt = in.Body.BroadcastID, in.Body.StartsAt, in.Body.EndsAt
		because(ctx, in.Body.Reason)
	}
	o, err := a.deps.Intake.WarmNow(ctx, in.Shop, w)
	if err == nil && o.Outcome == intake.Invalid {
		return nil, huma.Error422UnprocessableEntity(o.Reason)
	}
	return answer(o, err)
}
