package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/report"
)

type reportCmd struct {
	remote
	Day string `placeholder:"YYYY-MM-DD" help:"Of the broadcasts that start on this day, in the server's zone; default: today."`
}

// Help is shown by `prewarm report --help`.
func (reportCmd) Help() string {
	return `Sums a day up: its runs by outcome, failures that were made good and those that were not, who was late and where the time went. The
report of the day before is sent to the alert sinks at 00:10; /report is the same as a page.`
}

func (c *reportCmd) Run(t *terminal) error {
	var r report.Report
	if err := c.ask(t, "GET", "/v1/report?day="+url.QueryEscape(c.Day), nil, &r); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, r)
	}
	fmt.Fprintln(t.out, clean(r.Summary()))
	showLines(t, "failed and not recovered", r.Failed)
	showLines(t, "still running", r.Running)
	showLines(t, "still waiting", r.Waiting)
	if len(r.Late) > 0 {
		fmt.Fprintln(t.out, "\nlate:")
		tw := newTable(t.out, []string{"shop", "broadcast", "run", "by", "of", "where the time went"}, "where the time went")
		for _, l := range r.Late {
			tw.AppendRow(table.Row{clean(l.ShopID), clean(l.BroadcastID), l.RunID, took(l.LateSeconds), took(l.WholeSeconds), clean(l.Parts.String())})
		}
		tw.Render()
	}
	if len(r.Recovered) > 0 {
		fmt.Fprintln(t.out, "\nrecovered:")
		tw := newTable(t.out, []string{"shop", "run", "unit", "dataset", "failed", "recovered by"})
		for _, l := range r.Recovered {
			tw.AppendRow(table.Row{clean(l.ShopID), l.RunID, l.Unit, clean(l.Dataset), fmt.Sprintf("claim %d", l.Failed), fmt.Sprintf("claim %d", l.By)})
		}
		tw.Render()
	}
	return nil
}

func took(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(100 * time.Millisecond).String()
}

func showLines(t *terminal, what string, lines []report.Line) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(t.out, "\n%s:\n", what)
	tw := newTable(t.out, []string{"shop", "broadcast", "run", "deadline", "rows", "why"}, "why")
	for _, l := range lines {
		tw.AppendRow(table.Row{clean(l.ShopID), clean(l.BroadcastID), l.RunID, clock(&l.Deadline), fmt.Sprintf("%d of %d", l.Rows, l.Estimated), clean(l.Why)})
	}
	tw.Render()
}
