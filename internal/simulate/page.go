package simulate

import (
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"io"
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/pace"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return t.UTC().Format(time.TimeOnly)
	},
	"round":   func(d time.Duration) string { return d.Round(time.Second).String() },
	"percent": func(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) },
}).Parse(pageText))

// shownLate is how many late broadcasts the page lists.
const shownLate = 50

// page is what the template shows.
type page struct {
	Evening
	Sum    Summary
	Panels []panel
	Late   []Outcome // the first shownLate
	NLate  int
}

// WritePage writes one HTML page, complete in itself, with the evening's plots and, if it is one of several, their sum.
func WritePage(w io.Writer, e Evening, sum Summary) error {
	p := page{Evening: e, Sum: sum}
	for _, o := range e.Outcomes {
		if o.Late <= lateEnough {
			continue
		}
		if p.NLate++; len(p.Late) < shownLate {
			p.Late = append(p.Late, o)
		}
	}
	if len(e.Points) > 0 {
		p.Panels = panels(e)
	}
	return pageTemplate.Execute(w, p)
}

// panels are the plots, from the top down.
func panels(e Evening) []panel {
	full := func(p Point) float64 { return e.Scenario.Knee * server{e.Scenario}.at(p.At).slow }
	width := func(p Point) float64 { return float64(p.Width) }
	ceiling := func(p Point) float64 { return float64(p.Ceiling) }
	ours := func(p Point) float64 { return p.Live + p.Slots }
	top := most(e.Points, width, ceiling) * 1.15
	slots := newPanel(e, "Width, demand and ceiling", "slots", top)
	slots.line("ceiling", "ceiling", "what the width could be", ceiling)
	slots.line("demand", "demand", "what the deadlines need, with headroom (cut at the top)", func(p Point) float64 { return math.Min(p.Demand, top) })
	slots.line("width", "width", "what is used", width)
	slots.zones()
	slots.explain()

	backlog := newPanel(e, "Backlog", "slot hours", most(e.Points, hours)*1.1)
	backlog.area("ours", "backlog", "as believed by the planner", hours)
	backlog.deadlines()

	load := newPanel(e, "Database load", "slots", most(e.Points, ours, full)*1.1)
	load.area("ours", "warming", "slots at work, on top of the live load", ours)
	load.area("live", "live", "the live load", func(p Point) float64 { return p.Live })
	load.line("ceiling", "full speed", "what the database serves without slowing down", full)

	slow := newPanel(e, "Slowdown of the live load", "times", math.Max(most(e.Points, slowdown)*1.1, 2))
	slow.line("width", "slowdown", "1: as fast as alone", slowdown)
	slow.line("late", "harm", "counted as harm from here", func(Point) float64 { return HarmAt })
	return []panel{*slots, *backlog, *load, *slow}
}

func hours(p Point) float64    { return p.Backlog / 3600 }
func slowdown(p Point) float64 { return p.Slowdown }

func most(points []Point, values ...func(Point) float64) float64 {
	m := 0.0
	for _, p := range points {
		for _, v := range values {
			if x := v(p); x > m && !math.IsInf(x, 1) {
				m = x
			}
		}
	}
	return m
}

// Where a plot is drawn, in units of its own; page.html has the same numbers.
const (
	plotLeft, plotRight = 46.0, 950.0
	plotTop, plotBottom = 8.0, 160.0
)

// panel is one plot. All have the same axis of time.
type panel struct {
	Title, Unit string
	Shapes      []shape // in the order of drawing
	Bands       []band
	Marks       []mark
	Hints       []band
	X, Y        []tick

	e        Evening
	from, to time.Time
	top      float64
}

// shape is a line or an area and its line of the legend.
type shape struct {
	Class, Name, Text, Path string
	Area                    bool
}

// band is a stretch of time.
type band struct {
	Class, Text string
	X, Width    float64
}

type mark struct {
	Class, Text string
	X           float64
}

type tick struct {
	At   float64
	Text string
}

func newPanel(e Evening, title, unit string, top float64) *panel {
	p := &panel{Title: title, Unit: unit, e: e, from: e.Points[0].At, to: e.Points[len(e.Points)-1].At.Add(pace.Tick), top: math.Max(top, 1)}
	every := time.Hour
	if p.to.Sub(p.from) < 3*time.Hour {
		every = 15 * time.Minute
	}
	for t := p.from.Truncate(every); !t.After(p.to); t = t.Add(every) {
		if !t.Before(p.from) {
			p.X = append(p.X, tick{p.x(t), t.UTC().Format("15:04")})
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(p.top/2)))
	for _, f := range []float64{5, 2} {
		if p.top/(f*step) >= 3 {
			step *= f
			break
		}
	}
	for v := 0.0; v <= p.top; v += step {
		p.Y = append(p.Y, tick{p.y(v), fmt.Sprintf("%.4g", v)})
	}
	return p
}

func (p *panel) x(t time.Time) float64 {
	return plotLeft + (plotRight-plotLeft)*float64(t.Sub(p.from))/float64(p.to.Sub(p.from))
}

func (p *panel) y(v float64) float64 {
	return plotBottom - (plotBottom-plotTop)*math.Min(math.Max(v, 0), p.top)/p.top
}

func (p *panel) line(class, name, text string, value func(Point) float64) {
	p.Shapes = append(p.Shapes, shape{Class: class, Name: name, Text: text, Path: p.path(value, false)})
}

func (p *panel) area(class, name, text string, value func(Point) float64) {
	p.Shapes = append(p.Shapes, shape{Class: class, Name: name, Text: text, Path: p.path(value, true), Area: true})
}
