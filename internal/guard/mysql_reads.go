package guard

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"
)

// MySQLReads is how many SELECT statements a second others than ourselves send to a MySQL or MariaDB, as a multiple of what
// they sent of late. A crowd that comes suddenly stops the work until it has gone, or until it is the usual level, which it
// is after three quarters of a minute if it has doubled: whether the server bears it by then is for the other signals to
// say. What was too much was not ours, so the width is kept.
// stop is the multiple at which it stops; a live load wavers by a few per cent from one half second to the next, and by tens
// over minutes, which the usual level follows.
func MySQLReads(source string, stop float64) *Gauge {
	return &Gauge{
		Name: "mysql_reads{" + source + "}", Own: true, Keep: true, Limits: Limits{Stop: stop},
		Show: func(v float64) string { return fmt.Sprintf("%.2f x the usual", v) },
	}
}

const (
	// readsMemory is the time in which the usual level follows a new one by two thirds.
	readsMemory = 2 * time.Minute
	// readsLeast is reads a second below which no ratio means anything: so many point reads are a twentieth of one core, and
	// what the ledger reads, if it is on the same server, is among them.
	readsLeast = 1000
	// readsFar is how many times the usual level one count adds to it at most.
	readsFar = 10
	// readsOwnShare of our own reads are not told from others': the two are counted in different places, not at the same
	// moment.
	readsOwnShare = 0.25
	// readsApart is the shortest time between two counts that makes a rate.
	readsApart = 100 * time.Millisecond
	// readsGap is the longest: after it all begins anew.
	readsGap = 10 * time.Second
	// readsAlone is reads a second of others below which we are alone: what watches a server sends as many. A twentieth of our
	// own is added, which is how well the two are told apart on average.
	readsAlone    = 100
	readsOwnError = 0.05
	// readsRecent is the weight of a rate in what others sent of late: a crowd shows in the first.
	readsRecent = 0.2
)

// Reads tells the reads of others from two counts. It is pure: Next returns the state after a count. The zero value has seen
// nothing.
type Reads struct {
	at     time.Time
	all    float64
	ours   float64
	rate   float64 // of others, between the last two counts
	told   float64 // the rate that counts: the last two intervals are not both more, nor both less
	level  float64 // the usual rate of others
	levels int     // rates that made it
	recent float64 // rate of others of late
	own    float64 // rate of ours, between the last two counts
}

// Alone says whether nobody else reads from the server, as far as is known.
func (r Reads) Alone() bool {
	return r.levels > 2 && !math.IsNaN(r.rate) && r.recent < readsAlone+readsOwnError*r.own
}

// Next adds the server's count of reads and that of our own pods, and says how much of the usual level others send now.
// What pods have sent since they reported is reckoned, so that ours may seem to be others' for one interval when our own load jumps, and others' may
// be missing when it ends: a rate counts when two intervals agree that it has been reached. ok is false as long as there are none.
func (r Reads) Next(at time.Time, all, ours float64) (next Reads, ratio float64, ok bool) {
	passed := at.Sub(r.at)
	switch {
	case !(all >= 0) || math.IsInf(all, 0):
		return r, 0, false
	case r.at.IsZero() || passed > readsGap || passed < 0 || all < r.all:
		return Reads{at: at, all: all, ours: ours, rate: math.NaN(), told: math.NaN(), level: r.level, levels: r.levels, recent: r.recent}, 0, false
	case passed < readsApart:
		return r, 0, false
	}
	own := max(ours-r.ours, 0) / passed.Seconds() // pods that went take their count with them
	others := max((all-r.all)/passed.Seconds()-own, 0)
	next = Reads{at: at, all: all, ours: ours, rate: others, level: r.level, levels: r.levels + 1, recent: r.recent, own: own}
	next.recent += max(readsRecent, 1/float64(next.levels)) * (others - next.recent)
	usual := max(r.level, readsLeast, readsOwnShare*own)
	weight := max(1/float64(next.levels), passed.Seconds()/readsMemory.Seconds())
	if r.levels > 2 { // a count that cannot be is no level
		others = min(others, readsFar*usual)
	}
	next.level += min(weight, 1) * (others - next.level)
	least, most := min(next.rate, r.rate), max(next.rate, r.rate)
	if next.told = min(max(r.told, least), most); math.IsNaN(next.told) {
		next.told = least
	}
	return next, next.told / usual, next.levels > 2 && !math.IsNaN(next.told)
}

// ReadSelects is the server's count of SELECT statements since it started, prepared ones included.
func ReadSelects(ctx context.Context, db *sql.DB) (float64, error) {
	return globalStatus(ctx, db, "Com_select")
}
