package guard

import (
	"math"
	"slices"
	"time"
)

// Learned is how many samples a baseline needs before it is trusted; at one a second a third of a minute.
const Learned = 20

// A known baseline moves by these shares per sample, whatever the value: one outlier counts as one. It falls whenever the
// signal is better, by half in six minutes at one sample a second. It rises only while our own load is at its least, by
// double in 23 minutes: what is slow without us is not our doing, and a slowness that we make is never learned as normal,
// however slowly it comes.
const (
	fall = 0.002
	rise = 0.0005
)

// Baseline is the learned quiet level of a signal. It is small, and the ledger may keep it.
type Baseline struct {
	Value   float64 `json:"value"`
	Samples int     `json:"samples"`

	first [Learned]float64 // those that make it
}

// Known says whether enough was seen.
func (b Baseline) Known() bool { return b.Samples >= Learned && b.Value > 0 }

// Learn adds a value; quiet says that our own load was at its least. What stops the work is not learned.
func (b Baseline) Learn(value float64, zone Zone, quiet bool) Baseline {
	if math.IsNaN(value) || math.IsInf(value, 0) || value <= 0 {
		return b
	}
	if !(b.Value > 0) || b.Samples <= 0 || math.IsInf(b.Value, 0) || b.Samples < Learned && b.first[0] == 0 {
		b = Baseline{}
	}
	switch {
	case b.Samples < Learned: // the median, so that a few that lie do not matter
		b.first[b.Samples] = value
		sorted := b.first // a copy
		slices.Sort(sorted[:b.Samples+1])
		b.Value = sorted[(b.Samples+1)/2]
	case value < b.Value:
		b.Value = max(b.Value*(1-fall), value)
	case quiet && zone != Stop:
		b.Value = min(b.Value*(1+rise), value)
	}
	b.Samples = min(b.Samples+1, math.MaxInt32)
	return b
}

// Tried adds a value that stops the work when it is tried again with our load at its least, so long after a stop that our own
// work had made. It rises as it would have in that time: what is so trial after trial is not our doing, and rows that have
// become dearer for good would stop the work for ever.
func (b Baseline) Tried(value float64, after time.Duration) Baseline {
	b.Value = min(b.Value*math.Pow(1+rise, after.Seconds()), value)
	return b
}
