package guard

import "math"

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
}

// Known says whether enough was seen.
func (b Baseline) Known() bool { return b.Samples >= Learned && b.Value > 0 }

// Learn adds a value; quiet says that our own load was at its least. What stops the work is not learned.
func (b Baseline) Learn(value float64, zone Zone, quiet bool) Baseline {
	if math.IsNaN(value) || math.IsInf(value, 0) || value <= 0 {
		return b
	}
	switch {
	case !(b.Value > 0) || b.Samples <= 0 || math.IsInf(b.Value, 0):
		return Baseline{Value: value, Samples: 1}
	case b.Samples < Learned:
		// A running median of sorts: steps of a shrinking share, whatever the value.
		step := 1 + 1/float64(b.Samples+1)
		if value > b.Value {
			b.Value = min(b.Value*step, value)
		} else {
			b.Value = max(b.Value/step, value)
		}
	case value < b.Value:
		b.Value = max(b.Value*(1-fall), value)
	case quiet && zone != Stop:
		b.Value = min(b.Value*(1+rise), value)
	}
	b.Samples = min(b.Samples+1, math.MaxInt32)
	return b
}
