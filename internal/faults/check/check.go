// Package check decides after an evening of faults whether anything was lost: it reads MySQL and Redis by its own code
// and shares none with what it checks, so that a mistake made there is not made here again. It imports the standard
// library and go-redis only.
//
// What it reads beside the ledger is the log that triggers write (Install): every change of a run and of a unit, with
// the database user who made it. Each pod logs in under a name of its own, so the log says who did what.
package check

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config is an evening that is over.
type Config struct {
	Ledger  *sql.DB       // the ledger's schema
	Log     string        // the schema with the log of Install
	Source  *sql.DB       // the schema that the datasets are read from
	Cache   *redis.Client // what was warmed
	History *History      // of the source's rows
	// Datasets are what a shop's cache is made of.
	Datasets []Dataset
	// After and Jitter: keys expire this long after the broadcast's end.
	After, Jitter time.Duration
	// Announced are the broadcasts that were answered as accepted, and all ends they were announced with.
	Announced []Broadcast
	// Emptied are the times at which the cache was flushed.
	Emptied []time.Time
}

// Notice is how long it may take until a loss of the cache is noticed, and loading again begins. What is lost so shortly
// before a broadcast's end stays lost: nobody needs it any more.
const Notice = 30 * time.Second

// lostAtTheEnd says whether the cache was flushed too late for a broadcast to be warmed again.
func (c Config) lostAtTheEnd(ends time.Time) bool {
	for _, at := range c.Emptied {
		if at.Add(Notice).After(ends) {
			return true
		}
	}
	return false
}

// Broadcast is what the driver knows of one.
type Broadcast struct {
	Shop, ID string
	RunID    string      // as the answer named it; "": it had no answer
	Ends     []time.Time // all that were announced
	// Cancelled: the last word on it was to call it off, and the answer said so.
	Cancelled bool
}

// Problem is something that must not be.
type Problem struct {
	Kind string // one of the constants below
	Text string
}

func (p Problem) String() string { return p.Kind + ": " + p.Text }

// Kinds of problems.
const (
	Missing   = "missing row"       // a ready run without one of its rows
	Wrong     = "wrong row"         // a value that no version of the row has
	Old       = "old row"           // a version from before the run began to read
	Expiry    = "wrong expiry"      // not that of the shop's longest ready broadcast
	Owners    = "two owners"        // effects of two owners on one claim
	Back      = "cursor went back"  // in one epoch, without a reset
	Claims    = "claim went back"   // the fence did not move on where it must
	NotReady  = "ready too early"   // a run became ready with units open
	Forgotten = "forgotten"         // an accepted broadcast without an end
	NoReason  = "no reason"         // an end that does not say why
	Backwards = "epoch went back"   // of a run
	Uncalled  = "cancel forgotten"  // called off, and not cancelled
	Version   = "version went down" // of a hot key, seen by the sampler
)

// Result is what was found.
type Result struct {
	Problems []Problem
	States   map[string]int // runs by state
	Checked  int            // rows compared
	Takeover []time.Duration
	PerShop  map[string]int64 // rows with a key of their own that units recorded as written, every time they did
}

func (r *Result) add(kind, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{kind, fmt.Sprintf(format, args...)})
}

// Kinds are the different kinds among the problems, sorted.
func (r *Result) Kinds() []string {
	var kinds []string
	for _, p := range r.Problems {
		kinds = append(kinds, p.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// Check looks at everything. An error means that it could not look.
func Check(ctx context.Context, c Config) (*Result, error) {
	res := &Result{States: map[string]int{}, PerShop: map[string]int64{}}
	moves, err := readLog(ctx, c.Ledger, c.Log)
	if err != nil {
		return nil, err
	}
	checkLog(res, moves)
	runs, err := readRuns(ctx, c.Ledger)
	if err != nil {
		return nil, err
	}
	units, err := readUnits(ctx, c.Ledger)
	if err != nil {
		return nil, err
	}
	checkRuns(res, runs, units, c.Announced)
	starts := firstClaims(moves)
	count(res, c, runs, moves)
	for shop, all := range byShop(runs) {
		if err := checkShop(ctx, res, c, shop, all, units, starts); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// count sums up what units recorded as written.
func count(res *Result, c Config, runs []run, moves []move) {
	shops, single := map[string]string{}, map[string]bool{}
	for _, r := range runs {
		shops[r.id] = r.shop
	}
	for _, d := range c.Datasets {
		single[d.Name] = len(d.By) > 0
	}
	for _, m := range moves {
		if m.kind == kindUnit && single[m.dataset] {
			res.PerShop[shops[m.run]] += m.gained()
		}
	}
}
