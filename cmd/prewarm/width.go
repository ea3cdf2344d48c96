package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/api"
)

type widthCmd struct {
	remote
	Pin    *int          `placeholder:"N" help:"Use N slots, whatever the demand."`
	Min    *int          `placeholder:"N" help:"At least N slots, instead of width.min."`
	Max    *int          `placeholder:"N" help:"At most N slots, instead of width.max."`
	Pause  bool          `help:"Pause every slot before its next page."`
	For    time.Duration `placeholder:"DURATION" help:"How long that is to hold, as 30m; it ends by itself."`
	Reason string        `placeholder:"TEXT" help:"Why; shown wherever the width is."`
	Clear  bool          `help:"End what was set by hand."`
}

// Help is shown by `prewarm width --help`.
func (widthCmd) Help() string {
	return `Without flags it shows how many slots are in use, what is needed, what the servers bear, and why. --pin, --min, --max and --pause set
that by hand, with --for and --reason; what was set before is replaced. The guard is stronger than a pin: what hurts the servers is not done.`
}

func (c *widthCmd) Run(t *terminal) error {
	var now api.WidthNow
	if err := c.do(t, &now); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, now)
	}
	showWidth(t, now)
	return nil
}

// do shows, sets or clears, as the flags say.
func (c *widthCmd) do(t *terminal, now *api.WidthNow) error {
	sets := c.Pin != nil || c.Min != nil || c.Max != nil || c.Pause
	switch {
	case c.Clear && (sets || c.For != 0):
		return usageError{errors.New("--clear ends what was set; it takes --reason only")}
	case c.Clear:
		return c.ask(t, "DELETE", "/v1/width/override?reason="+url.QueryEscape(c.Reason), nil, now)
	case sets && (c.For <= 0 || strings.TrimSpace(c.Reason) == ""):
		return usageError{errors.New("what is set by hand needs an end and a reason: --for 30m --reason TEXT")}
	case !sets && (c.For != 0 || c.Reason != ""):
		return usageError{errors.New("name what to set: --pin N, --min N, --max N, --pause; or --clear")}
	case !sets:
		return c.ask(t, "GET", "/v1/width", nil, now)
	}
	set := api.WidthSet{Pause: c.Pause, For: c.For.String(), Reason: c.Reason}
	for _, f := range []struct {
		name string
		from *int
		to   *int
	}{{"pin", c.Pin, &set.Pin}, {"min", c.Min, &set.Min}, {"max", c.Max, &set.Max}} {
		if f.from == nil {
			continue
		}
		if *f.to = *f.from; *f.from < 1 {
			return usageError{fmt.Errorf("--%s is at least 1; --pause stops the work", f.name)}
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return c.ask(t, "PUT", "/v1/width", bytes.NewReader(body), now)
}

func showWidth(t *terminal, w api.WidthNow) {
	paused := ""
	if w.Paused {
		paused = ", paused"
	}
	fmt.Fprintf(t.out, "width    %d of %d..%d, %d in use on %d pods%s\n", w.Width, w.Min, w.Max, w.Actual, w.Pods, paused)
	fmt.Fprintf(t.out, "why      %s\n", clean(w.Reason))
	fmt.Fprintf(t.out, "demand   %.1f slots (%.1f without headroom): %s\n", w.Demand.Slots, w.Demand.Bare, clean(w.Demand.Reason))
	backlog := time.Duration(w.Demand.Backlog * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(t.out, "backlog  %s of slot time, %d runs overdue\n", backlog, w.Demand.Overdue)
	binds := "does not bind"
	if w.Bound {
		binds = fmt.Sprintf("binds: %d are wanted", w.Wanted)
	}
	fmt.Fprintf(t.out, "ceiling  %d (%s), %s\n", w.Ceiling, limits(w), binds)
	fmt.Fprintf(t.out, "pods     %d, %d wanted, %d slots each at most\n", w.Pods, w.PodsWanted, w.MaxPerPod)
	fmt.Fprintf(t.out, "by hand  %s\n", byHand(w.Override))
	for _, p := range w.Pages {
		fmt.Fprintf(t.out, "pages    %s: %s\n", clean(p.Dataset), clean(p.Reason))
	}
	if len(w.Guard) == 0 {
		return
	}
	fmt.Fprintln(t.out)
	tw := newTable(t.out, []string{"signal", "zone", "seen", "why"}, "why")
	for _, s := range w.Guard {
		zone := s.Zone
		if s.Blind {
			zone += " (blind)"
		}
		tw.AppendRow(table.Row{clean(s.Signal), zone, clock(s.At), clean(s.Reason)})
	}
	tw.Render()
}

// limits is what the ceiling is, in words.
func limits(w api.WidthNow) string {
	switch w.Binds {
	case "max":
		return "width.max"
	case "pods":
		return "what the pods carry"
	case "guard":
		return "what the servers bear"
	}
	return "not known"
}

// byHand is an override in words.
func byHand(o *api.Override) string {
	if o == nil {
		return "nothing is set"
	}
	var what []string
	for _, f := range []struct {
		name string
		n    int
	}{{"pin", o.Pin}, {"min", o.Min}, {"max", o.Max}} {
		if f.n > 0 {
			what = append(what, fmt.Sprintf("%s %d", f.name, f.n))
		}
	}
	if o.Pause {
		what = append(what, "paused")
	}
	return fmt.Sprintf("%s until %s, by %s: %s", strings.Join(what, ", "), clock(o.Until), clean(o.Who), clean(o.Why))
}
