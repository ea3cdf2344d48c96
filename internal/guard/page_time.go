package guard

import (
	"math"
	"time"
)

// PageTime is the time of a page of our own per row, against what it costs when the server is quiet: what a slot feels is
// what the live load feels. It is the fastest signal there is and costs nothing to read. One gauge per dataset, fed with
// the median of the pages since the last observation (one slow page is noise).
//
// The thresholds suit medians, not single pages, which vary by half on an idle machine. Stale means hold; it is silent when
// nothing is loaded.
func PageTime(dataset string) *Gauge {
	return &Gauge{
		Name: "page_time{" + dataset + "}", Own: true, Above0: true, Limits: PageTimeLimits(),
		Show: func(v float64) string { return seconds(v) + "/row" },
	}
}

// PageTimeLimits are the defaults.
func PageTimeLimits() Limits {
	return Limits{Times: true, Hold: 1.25, Shrink: 1.5, Stop: 5, Smooth: 0.5}
}

// PerRow is the time of one row of a page, the round trip left out: a network's way is no load. NaN if it cannot be told,
// which a Gauge takes for a bad value; the caller should rather leave pages of few rows out, whose cost is the statement's.
func PerRow(page, roundTrip time.Duration, rows int) float64 {
	if rows <= 0 || page <= 0 {
		return math.NaN()
	}
	// At least a tenth of the page is the server's, whatever the round trip was thought to be.
	return max(page-max(roundTrip, 0), page/10).Seconds() / float64(rows)
}
