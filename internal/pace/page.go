package pace

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/guard"
)

// Pages bounds the rows of a page. What the live load feels is the time of one page in the server, far more than the
// width: pages of half a millisecond held its p99 at 1.4 times idle at full speed, pages of 10,000 rows took it to 9 times
// at width 1. So the time is given and the rows follow. A read that meets a page on its processor waits for the rest of it, so that the p99
// is about the idle one and a page, with one slot: of 0.4 ms idle pages of 100, 200, 300, 450 and 5,000 rows made 0.5, 0.6, 0.7, 0.9 and 1.9 ms (medians of
// three looks each, in turn), at 0.63, 0.73, 0.87, 0.81 and 1 of the speed. Since rows are read while others are encoded 158 to 176 rows (0.2 ms) cost as much as 217 to 233 (0.25 ms)
// for each row, some 1.14 times what 5,000 do, and made 1.1 to 1.3 for 1.4 to 1.9 times idle (three looks each, in turn). A statement by itself costs a MariaDB 0.09 ms of processor time, of which
// it needs half for a SELECT 1 too, and each of these rows 0.9 µs.
type Pages struct {
	Target time.Duration // server time of a page; default 0.2ms
	Bytes  int           // of a page at most; 0: no limit
	Min    int           // rows; default 50: below that the statement costs more than its rows
	Max    int           // rows; default 5000
	Alone  int           // rows that a page has at least because nobody else reads the source; 0: somebody does
}

// aloneTimes is how many times the target a page may take while nobody else reads the source. A statement costs as much as 100 to 150
// rows, besides what its page costs to send and to record: with one slot pages of 2,000 rows took 15 to 20 % less processor time for a
// row than pages of 500 in three of four pairs of runs and 2 % less in the other, and pages of 4,000 as much as those of 2,000.
const aloneTimes = 40

// Fill sets the defaults of what was left out or cannot be.
func (p Pages) Fill() Pages {
	if p.Target <= 0 {
		p.Target = 200 * time.Microsecond
	}
	if p.Min <= 0 {
		p.Min = 50
	}
	if p.Max <= 0 {
		p.Max = 5000
	}
	p.Min = min(max(p.Min, p.Alone), p.Max)
	return p
}

// pageMemory is how many pages the law remembers. It goes by their median: of single pages on a shared machine every
// tenth takes several times as long as the others.
const pageMemory = 9

// Pager sizes the pages of one dataset in one pod. The zero value begins with the rows that First says.
type Pager struct {
	Rows  int // of the next page; 0: not begun
	costs [pageMemory]float64
	seen  int
	size  float64 // bytes of a row, averaged
}

// Page is what a page was.
type Page struct {
	Rows      int
	Bytes     int
	Time      time.Duration // from the statement to the last row
	RoundTrip time.Duration // to the server and back, which is not its time; 0 if unknown
}

// Next is pure: the state after a page and, in one line, why the next page has the rows it has. Rows grow by a quarter
// at most while pages take less than the target and the guard lets things grow; they shrink at once to what fits, and by half
// after a page that took five times the target, whatever the median says. While nobody else reads the source nobody feels the time
// of a page: it may take aloneTimes the target, and does not shrink below l.Alone, since small ones cost the server more for each
// row. Once somebody does, the next page has what fits.
func (p Pager) Next(page Page, zone guard.Zone, l Pages) (Pager, string) {
	l = l.Fill()
	if l.Alone > 0 {
		l.Target *= aloneTimes
	}
	if p.Rows <= 0 {
		p = p.First(500, l)
	}
	if page.Rows <= 0 || page.Time <= 0 {
		return p, "a page without rows says nothing"
	}
	perRow := guard.PerRow(page.Time, page.RoundTrip, page.Rows)
	p.costs[p.seen%pageMemory] = perRow
	p.seen++
	if page.Bytes > 0 {
		size := float64(page.Bytes) / float64(page.Rows)
		if p.size == 0 || size > p.size {
			p.size = size // a greater row counts at once
		} else {
			p.size += 0.2 * (size - p.size)
		}
	}
	// Few rows say more about the statement than about rows: the last page of a unit is no evidence.
	if page.Rows < l.Min && page.Rows < p.Rows {
		return p.bounded(p.Rows, l), "a short page says little"
	}
	return p.resize(perRow*float64(page.Rows), zone, l)
}

func (p Pager) resize(took float64, zone guard.Zone, l Pages) (Pager, string) {
	target := l.Target.Seconds()
	fit := p.fit(target)
	rows := p.Rows
	var why string
	switch {
	case took > 5*target && rows/2 < fit:
		rows /= 2
		why = fmt.Sprintf("a page took %s, more than 5 times the target of %s", span3(took), l.Target)
	case fit < rows:
		rows = fit
		why = fmt.Sprintf("%d rows take %s", fit, l.Target)
	case zone > guard.Grow && l.Alone == 0 || zone > guard.Hold:
		why = "the guard says " + zone.String()
	default:
		rows = min(fit, rows+max(rows/4, 1))
		why = fmt.Sprintf("%d rows take %s", fit, l.Target)
	}
	next := p.bounded(rows, l)
	switch {
	case next.Rows < min(max(rows, l.Min), l.Max):
		why = fmt.Sprintf("%d bytes", l.Bytes)
	case next.Rows > rows && l.Alone >= next.Rows:
		why = "nobody else reads the source"
	case l.Alone > 0:
		why += ", as nobody else reads the source"
	}
	return next, fmt.Sprintf("%d rows: %s", next.Rows, why)
}

// First begins with a number of rows.
func (p Pager) First(rows int, l Pages) Pager {
	p.Rows = rows
	return p.bounded(rows, l.Fill())
}

// fit is how many rows take the target time, by the median cost of a row.
func (p Pager) fit(target float64) int {
	n := min(p.seen, pageMemory)
	costs := p.costs // a copy
	slices.Sort(costs[:n])
	const most = 1 << 30
	return int(min(target/max(costs[n/2], 1e-12), most))
}

func (p Pager) bounded(rows int, l Pages) Pager {
	p.Rows = min(max(rows, l.Min), l.Max)
	if l.Bytes > 0 && p.size > 0 {
		p.Rows = max(min(p.Rows, int(math.Min(float64(l.Bytes)/p.size, math.MaxInt32))), 1)
	}
	return p
}

func span3(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(10 * time.Microsecond).String()
}
