package refresh

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Intake takes in what is told of changes. It is safe for concurrent use.
type Intake struct {
	Ledger   *ledger.Store
	Datasets []Dataset
	Metrics  *Metrics
}

// Taken is what became of a document of changes.
type Taken struct {
	Changes  int            `json:"changes" doc:"that could be read"`
	Needed   int            `json:"needed" doc:"that ask for rows to be read again"`
	Rows     int            `json:"rows" doc:"to be read again because of them; '' stands for all of a shop's dataset"`
	Unneeded map[string]int `json:"unneeded" doc:"changes that ask for nothing, by the reason"`
	Invalid  []Unread       `json:"invalid" doc:"messages that cannot be read; the first hundred"`
}

// Unread is a message that cannot be read.
type Unread struct {
	At    int    `json:"at" doc:"its place in the document, from 0"`
	Error string `json:"error"`
}

// mostInvalid is how many messages an answer complains about.
const mostInvalid = 100

// Accept takes in a document of changes and records each. Its errors are change.ErrMalformed, or of a server that does not
// answer; then nothing was recorded, and the document may be sent again.
func (in *Intake) Accept(ctx context.Context, doc []byte, via, who string) (Taken, error) {
	changes, bad, err := change.Parse(doc)
	if err != nil {
		return Taken{}, err
	}
	a := Taken{Changes: len(changes), Unneeded: map[string]int{}, Invalid: []Unread{}}
	for _, b := range bad {
		reason := "malformed"
		if errors.Is(b.Err, change.ErrNotRows) {
			reason = "not_rows"
			a.Unneeded[b.Err.Error()]++
		} else if len(a.Invalid) < mostInvalid {
			a.Invalid = append(a.Invalid, Unread{At: b.At, Error: b.Err.Error()})
		}
		in.Metrics.told(via, reason, 1)
	}
	standing, err := in.standing(ctx)
	if err != nil {
		return Taken{}, err
	}
	var records []ledger.Change
	for _, c := range changes {
		needed := false
		some := in.records(c, standing)
		for _, r := range some {
			r.Via, r.Who = via, cmp.Or(c.Who, who)
			records = append(records, r)
			if needed = needed || r.Needed; r.Needed {
				a.Rows++
			}
		}
		if needed {
			a.Needed++
		} else {
			a.Unneeded[some[0].Why]++
		}
	}
	for i, r := range records {
		if off := standing.off[r.ShopID]; r.Why == whyOff && off != nil {
			records[i].Why = off.Error() // by whom, and why
		}
	}
	if err := in.Ledger.SaveChanges(ctx, records); err != nil {
		return Taken{}, err
	}
	in.Metrics.told(via, "needed", a.Needed)
	for why, n := range a.Unneeded {
		in.Metrics.told(via, reasons[why], n)
	}
	return a, nil
}

// standing is how shops stand when changes are told.
type standing struct {
	cached ledger.Cached
	off    map[string]*ledger.OffError
}

func (in *Intake) standing(ctx context.Context) (s standing, err error) {
	if s.cached, err = in.Ledger.CachedShops(ctx); err == nil {
		s.off, err = in.Ledger.Off(ctx)
	}
	return s, err
}

// unneeded says why a change of a row needs nothing, or "".
func (s standing) unneeded(p ledger.Pending) string {
	switch {
	case s.off[p.ShopID] != nil:
		return whyOff
	case s.cached.Has(p.ShopID, p.Dataset):
		return ""
	}
	if _, some := s.cached[p.ShopID]; some {
		return whyLeft
	}
	return whyCold
}

// reasons are what metrics call them.
var reasons = map[string]string{whyUnknown: "unknown_table", whyCold: "not_cached", whyOff: "switched_off", whyLeft: "left_out", whyNoShop: "no_shop", whyBadShop: "bad_shop", whyBadKey: "bad_key", change.ErrNotRows.Error(): "not_rows"}

// records are at least one: what is to be done, or why nothing is.
func (in *Intake) records(c change.Change, shops standing) []ledger.Change {
	keep := secrecyOf(in.Datasets, c)
	base := ledger.Change{About: c.About(), Dataset: c.Dataset, ShopID: plain(c.Shop), Op: c.Op, Before: keep.told(c.Before), After: keep.told(c.After), ChangedAt: c.At}
	rows, why := resolve(in.Datasets, c)
	var all []ledger.Change
	for _, p := range everyShop(rows, shops.cached) {
		r := base
		r.ShopID, r.Dataset, r.RowKey, r.Urgent, r.Why = p.ShopID, p.Dataset, p.RowKey, p.Urgent, shops.unneeded(p)
		r.Needed = r.Why == ""
		all = append(all, r)
	}
	if len(all) == 0 {
		base.Why = cmp.Or(why, whyCold)
		all = append(all, base)
	}
	return all
}

// plain is a shop's id as far as it fits its column: what it is not, it cannot be.
func plain(shop string) string {
	if r := []rune(shop); len(r) > 128 {
		return string(r[:128])
	}
	return shop
}

// everyShop puts the shops that are cached in the place of "every shop".
func everyShop(rows []ledger.Pending, cached ledger.Cached) []ledger.Pending {
	var all []ledger.Pending
	for _, p := range rows {
		if p.ShopID != "" {
			all = append(all, p)
			continue
		}
		for shop := range cached {
			p.ShopID, p.RowKey = shop, ""
			all = append(all, p)
		}
	}
	return all
}

// Take takes in changes that a feed told of, and how far it has been read with them. What they were is not recorded: the
// feed itself can be read again.
func (in *Intake) Take(ctx context.Context, changes []change.Change, via string, feed ledger.Feed) error {
	standing, err := in.standing(ctx)
	if err != nil {
		return err
	}
	rows := map[ledger.Pending]bool{}
	for _, c := range changes {
		some, why := resolve(in.Datasets, c)
		needed := 0
		for _, p := range everyShop(some, standing.cached) {
			if why = standing.unneeded(p); why == "" {
				rows[p] = true
				needed++
			}
		}
		switch {
		case needed > 0:
			in.Metrics.told(via, "needed", 1)
		case why != "":
			in.Metrics.told(via, reasons[why], 1)
		default:
			in.Metrics.told(via, reasons[whyCold], 1)
		}
	}
	var list []ledger.Pending
	for p := range rows {
		list = append(list, p)
	}
	if err := in.Ledger.Pend(ctx, list, &feed); err != nil {
		return fmt.Errorf("take in changes of feed %s: %w", feed.Name, err)
	}
	return nil
}

// Unread counts messages of a feed that tell of nothing.
func (in *Intake) Unread(via string, err error) {
	if errors.Is(err, change.ErrNotRows) {
		in.Metrics.told(via, "not_rows", 1)
		return
	}
	in.Metrics.told(via, "malformed", 1)
}
