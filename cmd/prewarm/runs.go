package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/pace"
)

type runsCmd struct {
	remote
	State     []string `enum:"planned,warming,ready,failed,cancelled,skipped" placeholder:"STATE" help:"Only these states: planned, warming, ready, failed, cancelled, skipped."`
	Shop      string   `help:"Only this shop."`
	Broadcast string   `help:"Only this broadcast."`
	Limit     int      `default:"100" help:"At most so many, 1 to 1000."`
	Next      string   `placeholder:"RUN" help:"The page after this run."`
}

func (c *runsCmd) Run(t *terminal) error {
	q := url.Values{"limit": {strconv.Itoa(c.Limit)}}
	for name, value := range map[string]string{
		"state": strings.Join(c.State, ","), "shop": c.Shop, "broadcast": c.Broadcast, "next": c.Next,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	var list api.RunList
	if err := c.ask(t, "GET", "/v1/runs?"+q.Encode(), nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, list)
	}
	showRuns(t, list.Runs)
	if list.Next != "" {
		fmt.Fprintf(t.err, "there are more: prewarm runs --next %s\n", clean(list.Next))
	}
	return nil
}

func showRuns(t *terminal, runs []api.Run) {
	tw := newTable(t.out, []string{"run", "shop", "broadcast", "state", "rows", "done", "deadline", "margin", "verdict", "note"}, "note")
	for _, r := range runs {
		state := r.State
		if r.Late {
			state += " late"
		}
		verdict, margin := "", r.MarginSeconds
		if r.Verdict != nil {
			verdict, margin = r.Verdict.State, &r.Verdict.MarginSeconds // of an open run: the one expected
		}
		tw.AppendRow(table.Row{r.RunID, clean(r.ShopID), clean(r.BroadcastID), state, r.RowsDone, done(r),
			clock(r.Deadline), span(margin), verdict, clean(note(r))})
	}
	tw.Render()
}

// done is the share of the rows that are written. The estimate is rough, so a ready run is done whatever it says.
func done(r api.Run) string {
	if r.State == "ready" {
		return "100%"
	}
	return percent(r.RowsDone, r.RowsEstimated)
}

// note is the one thing to know about a run, and before it that it may be late.
func note(r api.Run) string {
	what := doing(r)
	if v := r.Verdict; v != nil && v.State != pace.Feasible {
		text := fmt.Sprintf("%s: %s; what helps: %s", v.State, v.Reason, v.Remedy)
		if what != "" {
			text += "; " + what
		}
		return text
	}
	return what
}

func doing(r api.Run) string {
	switch {
	case r.State == "failed" && r.LastError != "":
		return r.LastError
	case r.WaitsFor != "":
		return "waits for " + r.WaitsFor
	case r.ETASeconds != nil:
		return "ready in " + span(r.ETASeconds)
	}
	return r.Reason
}
