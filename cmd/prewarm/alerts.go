package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/api"
)

type alertsCmd struct {
	List listAlertsCmd `cmd:"" default:"withargs" help:"List alerts: those that stand, then those that were resolved last."`
	Test testAlertsCmd `cmd:"" help:"Send a test to the alert sinks."`
}

type listAlertsCmd struct {
	remote
	Limit int `default:"50" help:"At most so many, 1 to 1000."`
}

func (c *listAlertsCmd) Run(t *terminal) error {
	var list api.AlertList
	if err := c.ask(t, "GET", "/v1/alerts?limit="+strconv.Itoa(c.Limit), nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, list)
	}
	tw := newTable(t.out, []string{"state", "severity", "alert", "shop", "since", "what", "do"}, "what", "do")
	for _, a := range list.Alerts {
		what, do := a.Summary, a.Remedy
		if a.Why != "" {
			what += ": " + a.Why
		}
		if a.State == alert.Resolved {
			do = "over: " + a.Ended
		}
		tw.AppendRow(table.Row{a.State, a.Severity, a.Name, clean(a.Shop), clock(&a.Since), clean(what), clean(do)})
	}
	tw.Render()
	for _, s := range list.Sinks {
		if s.Failures > 0 {
			fmt.Fprintf(t.err, "sink %s has failed %d times in a row: %s; try it with `prewarm alerts test --sink %s`\n",
				clean(s.Name), s.Failures, clean(s.Error), clean(s.Name))
		}
	}
	return nil
}

type testAlertsCmd struct {
	remote
	Sink string `placeholder:"NAME" help:"Only this sink of alerts.sinks."`
}

// Help is shown by `prewarm alerts test --help`.
func (testAlertsCmd) Help() string {
	return `The running prewarm sends it, from where it runs, with its own configuration. It is a message that says that it is a test.`
}

func (c *testAlertsCmd) Run(t *terminal) error {
	var done api.AlertTest
	if err := c.ask(t, "POST", "/v1/alerts/test?sink="+url.QueryEscape(c.Sink), strings.NewReader(""), &done); err != nil {
		return err
	}
	failed := 0
	for _, s := range done.Sinks {
		if s.Error != "" {
			failed++
		}
	}
	switch {
	case c.JSON:
		if err := printJSON(t.out, done); err != nil {
			return err
		}
	case len(done.Sinks) == 0:
		fmt.Fprintln(t.out, "there are no sinks; add them to alerts.sinks in the configuration")
	default:
		tw := newTable(t.out, []string{"sink", "result"}, "result")
		for _, s := range done.Sinks {
			result := "sent"
			if s.Error != "" {
				result = "failed: " + s.Error
			}
			tw.AppendRow(table.Row{clean(s.Sink), clean(result)})
		}
		tw.Render()
	}
	if failed > 0 {
		return exitError(exitFailed)
	}
	return nil
}
