package guard

import (
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// PageTime is the time of a page of our own per row, against what it costs when the server is quiet: what a slot feels is
// what the live load feels. It is the fastest signal there is and costs nothing to read. One gauge per dataset, fed with
// the median over the pods of the lower quartiles of their pages since the last observation: one slow page, or pod, is noise, and what
// slows a server down no page is without. It is silent when nothing is loaded.
func PageTime(dataset string, zones config.Zones) *Gauge {
	return &Gauge{
		Name: "page_time{" + dataset + "}", Own: true, Above0: true, Limits: limits(zones, Limits{Times: true, Smooth: 0.3}),
		Show: func(v float64) string { return seconds(v) + "/row" },
	}
}

// pageStatement is what a statement costs beside its rows, in rows: so many are added to a page's, so that the time of a row
// is about the same in a page of 100 rows as in one of 1,000. Measured on tables of rows of 150 and 300 bytes: 100 to 150.
const pageStatement = 100

// PageCost is PerRow with the statement's own cost spread out, to compare pages of different sizes by.
func PageCost(page, roundTrip time.Duration, rows int) float64 {
	if rows <= 0 {
		return math.NaN()
	}
	return PerRow(page, roundTrip, rows+pageStatement)
}

// PerRow is the time of one row of a page, the round trip left out: a network's way is no load. NaN if it cannot be told.
func PerRow(page, roundTrip time.Duration, rows int) float64 {
	if rows <= 0 || page <= 0 {
		return math.NaN()
	}
	// At least a twentieth of the page is the server's, whatever the round trip was thought to be. More would let pages behind a long way shrink
	// to their least: the server's time of one is a quarter of a millisecond.
	return max(page-max(roundTrip, 0), page/20).Seconds() / float64(rows)
}
