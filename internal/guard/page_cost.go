package guard

import (
	"fmt"
	"sync"
	"time"
)

// What the cost check goes by.
const (
	// CostLimit is how many rows the server may examine for each row of a page. A range scan examines one; a scan that
	// begins at the shop's first row for every page examines the number of the page; `where` may drop rows, so that more
	// than one is examined for each that is left, and then only the plan can tell.
	CostLimit = 4.0
	// CostTimes is how far above what is usual for the dataset the cost may be once costKnown pages were measured.
	CostTimes = 3.0
	costKnown = 3
	// costSlack is examined rows that no page is blamed for: the ends of ranges, and pages of few rows.
	costSlack = 100
	// costFar is how far beyond the limit one page is enough; below that two in a row are.
	costFar = 4.0
	// costEvery is how many pages are read from one that is measured to the next, in the long run: measuring costs as much
	// as a page or two.
	costEvery = 128
	// costSlow is how far above its average the time of a page is a reason to measure the next one, at most every
	// costApart pages: a plan that changes in the middle of a unit shows in the time at once.
	costSlow  = 4.0
	costApart = 8
	costRows  = 20 // pages of fewer rows say little about the time of a row
)

// Cost is the check of one dataset against a plan that went bad. It is pure: every method returns the next state. The zero
// value has seen nothing.
type Cost struct {
	pages    int64   // read
	due      int64   // the page that is measured next
	measured int64   // pages read when one was last measured
	perRow   float64 // seconds, averaged
	usual    float64 // rows examined per row, averaged over the pages that were well
	samples  int
	over     int // of the newest pages measured, how many in a row were beyond the limit
}

// Next counts a page that is about to be read, and says whether to measure it: the second that the pod reads, the fourth,
// the eighth and so on up to every costEvery, and any after one that was slow or beyond the limit. A scan that begins at the
// shop's first row shows within these, most of all in units far from that row.
func (c Cost) Next() (Cost, bool) {
	n := c.pages
	c.pages++
	if n < max(c.due, 1) {
		return c, false
	}
	c.measured = c.pages
	c.due = min(2*n+1, n+costEvery)
	return c, true
}

// Took adds the time of a page that was not measured.
func (c Cost) Took(rows int, took time.Duration) Cost {
	if rows < costRows || took <= 0 {
		return c
	}
	per := took.Seconds() / float64(rows)
	if c.perRow == 0 {
		c.perRow = per
	}
	if per > costSlow*c.perRow && c.pages >= c.measured+costApart {
		c.due = c.pages
	}
	c.perRow += 0.05 * (min(per, costSlow*c.perRow) - c.perRow)
	return c
}

// Examined adds a page that was measured, and says why its plan should be looked at; "": it need not be. What was examined is
// less than what was returned where the counter was reset in between; such pages are left out.
func (c Cost) Examined(rows, examined int64) (Cost, string) {
	if rows < 0 || examined < rows {
		return c, ""
	}
	per := costPer(rows, examined)
	limit := CostLimit
	if c.samples >= costKnown {
		limit = max(limit, CostTimes*c.usual)
	}
	if per < limit {
		return c.well(per), ""
	}
	c.due = c.pages
	if c.over++; c.over < 2 && per < costFar*limit {
		return c, ""
	}
	c.over = 0
	return c, fmt.Sprintf("%.1f rows examined for each that a page returned >= %.1f (%d for %d)", per, limit, examined, rows)
}

// Acquit takes a suspicion back: the plan is well, and so this is what the dataset costs.
func (c Cost) Acquit(rows, examined int64) Cost { return c.well(costPer(rows, examined)) }

func (c Cost) well(per float64) Cost {
	if c.over, c.samples = 0, c.samples+1; c.samples == 1 {
		c.usual = per
	}
	weight := 0.1
	if per > c.usual { // so that a dataset that costs much is not looked at again and again
		weight = 0.5
	}
	c.usual += weight * (per - c.usual)
	return c
}

func costPer(rows, examined int64) float64 {
	return float64(max(examined-costSlack, rows)) / float64(max(rows, 1))
}

// Costs are the checks of a pod's datasets. The zero value is ready; it is safe for concurrent use.
type Costs struct {
	mu sync.Mutex
	of map[string]Cost
}

func (c *Costs) step(dataset string, step func(Cost) Cost) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]Cost{}
	}
	c.of[dataset] = step(c.of[dataset])
}

// Next is Cost.Next of a dataset.
func (c *Costs) Next(dataset string) (measure bool) {
	c.step(dataset, func(s Cost) Cost { s, measure = s.Next(); return s })
	return measure
}

// Took is Cost.Took of a dataset.
func (c *Costs) Took(dataset string, rows int, took time.Duration) {
	c.step(dataset, func(s Cost) Cost { return s.Took(rows, took) })
}

// Examined is Cost.Examined of a dataset.
func (c *Costs) Examined(dataset string, rows, examined int64) (suspicion string) {
	c.step(dataset, func(s Cost) Cost { s, suspicion = s.Examined(rows, examined); return s })
	return suspicion
}

// Acquit is Cost.Acquit of a dataset.
func (c *Costs) Acquit(dataset string, rows, examined int64) {
	c.step(dataset, func(s Cost) Cost { return s.Acquit(rows, examined) })
}
