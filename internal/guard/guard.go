// Package guard owns how the servers feel: signals that are read from them, and what each says about using them more.
//
// A signal is read (one file per signal; readers are thin) and judged by a Gauge, which is pure: thresholds, where sensible
// as multiples of a learned baseline, put every value into a zone. The worst zone wins. What to do about it, how much to
// shrink and when to grow again, is the width law's (package pace).
//
//	grow    all is well
//	hold    no more than now
//	shrink  less, at once, by the verdict's factor
//	stop    every slot pauses before its next page; it goes on by itself when the signal has come back
//
// A zone is left for a better one only when the value is a tenth better than the threshold, so that a value on a threshold
// does not flap. A value that is old or cannot be true (not a number, below zero, zero where there is always something)
// means hold: never grow on what is not known. A stop whose signal goes silent stays a stop. Signals that our own work makes
// are other: nothing is known of them while it does nothing, so that silence says nothing against growing, and a stop of
// theirs, which makes them silent, ends after Release.
package guard

import (
	"fmt"
	"slices"
	"time"
)

// Zone is how far the servers may be used; a greater one is worse.
type Zone int

// Zones.
const (
	Grow Zone = iota
	Hold
	Shrink
	Stop
)

// String is the zone's name in logs, metrics and the API.
func (z Zone) String() string {
	switch z {
	case Grow:
		return "grow"
	case Hold:
		return "hold"
	case Shrink:
		return "shrink"
	case Stop:
		return "stop"
	}
	return fmt.Sprintf("zone(%d)", int(z))
}

// Verdict is a zone and why.
type Verdict struct {
	Zone   Zone      `json:"zone"`
	Factor float64   `json:"factor"` // what to multiply the width with in shrink, in [MinFactor, MaxFactor]; 1 otherwise
	Signal string    `json:"signal"` // that says so; "" if all are well
	Reason string    `json:"reason"` // "<signal> <observed> <op> <threshold>"
	At     time.Time `json:"at"`     // of the value
	Blind  bool      `json:"blind"`  // it is not the value that says so but that there is none
	Keep   bool      `json:"keep"`   // it is not our doing: a stop keeps the width, which goes on when it is over
	Pods   bool      `json:"pods"`   // it tells of our own pods, and of no server
	Near   bool      `json:"near"`   // the value is near to the least threshold
}

// Bounds of a factor: a shrink is worth its disturbance, and leaves enough to see whether it helped.
const (
	MinFactor = 0.2
	MaxFactor = 0.8
)

// Worst is the verdict over all signals of the servers: the worst zone, of several shrinks the sharpest, what was seen before what was
// not, of equals the first. Nothing watched means that nothing speaks against growing.
func Worst(verdicts []Verdict) Verdict {
	worst, n := Verdict{Zone: Grow, Factor: 1, Reason: "no signal is watched"}, 0
	for _, v := range verdicts {
		if v.Pods {
			continue
		}
		if n++; n == 1 || worse(v, worst) {
			worst = v
		}
	}
	if worst.Zone == Grow && n > 0 {
		worst = Verdict{Zone: Grow, Factor: 1, At: worst.At, Reason: fmt.Sprintf("%d of %d signals are well", n, n)}
	}
	return worst
}

// OfPods says why our own pods should not get more to do; "" if they may.
func OfPods(verdicts []Verdict) string {
	for _, v := range verdicts {
		if v.Pods && v.Zone > Grow {
			return v.Reason
		}
	}
	return ""
}

// NearOfPods says whether our own pods have so much to do that more slots may bring nothing.
func NearOfPods(verdicts []Verdict) bool {
	return slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.Pods && v.Near })
}

func worse(v, than Verdict) bool {
	switch {
	case v.Zone != than.Zone:
		return v.Zone > than.Zone
	case v.Factor != than.Factor:
		return v.Factor < than.Factor
	case v.Keep != than.Keep:
		return than.Keep
	}
	return than.Blind && !v.Blind
}
