package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Shops shows and changes how shops are kept in the cache. Errors are ErrInvalid, ledger.ErrState, which says who was faster, or
// of a server that does not answer.
type Shops interface {
	// Shops are those whose settings are not as all others'.
	Shops(ctx context.Context) ([]ledger.Shop, error)
	Shop(ctx context.Context, id string) (ledger.Shop, error)
	// SetShop changes settings that still have the version.
	SetShop(ctx context.Context, id string, version int64, to ledger.Settings, by ledger.By) (ledger.Turned, error)
}

// ShopSettings answers GET /v1/shops/{shop}/settings.
type ShopSettings struct {
	ShopID    string            `json:"shop_id"`
	Off       bool              `json:"off" doc:"it is not warmed, whatever is announced"`
	Keys      string            `json:"keys" enum:"remove,expire," doc:"what becomes of its keys while it is off; empty: it is on"`
	Datasets  []string          `json:"datasets" doc:"only these of the configured datasets are warmed; null: all"`
	AfterEnd  string            `json:"after_end" doc:"how long keys outlive the end of a broadcast, as 2h0m0s; empty: as policy.expire.after_end says"`
	MaxRows   map[string]int64  `json:"max_rows" doc:"of these datasets no more rows are warmed, the first of their order; null: all of all"`
	Windows   map[string]string `json:"windows" doc:"how far back the rows of these datasets go, as 720h0m0s; of others as their window says. null: of all"`
	Version   int64             `json:"version" doc:"grows with each change; to be sent with the next one. 0: nothing was ever said of the shop"`
	Who       string            `json:"who" doc:"changed it last"`
	Why       string            `json:"reason"`
	ChangedAt *time.Time        `json:"changed_at"`
	Removal   *Removal          `json:"removal" doc:"of its keys; null: none was asked for since it was switched off"`
	Cancelled int               `json:"cancelled" doc:"runs that this call has called off"`
	Note      string            `json:"note" doc:"what is to be done now; empty: nothing"`
}

// Removal is the removal of a shop's keys.
type Removal struct {
	State      string            `json:"state" enum:"waiting,running,done"`
	Removed    int64             `json:"removed" doc:"keys so far"`
	Left       []ledger.LeftOver `json:"left_to_expire" doc:"datasets whose keys are not removed, and why"`
	LastError  string            `json:"last_error" doc:"why it waits; empty: it does not"`
	FinishedAt *time.Time        `json:"finished_at"`
}

// ShopList answers GET /v1/shops.
type ShopList struct {
	Shops []ShopSettings `json:"shops" doc:"whose settings are not as all others'"`
}

// ShopSet is the body of PUT /v1/shops/{shop}/settings.
type ShopSet struct {
	Off      bool              `json:"off,omitempty" doc:"switch it off: its runs are called off, and nothing is read or written for it any more"`
	Keys     string            `json:"keys,omitempty" enum:"remove,expire" doc:"with off: what becomes of its keys"`
	Datasets []string          `json:"datasets,omitempty" doc:"only these of the configured datasets are warmed, in runs that are planned from then on; not sent: all"`
	AfterEnd string            `json:"after_end,omitempty" doc:"how long keys outlive the end of a broadcast, as 2h, from 1m to 168h, in runs that are planned from then on; not sent: as policy.expire.after_end says"`
	MaxRows  map[string]int64  `json:"max_rows,omitempty" doc:"of these datasets, in the table form, no more rows are warmed, the first of their order, in runs that are planned from then on; not sent: all of all"`
	Windows  map[string]string `json:"windows,omitempty" doc:"how far back the rows of these datasets go, as 720h, in runs that are planned from then on; of others as their window says"`
	Version  int64             `json:"version" minimum:"0" doc:"of the settings that are replaced, as they were read"`
	Reason   string            `json:"reason" minLength:"1" maxLength:"500" doc:"why; recorded with who did it"`
}

// settings are what the ledger keeps of it.
func (s ShopSet) settings() (ledger.Settings, error) {
	to := ledger.Settings{Off: s.Off, Keys: s.Keys, Kept: ledger.Kept{Datasets: ledger.DatasetsOf(s.Datasets), MaxRows: ledger.AmountsOf(s.MaxRows)}}
	if s.AfterEnd != "" {
		var err error
		if to.AfterEnd, err = time.ParseDuration(s.AfterEnd); err != nil || to.AfterEnd < ledger.LeastAfterEnd || to.AfterEnd > ledger.MostAfterEnd {
			return to, huma.Error422UnprocessableEntity(fmt.Sprintf("after_end cannot be %q: write a time from %s to %s, as 2h", s.AfterEnd, ledger.LeastAfterEnd, ledger.MostAfterEnd))
		}
	}
	for name, n := range s.MaxRows {
		if n < 1 {
			return to, huma.Error422UnprocessableEntity(fmt.Sprintf("max_rows of %s cannot be %d: leave the dataset out to have all of it, or write datasets without it", name, n))
		}
	}
	windows := map[string]int64{}
	for name, text := range s.Windows {
		keep, err := time.ParseDuration(text)
		if err != nil || keep < dataset.LeastWindow {
			return to, huma.Error422UnprocessableEntity(fmt.Sprintf("the window of %s cannot be %q: write a time from %s, as 720h", name, text, dataset.LeastWindow))
		}
		windows[name] = keep.Microseconds()
	}
	to.Windows = ledger.AmountsOf(windows)
	switch {
	case to.Off != (to.Keys != ""):
		return to, huma.Error422UnprocessableEntity("say what becomes of the keys of a shop that is off, keys: remove or expire, and only of one")
	case s.Datasets != nil && to.Datasets == "":
		return to, huma.Error422UnprocessableEntity("a shop without any dataset is not kept at all: switch it off instead; without datasets, it has all")
	case len(to.Datasets) > ledger.MostDatasets || len(to.MaxRows) > ledger.MostDatasets || len(to.Windows) > ledger.MostDatasets:
		return to, huma.Error422UnprocessableEntity(fmt.Sprintf("the names of datasets have more than %d characters together", ledger.MostDatasets))
	}
	return to, nil
}

// behindNote is what is to be done with runs that have what the shop had before.
const behindNote = "%d runs of the shop that are planned, warming or ready keep what they were planned with; restart them to follow: POST /v1/runs/{run}/restart"

// onNote is what is to be done when a shop was switched on.
const onNote = "its broadcasts are taken again from now on; those that were announced before must be announced again, or the shop warmed by hand: POST /v1/shops/{shop}/warm"

// shops registers what is about the settings of shops.
func (a *API) shops(h huma.API) {
	const path = "/v1/shops/{shop}/settings"
	huma.Register(h, op(http.MethodGet, "/v1/shops", "list-shops", "The shops that are not kept as all others are"),
		func(ctx context.Context, _ *struct{}) (*out[ShopList], error) {
			all, err := a.deps.Shops.Shops(ctx)
			list := ShopList{Shops: make([]ShopSettings, len(all))}
			for i, sh := range all {
				list.Shops[i] = settingsOf(sh)
			}
			return answer(list, err)
		})
	huma.Register(h, op(http.MethodGet, path, "get-shop", "How a shop is kept"),
		func(ctx context.Context, in *struct {
			Shop string `path:"shop" minLength:"1" maxLength:"128" doc:"the shop's id"`
		}) (*out[ShopSettings], error) {
			sh, err := a.deps.Shops.Shop(ctx, in.Shop)
			return answer(settingsOf(sh), err)
		})
	huma.Register(h, op(http.MethodPut, path, "set-shop", "Replace how a shop is kept: switch it off, or on, or say what of it is kept and how long", http.StatusConflict),
		func(ctx context.Context, in *struct {
			Shop string `path:"shop" minLength:"1" maxLength:"128" doc:"the shop's id"`
			Body ShopSet
		}) (*out[ShopSettings], error) {
			to, err := in.Body.settings()
			if err != nil {
				return nil, err
			}
			return a.setShop(ctx, in.Shop, in.Body.Version, to, in.Body.Reason)
		})
	huma.Register(h, op(http.MethodDelete, path, "clear-shop", "Keep a shop as all others are, which switches it on", http.StatusConflict),
		func(ctx context.Context, in *struct {
			Shop    string `path:"shop" minLength:"1" maxLength:"128" doc:"the shop's id"`
			Version int64  `query:"version" minimum:"0" required:"true" doc:"of the settings that are cleared, as they were read"`
			Reason  string `query:"reason" minLength:"1" maxLength:"500" required:"true" doc:"why; recorded with who did it"`
		}) (*out[ShopSettings], error) {
			return a.setShop(ctx, in.Shop, in.Version, ledger.Settings{}, in.Reason)
		})
}

func (a *API) setShop(ctx context.Context, shop string, version int64, to ledger.Settings, why string) (*out[ShopSettings], error) {
	because(ctx, why)
	turned, err := a.deps.Shops.SetShop(ctx, shop, version, to, ledger.By{Who: whoIs(ctx).name, Why: why})
	if errors.Is(err, ledger.ErrRemoving) {
		return nil, huma.Error409Conflict("the shop's keys are being removed, and the server that does it has not stopped yet; try again in a moment")
	}
	if err != nil {
		return nil, failure(err)
	}
	changed(ctx, "was "+turned.Before.Settings.String()+"; is "+turned.After.Settings.String())
	set := settingsOf(turned.After)
	set.Cancelled = len(turned.Cancelled)
	if turned.Before.Off && !to.Off {
		set.Note = onNote
	}
	if turned.Behind > 0 {
		set.Note = fmt.Sprintf(behindNote, turned.Behind)
	}
	return answer(set, nil)
}

func settingsOf(sh ledger.Shop) ShopSettings {
	set := ShopSettings{ShopID: sh.ID, Off: sh.Off, Keys: sh.Keys, Datasets: sh.Datasets.Names(), MaxRows: sh.MaxRows.Map(), Version: sh.Version, Who: sh.Who, Why: sh.Why, ChangedAt: at(sh.ChangedAt)}
	for _, name := range sh.Windows.Names() {
		if set.Windows == nil {
			set.Windows = map[string]string{}
		}
		set.Windows[name] = sh.Window(name).String()
	}
	if sh.AfterEnd > 0 {
		set.AfterEnd = sh.AfterEnd.String()
	}
	if r := sh.Removal; r != nil && sh.Keys == ledger.KeysRemove {
		set.Removal = &Removal{State: string(r.State), Removed: r.Removed, Left: append([]ledger.LeftOver{}, r.Left...), LastError: r.LastError, FinishedAt: at(r.FinishedAt)}
	}
	return set
}
