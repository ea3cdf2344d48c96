package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// ErrInvalid is what a part answers to a document that cannot be meant, with what is wrong with it.
var ErrInvalid = errors.New("cannot be done")

// Audits compare the cache with its source. Errors are ledger.ErrNotFound, ErrInvalid, or of a server that does not answer.
type Audits interface {
	// Request asks for an audit: ShopID, Dataset, Repair, Sample, Who and Why are set.
	Request(ctx context.Context, ask ledger.Audit) (ledger.Audit, error)
	Audits(ctx context.Context, limit int) ([]ledger.Audit, error) // newest first
	Audit(ctx context.Context, id string) (ledger.Audit, []ledger.AuditFinding, error)
}

// AuditRequest is the body of POST /v1/audits.
type AuditRequest struct {
	ShopID  string  `json:"shop_id,omitempty" maxLength:"255" doc:"only this shop; empty: all that are warm"`
	Dataset string  `json:"dataset,omitempty" maxLength:"64" doc:"only this dataset; empty: all"`
	Repair  bool    `json:"repair,omitempty" doc:"what is wrong is put right"`
	Sample  float64 `json:"sample,omitempty" exclusiveMinimum:"0" maximum:"100" doc:"percent of the units that are compared; default 100. Keys of no row are looked for at 100 only"`
	Reason  string  `json:"reason,omitempty" maxLength:"500" doc:"why; recorded with who asked"`
}

// Audit is an audit as the API shows it.
type Audit struct {
	AuditID       string     `json:"audit_id"`
	Kind          string     `json:"kind" enum:"hand,scheduled,ready" doc:"ready: a run is not announced before it has passed"`
	State         string     `json:"state" enum:"waiting,running,passed,failed,broken" doc:"failed: something is wrong and was not repaired; broken: it could not be carried out"`
	RunID         string     `json:"run_id" doc:"of kind ready"`
	ShopID        string     `json:"shop_id" doc:"empty: all that are warm"`
	Dataset       string     `json:"dataset" doc:"empty: all"`
	Repair        bool       `json:"repair"`
	Sample        float64    `json:"sample"`
	Who           string     `json:"who"`
	Why           string     `json:"reason"`
	ShopsTotal    int        `json:"shops_total"`
	ShopsDone     int        `json:"shops_done"`
	RowsRead      int64      `json:"rows_read"`
	Keys          int64      `json:"keys" doc:"that should be there"`
	Missing       int64      `json:"missing"`
	Different     int64      `json:"different"`
	Extra         int64      `json:"extra" doc:"in the cache, and of no row"`
	WrongExpiry   int64      `json:"wrong_expiry"`
	Repaired      int64      `json:"repaired" doc:"of all that was wrong"`
	Changing      int64      `json:"changing" doc:"keys that changed each time that they were looked at"`
	SourceSeconds float64    `json:"source_seconds" doc:"spent in reading the source"`
	CacheSeconds  float64    `json:"cache_seconds" doc:"spent in looking keys up"`
	LastError     string     `json:"last_error"`
	CreatedAt     *time.Time `json:"created_at"`
	StartedAt     *time.Time `json:"started_at"`
	FinishedAt    *time.Time `json:"finished_at"`
}

// AuditCounts are what an audit found in one cache.
type AuditCounts struct {
	Role        string `json:"role,omitempty" doc:"what the cache is for, as it is configured"`
	Keys        int64  `json:"keys" doc:"that should be there"`
	Missing     int64  `json:"missing"`
	Different   int64  `json:"different"`
	Extra       int64  `json:"extra"`
	WrongExpiry int64  `json:"wrong_expiry"`
	Repaired    int64  `json:"repaired"`
	Changing    int64  `json:"changing"`
}

// AuditFinding is one key that was wrong.
type AuditFinding struct {
	Kind     string `json:"kind" enum:"missing,different,extra,wrong_expiry"`
	ShopID   string `json:"shop_id"`
	Dataset  string `json:"dataset"`
	Key      string `json:"key"`
	Detail   string `json:"detail"`
	Repaired bool   `json:"repaired"`
}

// AuditDetail answers GET /v1/audits/{id}.
type AuditDetail struct {
	Audit
	Caches   map[string]AuditCounts `json:"caches" doc:"the counts by the cache's name"`
	Findings []AuditFinding         `json:"findings" doc:"the first 100"`
}

// AuditList answers GET /v1/audits.
type AuditList struct {
	Audits []Audit `json:"audits" doc:"newest first"`
}

type auditPage struct {
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type auditID struct {
	ID string `path:"id" doc:"the audit's id"`
}

// audits registers what compares the cache with its source.
func (a *API) audits(h huma.API) {
	ask := op(http.MethodPost, "/v1/audits", "request-audit", "Have the cache compared with its source")
	ask.DefaultStatus = http.StatusAccepted
	huma.Register(h, ask, func(ctx context.Context, in *struct{ Body AuditRequest }) (*out[AuditDetail], error) {
		b := in.Body
		if b.Sample == 0 {
			b.Sample = 100
		}
		got, err := a.deps.Audits.Request(ctx, ledger.Audit{ShopID: b.ShopID, Dataset: b.Dataset, Repair: b.Repair, Sample: b.Sample, Who: whoIs(ctx).name, Why: b.Reason})
		return answer(AuditDetail{auditOf(got), map[string]AuditCounts{}, []AuditFinding{}}, err)
	})
	huma.Register(h, op(http.MethodGet, "/v1/audits", "list-audits", "Audits, newest first"),
		func(ctx context.Context, in *auditPage) (*out[AuditList], error) {
			all, err := a.deps.Audits.Audits(ctx, in.Limit)
			list := AuditList{make([]Audit, len(all))}
			for i, x := range all {
				list.Audits[i] = auditOf(x)
			}
			return answer(list, err)
		})
	huma.Register(h, op(http.MethodGet, "/v1/audits/{id}", "get-audit", "One audit with its first findings", http.StatusNotFound),
		func(ctx context.Context, in *auditID) (*out[AuditDetail], error) {
			x, found, err := a.deps.Audits.Audit(ctx, in.ID)
			if errors.Is(err, ledger.ErrNotFound) {
				return nil, huma.Error404NotFound("no such audit; GET /v1/audits lists them")
			}
			d := AuditDetail{auditOf(x), map[string]AuditCounts{}, make([]AuditFinding, len(found))}
			for name, c := range x.Caches {
				d.Caches[name] = AuditCounts{a.deps.Roles[name], c.Keys, c.Missing, c.Different, c.Extra, c.WrongExpiry, c.Repaired, c.Changing}
			}
			for i, f := range found {
				d.Findings[i] = AuditFinding{f.Kind, f.ShopID, f.Dataset, f.Key, f.Detail, f.Repaired}
			}
			return answer(d, err)
		})
}

func auditOf(x ledger.Audit) Audit {
	return Audit{
		AuditID: x.ID, Kind: x.Kind, State: string(x.State), RunID: x.RunID, ShopID: x.ShopID, Dataset: x.Dataset, Repair: x.Repair, Sample: x.Sample, Who: x.Who, Why: x.Why,
		ShopsTotal: x.ShopsTotal, ShopsDone: x.ShopsDone, RowsRead: x.RowsRead, Keys: x.Keys, Missing: x.Missing, Different: x.Different, Extra: x.Extra,
		WrongExpiry: x.WrongExpiry, Repaired: x.Repaired, Changing: x.Changing, SourceSeconds: x.SourceTime.Seconds(), CacheSeconds: x.CacheTime.Seconds(),
		LastError: x.LastError, CreatedAt: at(x.CreatedAt), StartedAt: at(x.StartedAt), FinishedAt: at(x.FinishedAt),
	}
}
