//go:build !noembed

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// demoShop is how one shop fared.
type demoShop struct {
	ShopID        string     `json:"shop_id"`
	Outcome       string     `json:"outcome"`
	State         string     `json:"state"`
	Rows          int64      `json:"rows"`
	Deadline      *time.Time `json:"deadline"`
	ReadyAt       *time.Time `json:"ready_at"`
	MarginSeconds *float64   `json:"margin_seconds"`

	ka bool
}

// demoResult is the demo's document.
type demoResult struct {
	Shops   []demoShop     `json:"shops"`
	Audit   audit.Findings `json:"audit"`
	Width   api.WidthNow   `json:"width"`
	Seconds float64        `json:"seconds"`
}

func (e *evening) result(ctx context.Context, outcomes map[string]intake.Outcome, runs map[string]api.Run) (demoResult, error) {
	var res demoResult
	for _, s := range e.shops {
		r := runs[s.ID]
		shop := demoShop{ShopID: s.ID, Outcome: outcomes[s.ID].Outcome, State: r.State, Rows: r.RowsDone,
			Deadline: r.Deadline, ReadyAt: r.ReadyAt, ka: s.KA}
		if r.ReadyAt != nil {
			margin := r.Deadline.Sub(*r.ReadyAt).Seconds()
			shop.MarginSeconds = &margin
		}
		res.Shops = append(res.Shops, shop)
	}
	res.Shops = sorted(res.Shops)
	if err := e.remote().ask(e.t, "GET", "/v1/width", nil, &res.Width); err != nil {
		return res, err
	}
	e.say("auditing: every row is read again and compared with the cache")
	var err error
	res.Audit, err = e.audit(ctx, runs)
	res.Seconds = time.Since(e.began).Seconds()
	return res, err
}

func (e *evening) audit(ctx context.Context, runs map[string]api.Run) (audit.Findings, error) {
	client, err := redisconn.Open(ctx, "cache", *e.cfg.Cache)
	if err != nil {
		return audit.Findings{}, err
	}
	defer func() { _ = client.Close() }()
	src, closeSource, err := e.openSource(ctx)
	if err != nil {
		return audit.Findings{}, err
	}
	defer closeSource()
	a := &audit.Auditor{Cache: client, Jitter: e.cfg.Policy.Expire.Jitter, Slack: e.stack.ExpirySlack}
	for _, spec := range e.cfg.Datasets {
		b, err := src.Bind(ctx, spec)
		if err != nil {
			return audit.Findings{}, err
		}
		a.Datasets = append(a.Datasets, b)
	}
	for _, s := range e.shops {
		if r := runs[s.ID]; r.State == "ready" {
			if err := a.Shop(ctx, audit.Shop{ID: s.ID, Ends: r.EndsAt.Add(e.cfg.Policy.Expire.AfterEnd)}); err != nil {
				return a.Findings, err
			}
		}
	}
	if err := a.Rest(ctx); err != nil {
		return a.Findings, err
	}
	return a.Findings, a.Strays(ctx)
}

// problem is what keeps the demo from having succeeded, or "".
func (r demoResult) problem() string {
	for _, s := range r.Shops {
		switch {
		case s.ka && s.State != "ready":
			return fmt.Sprintf("shop %s is %s", s.ShopID, s.State)
		case s.ka && *s.MarginSeconds < 0:
			return fmt.Sprintf("shop %s was ready %.1f s late", s.ShopID, -*s.MarginSeconds)
		case !s.ka && s.State != "skipped":
			return fmt.Sprintf("the small shop %s is %s", s.ShopID, s.State)
		}
	}
	if !r.Audit.Clean() {
		return fmt.Sprintf("the audit found %+v", r.Audit)
	}
	return ""
}

func (e *evening) show(res demoResult) error {
	if e.JSON {
		return printJSON(e.t.out, res)
	}
	tb := newTable(e.t.out, []string{"SHOP", "OUTCOME", "STATE", "ROWS", "READY AT", "MARGIN"})
	for _, s := range res.Shops {
		margin := ""
		if s.MarginSeconds != nil {
			margin = fmt.Sprintf("%.1f s", *s.MarginSeconds)
		}
		tb.AppendRow(table.Row{s.ShopID, s.Outcome, s.State, s.Rows, clock(s.ReadyAt), margin})
	}
	tb.Render()
	f := res.Audit
	e.say("audit: %d keys; %d missing, %d different, %d extra, %d with a wrong expiry", f.Keys, f.Missing, f.Different, f.Extra, f.WrongExpiry)
	e.say("%.1f s in all", res.Seconds)
	return nil
}
