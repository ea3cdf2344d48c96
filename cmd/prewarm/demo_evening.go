//go:build !noembed

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/tasks"
)

func (e *evening) remote() remote { return remote{Server: "http://" + e.pods[0].Addr()} }

// announce sends the evening's broadcasts as an upstream does, and answers the outcomes by shop.
func (e *evening) announce(context.Context) (map[string]intake.Outcome, error) {
	req := tasks.Request{RequestID: "demo"}
	now := time.Now().Truncate(time.Second)
	for i, s := range e.shops {
		starts := now.Add(demoFirst)
		if len(e.shops) > 1 {
			starts = starts.Add((demoLast - demoFirst) * time.Duration(i) / time.Duration(len(e.shops)-1))
		}
		b := tasks.Broadcast{BroadcastID: "b-" + s.ID, ShopID: s.ID, StartsAt: starts, EndsAt: starts.Add(demoLasts)}
		if s.KA {
			b.Tier = tasks.TierKA
		}
		req.Broadcasts = append(req.Broadcasts, b)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	var answer intake.Answer
	if err := e.remote().ask(e.t, "POST", "/v1/requests", bytes.NewReader(body), &answer); err != nil {
		return nil, err
	}
	outcomes := map[string]intake.Outcome{}
	for _, o := range answer.Outcomes {
		outcomes[o.ShopID] = o
		if o.Outcome != intake.Accepted {
			e.say("shop %s: %s: %s", o.ShopID, o.Outcome, o.Reason)
		}
	}
	return outcomes, nil
}

// watch shows the progress until every run has ended, and answers the runs by shop.
func (e *evening) watch(ctx context.Context) (map[string]api.Run, error) {
	view := e.newView()
	defer view.end()
	give := time.After(demoLast + time.Minute + time.Duration(e.Users/10_000)*time.Second)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		var page struct{ Runs []api.Run }
		if err := e.remote().ask(e.t, "GET", "/v1/runs?limit=1000", nil, &page); err != nil {
			return nil, err
		}
		runs, open := map[string]api.Run{}, 0
		for _, r := range page.Runs {
			runs[r.ShopID] = r
			view.show(r)
			if r.State == "planned" || r.State == "warming" {
				open++
			}
		}
		if open == 0 {
			return runs, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("stopped before the evening was over")
		case <-give:
			return runs, nil
		case <-tick.C:
		}
	}
}

// view shows runs: bars on a terminal, a line for each change elsewhere.
type view interface {
	show(api.Run)
	end()
}

func (e *evening) newView() view {
	if f, ok := e.t.out.(*os.File); ok && !e.JSON && isTerminal(f) {
		return newBars(f)
	}
	w := e.t.out
	if e.JSON {
		w = e.t.err
	}
	return &lines{w: w, last: map[string]string{}}
}

// lines prints a run when its state changes.
type lines struct {
	w    io.Writer
	last map[string]string
}

func (l *lines) show(r api.Run) {
	if l.last[r.RunID] == r.State || r.State == "skipped" {
		return
	}
	l.last[r.RunID] = r.State
	fmt.Fprintf(l.w, "%s  shop %-8s %-8s %7d of %7d rows, deadline %s\n",
		time.Now().UTC().Format(time.TimeOnly), r.ShopID, r.State, r.RowsDone, r.RowsEstimated, clock(r.Deadline))
}

func (l *lines) end() {}

// bars has a progress bar per shop.
type bars struct {
	writer   progress.Writer
	trackers map[string]*progress.Tracker
	done     chan struct{}
}

func newBars(w io.Writer) *bars {
	b := &bars{writer: progress.NewWriter(), trackers: map[string]*progress.Tracker{}, done: make(chan struct{})}
	b.writer.SetOutputWriter(w)
	b.writer.SetStyle(progress.StyleBlocks)
	b.writer.SetTrackerPosition(progress.PositionRight)
	b.writer.SetUpdateFrequency(100 * time.Millisecond)
	b.writer.Style().Visibility.ETA = false
	b.writer.Style().Visibility.Speed = true
	go func() {
		defer close(b.done)
		b.writer.Render()
	}()
	return b
}

func (b *bars) show(r api.Run) {
	if r.State == "skipped" || r.RowsEstimated == 0 {
		return
	}
	tr, ok := b.trackers[r.RunID]
	if !ok {
		tr = &progress.Tracker{Total: r.RowsEstimated, DeferStart: true}
		b.trackers[r.RunID] = tr
		b.writer.AppendTracker(tr)
	}
	tr.UpdateMessage(fmt.Sprintf("shop %-8s %-8s deadline %s", r.ShopID, r.State, clock(r.Deadline)))
	if r.RowsDone > 0 {
		tr.SetValue(min(r.RowsDone, r.RowsEstimated-1))
	}
	switch r.State {
	case "ready":
		tr.SetValue(r.RowsEstimated)
		tr.MarkAsDone()
	case "failed", "cancelled":
		tr.MarkAsErrored()
	}
}

func (b *bars) end() {
	for _, tr := range b.trackers {
		if !tr.IsDone() {
			tr.MarkAsErrored()
		}
	}
	b.writer.SetAutoStop(true) // it renders the last frame and ends: nothing is active any more
	<-b.done
}

// byDeadline orders shops as the evening does.
func byDeadline(a, b demoShop) int {
	if a.Deadline == nil || b.Deadline == nil {
		return strings.Compare(a.ShopID, b.ShopID)
	}
	return a.Deadline.Compare(*b.Deadline)
}

func sorted(shops []demoShop) []demoShop {
	slices.SortFunc(shops, byDeadline)
	return shops
}
