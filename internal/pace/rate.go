package pace

import (
	"math"
	"time"
)

// What Rate learns with.
const (
	// FirstCost is the cost of a row of a dataset that was never loaded, in seconds of one slot: 10,000 rows a second. One
	// slot did 88,000 beside a local server and about 25,000 over a network of a millisecond, so a first evening starts
	// earlier than it must rather than later.
	FirstCost = 1e-4
	// FirstSpread is the relative standard deviation of that guess.
	FirstSpread = 1.0
	// firstWeight is how many samples the spread of the first guess counts for; an old rate fades into it again.
	firstWeight = 1.0
	// Memory is how many samples the average remembers: of more, the older ones fade.
	Memory = 64.0
	// outlier is how far from the average a sample counts, either way; it bites from trusted samples on. A rate that is
	// wrong by 100 is right after 160 samples if it was too low, and 400 if too high.
	outlier = 4.0
	trusted = 4.0
	// halfLife is the time in which a rate that nothing confirms loses half its weight.
	halfLife = 7 * 24 * time.Hour
	// z95 is the 95th percentile of the normal distribution.
	z95 = 1.645
)

// Rate is what one row of a dataset costs a slot, learned from what was measured. It is sums, so that those of several
// pods can be merged, and so small that the ledger keeps one per dataset. The zero value knows nothing and answers with
// the first guess.
type Rate struct {
	Samples float64   `json:"samples"` // at most Memory
	Rows    float64   `json:"rows"`
	Seconds float64   `json:"seconds"`
	Bytes   float64   `json:"bytes"`
	Square  float64   `json:"square"` // of the cost per row, weighted by rows
	At      time.Time `json:"at"`     // of the newest sample
}

// Sample is a piece of work that one slot did: a unit or several pages of one.
type Sample struct {
	Rows  int64
	Bytes int64
	Time  time.Duration // of the slot, waits for the servers included and waits for orders not
}

// Learn adds a sample. One that cannot be (no rows, no time) is left out: a small dataset without rows costs nothing that
// a plan would notice.
func (r Rate) Learn(s Sample, now time.Time) Rate {
	if s.Rows <= 0 || s.Time <= 0 || s.Bytes < 0 {
		return r
	}
	cost := s.Time.Seconds() / float64(s.Rows)
	if r.Samples >= trusted && r.Rows > 0 {
		mean := r.Seconds / r.Rows
		cost = min(max(cost, mean/outlier), mean*outlier)
	}
	rows := float64(s.Rows)
	if r.Samples >= trusted {
		rows = min(rows, outlier*r.Rows/r.Samples) // one giant unit is still one piece of evidence
	}
	return r.Merge(Rate{
		Samples: 1, Rows: rows, Seconds: cost * rows, Bytes: float64(s.Bytes) * rows / float64(s.Rows), Square: cost * cost * rows, At: now,
	})
}

// Merge is what two pods learned together. It does not matter who is merged into whom; what each has seen counts by its
// number of samples.
func (r Rate) Merge(o Rate) Rate {
	if !r.valid() {
		r = Rate{}
	}
	if !o.valid() {
		o = Rate{}
	}
	newest := r.At
	if o.At.After(newest) {
		newest = o.At
	}
	r, o = r.faded(newest), o.faded(newest)
	sum := Rate{
		Samples: r.Samples + o.Samples, Rows: r.Rows + o.Rows, Seconds: r.Seconds + o.Seconds, Bytes: r.Bytes + o.Bytes,
		Square: r.Square + o.Square, At: newest,
	}
	if sum.Samples > Memory {
		sum = sum.times(Memory / sum.Samples)
	}
	return sum
}

// Cost is the expected time of one slot for one row, in seconds, and its relative standard deviation between units, which
// is wider the fewer units were seen and the longer ago. It is always above zero, whatever was stored.
func (r Rate) Cost(now time.Time) (seconds, spread float64) {
	if !r.valid() || r.Rows == 0 {
		return FirstCost, FirstSpread
	}
	mean := r.Seconds / r.Rows
	variance := max(r.Square/r.Rows/(mean*mean)-1, 0)
	known := r.faded(now).Samples
	guess := firstWeight / (known + firstWeight) // what is still, or again, a guess
	return mean, math.Sqrt((1-guess)*variance + guess*guess*FirstSpread*FirstSpread)
}

// Cautious is the cost of a row that is not exceeded with 95 % certainty.
func (r Rate) Cautious(now time.Time) float64 {
	mean, spread := r.Cost(now)
	return mean * (1 + z95*spread)
}

// fresh is how long what was learned tells what rows cost now: a lead.
const fresh = 3 * time.Hour

// Unproven says whether nothing was learned for so long that the servers may be others today.
func (r Rate) Unproven(now time.Time) bool { return r.Samples == 0 || now.Sub(r.At) > fresh }

func (r Rate) faded(now time.Time) Rate {
	age := now.Sub(r.At)
	if r.Samples == 0 || age <= 0 {
		return r
	}
	return r.times(math.Exp2(-age.Hours() / halfLife.Hours()))
}

func (r Rate) times(f float64) Rate {
	return Rate{Samples: r.Samples * f, Rows: r.Rows * f, Seconds: r.Seconds * f, Bytes: r.Bytes * f, Square: r.Square * f, At: r.At}
}

// valid: what comes from a store may be anything.
func (r Rate) valid() bool {
	for _, v := range []float64{r.Samples, r.Rows, r.Seconds, r.Bytes, r.Square} {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return false
		}
	}
	return (r.Rows > 0) == (r.Seconds > 0)
}
