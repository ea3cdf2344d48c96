package simulate

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/pace"
)

// path draws a value over time. Of the points that fall on one column of pixels only the first, the least, the greatest
// and the last are drawn, which looks the same. Where nothing could be done there is a gap.
func (p *panel) path(value func(Point) float64, area bool) string {
	var b strings.Builder
	points := p.e.Points
	for len(points) > 0 {
		n := 1
		for n < len(points) && points[n].At.Sub(points[n-1].At) <= pace.Tick {
			n++
		}
		p.stretch(&b, points[:n], value, area)
		points = points[n:]
	}
	return b.String()
}

// stretch draws points without a gap.
func (p *panel) stretch(b *strings.Builder, points []Point, value func(Point) float64, area bool) {
	verb := "M"
	to := func(x, y float64) {
		fmt.Fprintf(b, "%s%.1f %.1f", verb, x, y)
		verb = "L"
	}
	if area {
		to(p.x(points[0].At), plotBottom)
	}
	for len(points) > 0 {
		n, least, greatest := 0, 0, 0
		column := math.Floor(p.x(points[0].At))
		for n < len(points) && math.Floor(p.x(points[n].At)) == column {
			if v := value(points[n]); v < value(points[least]) {
				least = n
			} else if v > value(points[greatest]) {
				greatest = n
			}
			n++
		}
		last := -1
		for _, i := range []int{0, min(least, greatest), max(least, greatest), n - 1} {
			if i != last {
				to(p.x(points[i].At), p.y(value(points[i])))
				last = i
			}
		}
		if n == len(points) {
			end := p.x(points[n-1].At.Add(pace.Tick))
			to(end, p.y(value(points[n-1])))
			if area {
				to(end, plotBottom)
				b.WriteString("Z")
			}
		}
		points = points[n:]
	}
}

// zones marks the time in which the guard did not let the width grow.
func (p *panel) zones() {
	points := p.e.Points
	for i := 0; i < len(points); {
		n := i + 1
		for n < len(points) && points[n].Zone == points[i].Zone && points[n].At.Sub(points[n-1].At) <= pace.Tick {
			n++
		}
		if zone := points[i].Zone; zone != "grow" {
			x := p.x(points[i].At)
			p.Bands = append(p.Bands, band{Class: zone, Text: "guard: " + zone, X: x, Width: p.x(points[n-1].At.Add(pace.Tick)) - x})
		}
		i = n
	}
}

// hintWidth is how wide a column is over which the pointer is told what went on.
const hintWidth = 4.0

func (p *panel) explain() {
	last := math.Inf(-1)
	for _, pt := range p.e.Points {
		x := p.x(pt.At)
		if x < last+hintWidth {
			continue
		}
		last = x
		p.Hints = append(p.Hints, band{X: x, Width: hintWidth, Text: fmt.Sprintf("%s  width %d, demand %.1f, ceiling %d, guard %s\n%s",
			pt.At.UTC().Format(time.TimeOnly), pt.Width, pt.Demand, pt.Ceiling, pt.Zone, pt.Reason)})
	}
}

// deadlines marks when broadcasts were due.
func (p *panel) deadlines() {
	type due struct{ all, late int }
	var order []time.Time
	at := map[time.Time]*due{}
	for _, o := range p.e.Outcomes {
		if o.Deadline.Before(p.from) || o.Deadline.After(p.to) {
			continue
		}
		d := at[o.Deadline]
		if d == nil {
			d = &due{}
			at[o.Deadline] = d
			order = append(order, o.Deadline)
		}
		d.all++
		if o.Late > lateEnough {
			d.late++
		}
	}
	for _, t := range order {
		d := at[t]
		m := mark{Class: "met", X: p.x(t), Text: fmt.Sprintf("%s: %d due", t.UTC().Format("15:04"), d.all)}
		if d.late > 0 {
			m.Class, m.Text = "late", fmt.Sprintf("%s, %d late", m.Text, d.late)
		}
		p.Marks = append(p.Marks, m)
	}
}
