package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/refresh"
)

// changesPath is the one thing that the role `changes` may ask for.
const changesPath = "/v1/changes"

// Changes takes in what is told of changed rows, and shows what was.
type Changes interface {
	// Accept answers a document; its errors are change.ErrMalformed, or of a server that does not answer.
	Accept(ctx context.Context, doc []byte, via, who string) (refresh.Taken, error)
	// Changes are newest first, from before the given id on (0: from the newest); an empty shop is every shop.
	Changes(ctx context.Context, shop string, before int64, limit int) ([]ledger.Change, error)
}

// Change is what was told of a row. Fields are added and never renamed.
type Change struct {
	ID         int64      `json:"id"`
	Via        string     `json:"via" doc:"http or asynq; what feeds tell is counted, and not recorded"`
	Who        string     `json:"who"`
	About      string     `json:"about" doc:"the dataset or table that it named"`
	Dataset    string     `json:"dataset"`
	ShopID     string     `json:"shop_id"`
	Row        string     `json:"row" doc:"a JSON array of the columns of 'by'; empty: all of the shop's dataset"`
	Op         string     `json:"op" enum:"insert,update,delete,hide,refresh"`
	Before     string     `json:"before" doc:"what was, as JSON, as far as it was told"`
	After      string     `json:"after" doc:"what is, as JSON, as far as it was told"`
	Needed     bool       `json:"needed" doc:"something had to be done"`
	Why        string     `json:"why" doc:"why nothing had to be done"`
	ChangedAt  *time.Time `json:"changed_at" doc:"as it was told"`
	ReceivedAt *time.Time `json:"received_at"`
	HandledAt  *time.Time `json:"handled_at" doc:"when the row was read again; null: not yet, or never needed"`
	HandledBy  string     `json:"handled_by" doc:"the pod"`
}

// ChangeList answers GET /v1/changes.
type ChangeList struct {
	Changes []Change `json:"changes" doc:"newest first"`
}

type changeFilter struct {
	Shop   string `query:"shop" doc:"of one shop only"`
	Before int64  `query:"before" doc:"only changes with a lower id"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

const changesHelp = `One change, a list of them, one after the other, or {"changes": [...]}. Each is
{"dataset": "users", "shop": "1001", "key": ["7"], "op": "update", "before": {...}, "after": {...}, "who": "crm", "at": "..."}
or a message of Debezium, Maxwell or Canal (flat) as it is. Rows are read again from the source; what a message says of them is never written.`

// changes registers what takes in and shows changes.
func (a *API) changes(h huma.API) {
	o := op(http.MethodPost, changesPath, "tell-changes", "Tell of rows that changed, so that they are read again", http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	o.Description = changesHelp
	o.DefaultStatus = http.StatusAccepted
	o.SkipValidateBody, o.MaxBodyBytes, o.BodyReadTimeout = true, MaxBody+1, readTime
	huma.Register(h, o, func(ctx context.Context, in *announcement) (*out[refresh.Taken], error) {
		return answer(a.deps.Changes.Accept(ctx, in.RawBody, "http", whoIs(ctx).name))
	})
	huma.Register(h, op(http.MethodGet, changesPath, "list-changes", "What was told of changed rows, newest first"),
		func(ctx context.Context, in *changeFilter) (*out[ChangeList], error) {
			all, err := a.deps.Changes.Changes(ctx, in.Shop, in.Before, in.Limit)
			list := ChangeList{Changes: make([]Change, len(all))}
			for i, c := range all {
				list.Changes[i] = Change{ID: c.ID, Via: c.Via, Who: c.Who, About: c.About, Dataset: c.Dataset, ShopID: c.ShopID, Row: c.RowKey, Op: c.Op,
					Before: c.Before, After: c.After, Needed: c.Needed, Why: c.Why, ChangedAt: at(c.ChangedAt), ReceivedAt: at(c.ReceivedAt),
					HandledAt: at(c.HandledAt), HandledBy: c.HandledBy}
			}
			return answer(list, err)
		})
}
