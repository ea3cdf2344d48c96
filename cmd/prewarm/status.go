package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/api"
)

type statusCmd struct {
	remote
	Watch bool          `help:"Go on showing it until Ctrl-C: in place on a terminal, else a line per change."`
	Every time.Duration `default:"2s" help:"How often --watch asks (${default})."`
}

// Help is shown by `prewarm status --help`.
func (statusCmd) Help() string {
	return `--watch goes on while the server restarts. With --json it prints one document per line.`
}

// statusShown is how long after its end a broadcast is still part of the evening.
const statusShown = 6 * time.Hour

// status is the document of `prewarm status --json`.
type status struct {
	Server string         `json:"server"`
	Width  api.WidthNow   `json:"width"`
	Pods   []api.Pod      `json:"pods"`
	Runs   map[string]int `json:"runs"`   // by state
	More   bool           `json:"more"`   // there are more runs than were counted
	Open   []api.Run      `json:"open"`   // not ended, or failed; nearest deadline first
	Alerts []alert.Record `json:"alerts"` // that stand
	Paused []api.Switch   `json:"paused"` // pauses in force

	all []api.Run // those that Runs counts
}

func (c *statusCmd) Run(t *terminal) error {
	if c.Watch {
		return c.watchUntilSignal(t)
	}
	s, err := c.collect(t)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, s)
	}
	s.show(t)
	return nil
}

func (c *statusCmd) collect(t *terminal) (status, error) {
	var (
		me     api.Me
		pods   api.PodList
		runs   api.RunList
		alerts api.AlertList
		paused api.SwitchList
		s      = status{Runs: map[string]int{}, Open: []api.Run{}}
	)
	since := url.QueryEscape(time.Now().Add(-statusShown).UTC().Format(time.RFC3339))
	for _, q := range []struct {
		path string
		out  any
	}{
		{"/v1/me", &me}, {"/v1/width", &s.Width}, {"/v1/pods", &pods}, {"/v1/alerts", &alerts}, {"/v1/switches", &paused},
		{"/v1/runs?limit=1000&ends_after=" + since, &runs},
	} {
		if err := c.ask(t, "GET", q.path, nil, q.out); err != nil {
			return s, err
		}
	}
	s.Server, s.Pods, s.More, s.Paused = me.Version, pods.Pods, runs.Next != "", paused.Switches
	s.Alerts = slices.DeleteFunc(alerts.Alerts, func(a alert.Record) bool { return a.State == alert.Resolved })
	s.all = runs.Runs
	for _, r := range runs.Runs {
		s.Runs[r.State]++
		if open(r) {
			s.Open = append(s.Open, r)
		}
	}
	slices.SortStableFunc(s.Open, func(a, b api.Run) int {
		if a.Deadline == nil || b.Deadline == nil {
			return 0
		}
		return a.Deadline.Compare(*b.Deadline)
	})
	return s, nil
}

// Most lines of a kind that status shows.
const (
	statusRuns   = 20
	statusAlerts = 5
)

func (s status) show(t *terminal) {
	fmt.Fprintf(t.out, "prewarm %s: %d of %d slots in use (%s)\n", clean(s.Server), s.Width.Actual, s.Width.Width, clean(s.Width.Reason))
	tw := newTable(t.out, []string{"pod", "version", "slots", "started", "seen"})
	for _, p := range s.Pods {
		tw.AppendRow(table.Row{clean(p.Pod), clean(p.Version), p.Slots, clock(p.StartedAt), clock(p.SeenAt)})
	}
	tw.Render()
	fmt.Fprintf(t.out, "\nruns: %s\n", cmp.Or(counts(s.Runs), "none"))
	if len(s.Paused) > 0 {
		showSwitches(t, s.Paused)
	}
	if s.More {
		fmt.Fprintln(t.err, "only the newest 1000 runs were counted")
	}
	if len(s.Open) > 0 {
		fmt.Fprintln(t.out)
		showRuns(t, s.Open[:min(len(s.Open), statusRuns)])
	}
	if len(s.Open) > statusRuns {
		fmt.Fprintf(t.err, "%d more: prewarm runs --state=planned,warming,failed\n", len(s.Open)-statusRuns)
	}
	for i, a := range s.Alerts[:min(len(s.Alerts), statusAlerts)] {
		if i == 0 {
			fmt.Fprintln(t.out, "\nalerts:")
		}
		fmt.Fprintf(t.out, "  %s  %s  %s\n", clock(&a.At), a.Severity, clean(a.Summary))
	}
}
