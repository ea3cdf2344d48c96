package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/prewarm-go/prewarm/internal/api"
)

const (
	watchTime = 10 * time.Second // one look; a server that takes longer is shown as away
	barWidth  = 20               // characters
	readyFor  = time.Minute      // how long a run is shown after it was ready
)

// viewer shows one look at the cluster after the other.
type viewer interface {
	show(s status, at time.Time) error
	away(err error, at time.Time) error // the server does not answer
	close() error
}

func (c *statusCmd) watchUntilSignal(t *terminal) error {
	if c.Every <= 0 {
		return usageError{errors.New("--every must be longer than 0; write 2s")}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var v viewer = &changes{out: t.out, said: map[string]string{}}
	if f, isFile := t.out.(*os.File); isFile && isTerminal(f) && !c.JSON {
		v = newScreen(f, func() (int, int, error) { return term.GetSize(int(f.Fd())) })
	}
	if c.JSON {
		v = documents{t.out}
	}
	err := c.watch(ctx, t, v)
	return errors.Join(err, v.close())
}

// watch shows how things stand until ctx ends. A server that is away is asked again; one that refuses is not.
func (c *statusCmd) watch(ctx context.Context, t *terminal, v viewer) error {
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		s, err := c.look(ctx, t)
		var usage usageError
		switch now := time.Now(); {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errToken) || errors.As(err, &usage):
			return err
		case err != nil:
			err = v.away(err, now)
		default:
			err = v.show(s, now)
		}
		if err != nil {
			return err // nobody reads
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look asks once.
func (c statusCmd) look(ctx context.Context, t *terminal) (status, error) {
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	c.within = ctx
	return c.collect(t)
}

// documents is a JSON document per line.
type documents struct{ out io.Writer }

func (d documents) show(s status, _ time.Time) error { return json.NewEncoder(d.out).Encode(s) }
func (documents) away(error, time.Time) error        { return nil }
func (documents) close() error                       { return nil }

// changes says what has changed, for files and pipes.
type changes struct {
	out    io.Writer
	said   map[string]string // by run, and "" for the whole
	absent bool
}

func (l *changes) show(s status, at time.Time) error {
	var b strings.Builder
	if l.absent {
		l.absent = false
		fmt.Fprintf(&b, "%s prewarm answers again\n", at.Format(time.TimeOnly))
	}
	l.say(&b, at, "", fmt.Sprintf("prewarm %s: %d pods, %d of %d slots in use, runs: %s", clean(s.Server), len(s.Pods), s.Width.Actual,
		s.Width.Width, cmp.Or(counts(s.Runs), "none")))
	for _, r := range slices.Backward(s.all) { // oldest first
		what := r.State
		if r.Late {
			what += " late"
		}
		if open(r) {
			what += " " + decile(r)
		}
		for _, more := range []string{r.WaitsFor, r.LastError} {
			if more != "" && open(r) {
				what += ": " + more
			}
		}
		l.say(&b, at, r.RunID, fmt.Sprintf("shop %s broadcast %s %s", clean(r.ShopID), clean(r.BroadcastID), clean(what)))
	}
	_, err := io.WriteString(l.out, b.String())
	return err
}

// decile is the progress in tens of percent, so that a run makes ten lines and not a thousand.
func decile(r api.Run) string {
	if r.RowsEstimated <= 0 {
		return ""
	}
	return fmt.Sprintf("%d%%", min(r.RowsDone*10/r.RowsEstimated, 10)*10)
}

func (l *changes) say(b *strings.Builder, at time.Time, key, what string) {
	if l.said[key] != what {
		l.said[key] = what
		fmt.Fprintf(b, "%s %s\n", at.Format(time.TimeOnly), strings.TrimRight(what, " "))
	}
}

func (l *changes) away(err error, at time.Time) error {
	if l.absent {
		return nil
	}
	l.absent = true
	_, err = fmt.Fprintf(l.out, "%s asking again: %s\n", at.Format(time.TimeOnly), clean(err.Error()))
	return err
}

func (*changes) close() error { return nil }

// screen draws over itself on the terminal's second screen.
type screen struct {
	out  io.Writer
	size func() (width, height int, err error)
	last string           // the frame without what moves the cursor
	rows map[string]int64 // of the look before, by run
	at   time.Time        // of the look before
	on   bool             // the second screen is shown
}

// What moves the cursor.
const (
	enter    = "\x1b[?1049h\x1b[?25l\x1b[2J" // to the second screen, without a cursor
	leave    = "\x1b[?25h\x1b[?1049l"
	home     = "\x1b[H"
	lineEnd  = "\x1b[K\n"
	clearEnd = "\x1b[J"
)

func newScreen(out io.Writer, size func() (int, int, error)) *screen {
	return &screen{out: out, size: size, rows: map[string]int64{}}
}

func (v *screen) show(s status, at time.Time) error {
	v.frame(s, at)
	return v.draw(v.last)
}

// away keeps what was seen last and says above it that it is old.
func (v *screen) away(err error, at time.Time) error {
	return v.draw(fmt.Sprintf("%s asking again: %s\n\n%s", at.Format(time.TimeOnly), clean(err.Error()), v.last))
}

func (v *screen) draw(frame string) error {
	width, height, err := v.size()
	if err != nil || width <= 0 || height <= 1 {
		width, height = 80, 24
	}
	all := strings.Split(strings.TrimRight(frame, "\n"), "\n")
	if len(all) >= height {
		all = append(all[:height-2], "…")
	}
	var b strings.Builder
	if !v.on {
		b.WriteString(enter)
		v.on = true
	}
	b.WriteString(home)
	for _, line := range all {
		b.WriteString(text.Trim(line, width) + lineEnd)
	}
	b.WriteString(clearEnd)
	_, err = io.WriteString(v.out, b.String())
	return err
}

// close goes back to the first screen and leaves what was seen last there.
func (v *screen) close() error {
	if !v.on {
		return nil
	}
	_, err := io.WriteString(v.out, leave+v.last)
	return err
}

func (v *screen) frame(s status, at time.Time) {
	var b strings.Builder
	fmt.Fprintf(&b, "prewarm %s  %s  %d pods, %d of %d slots%s\n", clean(s.Server), at.Format(time.TimeOnly), len(s.Pods), s.Width.Actual,
		s.Width.Width, v.speed(s.all, at))
	fmt.Fprintf(&b, "%s\nruns: %s\n", clean(s.Width.Reason), cmp.Or(counts(s.Runs), "none"))
	if len(s.Paused) > 0 {
		showSwitches(&terminal{out: &b}, s.Paused)
	}
	b.WriteString("\n")
	tw := newTable(&b, []string{"shop", "broadcast", "state", "progress", "rows", "deadline", "note"})
	for _, r := range shown(s, at) {
		state := r.State
		if r.Late {
			state += " late"
		}
		deadline := "-"
		if r.Deadline != nil {
			deadline = r.Deadline.Local().Format(time.TimeOnly)
		}
		tw.AppendRow(table.Row{clean(r.ShopID), clean(r.BroadcastID), state, bar(r), r.RowsDone, deadline, clean(note(r))})
	}
	tw.Render()
	for i, a := range s.Alerts[:min(len(s.Alerts), statusAlerts)] {
		if i == 0 {
			b.WriteString("\nalerts:\n")
		}
		fmt.Fprintf(&b, "  %s  %s  %s\n", clock(&a.At), a.Severity, clean(a.Summary))
	}
	v.last = b.String()
}

// speed is the rows written per second since the last look; "" at the first.
func (v *screen) speed(runs []api.Run, at time.Time) string {
	now := make(map[string]int64, len(runs))
	var rows int64
	for _, r := range runs {
		now[r.RunID] = r.RowsDone
		if before, seen := v.rows[r.RunID]; seen && r.RowsDone > before {
			rows += r.RowsDone - before
		}
	}
	since := at.Sub(v.at).Seconds()
	first := v.at.IsZero()
	v.rows, v.at = now, at
	if first || since <= 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f rows/s", float64(rows)/since)
}

// shown are the open runs, and those that were ready a moment ago.
func shown(s status, at time.Time) []api.Run {
	runs := slices.Clone(s.Open)
	for _, r := range s.all {
		if r.State == "ready" && r.ReadyAt != nil && at.Sub(*r.ReadyAt) < readyFor {
			runs = append(runs, r)
		}
	}
	return runs
}

// bar is the share of the rows that are written.
func bar(r api.Run) string {
	filled := 0
	switch {
	case r.State == "ready":
		filled = barWidth
	case r.RowsEstimated > 0:
		filled = int(min(r.RowsDone*barWidth/r.RowsEstimated, barWidth))
	}
	return fmt.Sprintf("[%s%s] %4s", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), done(r))
}

func open(r api.Run) bool { return r.State == "planned" || r.State == "warming" || r.State == "failed" }
