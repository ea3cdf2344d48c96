package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/simulate"
)

type simulateCmd struct {
	output
	Evenings int     `default:"100" help:"How many evenings (${default})."`
	Seed     uint64  `default:"1" help:"Of the first evening; each next one has the next seed (${default})."`
	Shops    int     `default:"500" help:"Broadcasts of an evening (${default})."`
	Load     float64 `placeholder:"SHARE" help:"Greatest need of an evening, as a share of what the database has left; 1 just fits. Default: another for each, 0.2 to 1.3."`
	HTML     string  `name:"html" type:"path" placeholder:"FILE" help:"Write a page with the plots of the first evening."`
}

// Help is shown by `prewarm simulate --help`.
func (simulateCmd) Help() string {
	return `Broadcasts are announced, planned and warmed on a virtual clock, on a database that slows down under load, while the live load comes
and goes and pods die. The planner, the width's law and the guard are those of prewarm serve. The same seed is the same evening; nothing
is configured and no server is asked.`
}

// Bounds of what can be asked for: an evening holds about 200 bytes a broadcast and every 2 s.
const (
	mostEvenings = 1_000_000
	mostShops    = 9999
	mostLoad     = 10
)

func (c *simulateCmd) Run(t *terminal) error {
	if c.Evenings < 1 || c.Evenings > mostEvenings || c.Shops < 1 || c.Shops > mostShops || c.Load < 0 || c.Load > mostLoad {
		return usageError{fmt.Errorf("--evenings is 1 to %d, --shops 1 to %d, --load more than 0 and up to %d", mostEvenings, mostShops, mostLoad)}
	}
	page := io.Discard
	if c.HTML != "" {
		f, err := os.Create(c.HTML) // before the evenings, which take a while
		if err != nil {
			return usageError{fmt.Errorf("--html: %w", err)}
		}
		defer func() { _ = f.Close() }() // WritePage says if it cannot be written
		page = f
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	series := simulate.Series{Evenings: c.Evenings, Seed: c.Seed, Shape: simulate.Shape{Shops: c.Shops, Load: c.Load}}
	played, end := c.progress(t)
	sum, first, err := series.Play(ctx, played)
	end()
	if err != nil {
		return fmt.Errorf("stopped after %d of %d evenings", sum.Evenings, c.Evenings)
	}
	if err := simulate.WritePage(page, first, sum); err != nil {
		return fmt.Errorf("write %s: %w", c.HTML, err)
	}
	if c.JSON {
		err = printJSON(t.out, sum)
	} else {
		showSum(t, sum)
	}
	if sum.MissedFeasible > 0 {
		fmt.Fprintf(t.err, "missed: seeds %s; `prewarm simulate --evenings 1 --seed N --html FILE` shows one, with the same --shops and --load\n", seeds(sum.MissedSeeds))
	}
	return err
}

// progress is what to call after each evening and at the end: a bar on a terminal, nothing elsewhere.
func (c *simulateCmd) progress(t *terminal) (played, end func()) {
	f, ok := t.err.(*os.File)
	if !ok || !isTerminal(f) {
		return func() {}, func() {}
	}
	w := progress.NewWriter()
	w.SetOutputWriter(f)
	w.SetStyle(progress.StyleBlocks)
	w.SetTrackerPosition(progress.PositionRight)
	w.SetUpdateFrequency(100 * time.Millisecond)
	bar := &progress.Tracker{Message: "evenings", Total: int64(c.Evenings)}
	w.AppendTracker(bar)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Render()
	}()
	return func() { bar.Increment(1) }, func() {
		if !bar.IsDone() {
			bar.MarkAsErrored()
		}
		w.SetAutoStop(true) // it renders the last frame and ends: nothing is active any more
		<-done
	}
}

func showSum(t *terminal, s simulate.Summary) {
	percent := func(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }
	tw := newTable(t.out, []string{"what", "number", "means"}, "means")
	tw.AppendRows([]table.Row{
		{"evenings", s.Evenings, ""},
		{"feasible", s.Feasible, "a clairvoyant schedule meets all deadlines"},
		{"missed", s.MissedFeasible, "of those, evenings with a late broadcast"},
		{"broadcasts", s.Broadcasts, ""},
		{"late", s.Late, fmt.Sprintf("%d of them announced as late at least 5 minutes before the deadline", s.Warned)},
		{"said infeasible", s.Infeasible, "when the last list was taken in, at least 5 minutes before the deadline"},
		{"said at risk", s.AtRisk, fmt.Sprintf("then; %d of them were late", s.RiskLate)},
		{"precision", percent(s.VerdictPrecision), fmt.Sprintf("of those said to be infeasible, the share that was late; at their own intake %s", percent(s.OwnPrecision))},
		{"recall", percent(s.VerdictRecall), fmt.Sprintf("of the late, the share that was not said to be feasible; at their own intake %s: nobody knows then what is announced later", percent(s.OwnRecall))},
		{"harm", fmt.Sprintf("%.0f s", s.HarmSeconds), fmt.Sprintf("the live load took more than %.1f times as long because of us; of %.0f s with work", simulate.HarmAt, s.Seconds)},
		{"reversals", s.Reversals, fmt.Sprintf("times that the width turned around, at %d changes of load; %d at most in one evening", s.Changes, s.MostTurns)},
		{"restless", s.Restless, fmt.Sprintf("evenings with more than %d reversals beyond one for each change of load; the most was %d", s.TurnBound, s.Beyond)},
		{"moves", s.Moves, "of planned starts"},
	})
	tw.Render()
}

// seeds lists the first few.
func seeds(all []uint64) string {
	const shown = 10
	var text []string
	for _, s := range all[:min(len(all), shown)] {
		text = append(text, strconv.FormatUint(s, 10))
	}
	if len(all) > shown {
		text = append(text, "…")
	}
	return strings.Join(text, ", ")
}
