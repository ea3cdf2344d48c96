package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/config"
)

type runCmd struct {
	remote
	ID      string `arg:"" help:"The run, as in prewarm runs."`
	Rejects bool   `help:"Show the rows that could not be encoded instead of the units."`
}

func (c *runCmd) Run(t *terminal) error {
	path := "/v1/runs/" + url.PathEscape(c.ID)
	if c.Rejects {
		return c.rejects(t, path+"/rejects")
	}
	var run api.RunDetail
	if err := c.ask(t, "GET", path, nil, &run); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, run)
	}
	showRun(t, run)
	c.showBatch(t, run.RequestID)
	return nil
}

// placed says which cache each dataset is in, unless all are in the one that is not worth a word.
func placed(units []api.Unit) string {
	of, told := map[string]string{}, false
	for _, u := range units {
		of[u.Dataset] = u.Cache
		told = told || u.Cache != config.MainCache
	}
	if !told {
		return ""
	}
	var all []string
	for _, dataset := range slices.Sorted(maps.Keys(of)) {
		all = append(all, dataset+" in "+of[dataset])
	}
	return strings.Join(all, ", ")
}

func showRun(t *terminal, run api.RunDetail) {
	showRuns(t, []api.Run{run.Run})
	fmt.Fprintf(t.out, "\nstarts %s, ends %s, planned start %s, started %s, ready %s\nepoch %d, attempts %d, units %d of %d done, %d failed\n\n",
		clock(run.StartsAt), clock(run.EndsAt), clock(run.PlannedStart), clock(run.StartedAt), clock(run.ReadyAt),
		run.Epoch, run.Attempts, run.UnitsDone, run.UnitsTotal, run.UnitsFailed)
	if v := run.Verdict; v != nil {
		fmt.Fprintf(t.out, "%s: expected by %s, with 95 %% certainty by %s\n\n", v.State, clock(v.Finish), clock(v.Finish95))
	}
	if where := placed(run.Units); where != "" {
		fmt.Fprintf(t.out, "caches: %s\n\n", clean(where))
	}
	tw := newTable(t.out, []string{"unit", "dataset", "state", "from", "to", "cursor", "rows", "rejects", "tries", "owner", "error"},
		"from", "to", "cursor", "error")
	var rejects int64
	for _, u := range run.Units {
		rejects += u.Rejects
		tw.AppendRow(table.Row{u.Unit, u.Dataset, u.State, clean(u.From), clean(u.To), clean(u.Cursor), u.RowsDone, u.Rejects,
			u.Attempts, clean(u.Owner), clean(u.LastError)})
	}
	tw.Render()
	showTimeline(t, run)
	switch {
	case run.Paused != "":
		fmt.Fprintf(t.err, "%s; `prewarm resume` ends that\n", clean(run.Paused))
	case run.State == "failed":
		fmt.Fprintf(t.err, "to go on where it stopped: prewarm retry %s; to begin from scratch: prewarm restart %s\n", run.RunID, run.RunID)
	case rejects > 0:
		fmt.Fprintf(t.err, "%d rows could not be encoded: prewarm run %s --rejects\n", rejects, run.RunID)
	}
}

// showTimeline lists what happened, oldest first.
func showTimeline(t *terminal, run api.RunDetail) {
	fmt.Fprintln(t.out)
	tw := newTable(t.out, []string{"at", "what", "unit", "who", "why"}, "why")
	for _, e := range run.Timeline {
		unit := ""
		if e.Unit != nil {
			unit = fmt.Sprintf("%d, claim %d", *e.Unit, e.Claim)
		}
		if e.Recovers > 0 {
			unit += fmt.Sprintf(" recovers claim %d", e.Recovers)
		}
		what := e.Stage
		if e.Scope != "run" {
			what += " (" + e.Scope + ")"
		}
		tw.AppendRow(table.Row{clock(e.At), what, unit, clean(e.Who), clean(e.Message)})
	}
	tw.Render()
}

// showBatch sums up the request that announced the run. A request that is not known any more is not missed.
func (c *runCmd) showBatch(t *terminal, id string) {
	var r api.BatchDetail
	if id == "" || c.ask(t, "GET", "/v1/requests/"+url.PathEscape(id), nil, &r) != nil {
		return
	}
	fmt.Fprintf(t.out, "\nannounced by request %s (%s) of %s: %d broadcasts (%s), %d runs (%s), %d failed, %d rows\n",
		clean(r.RequestID), clean(r.Via), clock(r.ReceivedAt), r.Broadcasts, counts(r.Outcomes), r.Runs, counts(r.States), r.Failed, r.RowsDone)
}

// counts is "3 ready, 1 failed".
func counts(by map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%d %s", by[name], name))
	}
	return strings.Join(parts, ", ")
}

func (c *runCmd) rejects(t *terminal, path string) error {
	var list api.RejectList
	if err := c.ask(t, "GET", path, nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, list)
	}
	tw := newTable(t.out, []string{"unit", "dataset", "row", "error"}, "row", "error")
	for _, r := range list.Rejects {
		tw.AppendRow(table.Row{r.Unit, r.Dataset, clean(r.RowKey), clean(r.Error)})
	}
	tw.Render()
	return nil
}
