package guard

import (
	"fmt"
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// Limits are the thresholds of a signal; a value at or above one is in its zone. A threshold of 0 is never reached.
type Limits struct {
	Hold   float64 `yaml:"hold"`
	Shrink float64 `yaml:"shrink"`
	Stop   float64 `yaml:"stop"`
	// Times: the thresholds are multiples of the learned baseline, which is not below Floor. While the baseline is being
	// learned (Learned samples) the signal says hold.
	Times bool          `yaml:"times,omitempty"`
	Floor float64       `yaml:"floor,omitempty"`
	Stale time.Duration `yaml:"stale,omitempty"` // a value older than this says hold; default 10s
	// Smooth is the weight of a new value in the average that is judged, in (0, 1]; default 1: values are judged as they
	// come. What stops is judged by the average too: one slow page is no emergency.
	Smooth float64 `yaml:"smooth,omitempty"`
}

// Defaults of Limits.
const (
	DefaultStale = 10 * time.Second
	// Release is how long a stop stands whose signal is silent because our own work, which makes it, has stopped.
	Release = 30 * time.Second
	// relief is how much better than a threshold a value must be to leave its zone.
	relief = 0.9
	// outlier is how many times the worst threshold a value counts in the average at most. Of an average by 0.3, as of the signals that
	// are times, that is too little for one value to stop anything from the usual level, and enough for two: a page that a busy machine
	// has held up for 50 ms stopped all work for Release.
	outlier = 2
)

// limits are the thresholds that the configuration says, with the rest of what l says.
func limits(z config.Zones, l Limits) Limits {
	l.Hold, l.Shrink, l.Stop = z.Hold, z.Shrink, z.Stop
	return l
}

// Gauge judges one signal. Its fields but Quiet are set once; it is not safe for concurrent use.
type Gauge struct {
	Name   string
	Limits Limits
	Own    bool                       // the signal is made by our own work, and silent without it; nobody waits for it
	Keep   bool                       // it tells of others' load: what it stops keeps its width
	Pods   bool                       // it tells of our own pods, and of no server
	Near   float64                    // the part of the least threshold above which a value is near to it; 0: none is
	Above0 bool                       // zero cannot be true, as for a latency
	Show   func(value float64) string // for people; default %.3g
	Base   Baseline                   // kept over restarts, if the caller stores it
	Quiet  bool                       // our own load is at its least; set it as that changes

	value float64 // smoothed
	seen  time.Time
	bad   string // why the newest reading is not a value; "" if it is one
	zone  Zone
	trial time.Duration // how long a stop of our own work had lasted that is being tried whether it is over; 0: none is
}

// Observe takes a value that was measured at a time. Values come in the order of their times.
func (g *Gauge) Observe(value float64, at time.Time) {
	if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 || g.Above0 && value == 0 {
		g.bad = fmt.Sprintf("%s reads %v, which cannot be", g.Name, value)
		return
	}
	silent := at.Sub(g.seen)
	if g.Own && g.Quiet && g.zone == Stop && silent > Release {
		g.trial = silent
	}
	g.value = g.averaged(value, at)
	g.bad, g.seen = "", at
	if g.learning() {
		g.Base = g.Base.Learn(value, g.zone, g.Quiet)
		return
	}
	g.move()
	switch {
	case !g.Limits.Times:
		return
	case g.trial > 0 && g.zone == Stop:
		g.Base = g.Base.Tried(g.value, g.trial)
	default:
		g.Base = g.Base.Learn(g.value, g.zone, g.Quiet)
	}
	if g.zone != Shrink { // it is decided
		g.trial = 0
	}
}

// averaged is the average with a new value. After a silence it begins at the usual level, if that is known.
func (g *Gauge) averaged(value float64, at time.Time) float64 {
	weight, was := g.Limits.Smooth, g.value
	if g.seen.IsZero() || at.Sub(g.seen) > g.stale() {
		was = 0
		if g.Limits.Times && g.Base.Known() {
			was = max(g.Base.Value, g.Limits.Floor)
		}
	}
	if !(weight > 0 && weight < 1) || was == 0 {
		return value
	}
	most := g.most()
	was = min(was, most)
	return was + weight*(min(value, most)-was)
}

// Fail takes a reading that failed; err must not hold a password.
func (g *Gauge) Fail(err error) { g.bad = fmt.Sprintf("%s cannot be read: %v", g.Name, err) }

// Value is the newest value, smoothed, and when it was measured; a zero time: never.
func (g *Gauge) Value() (float64, time.Time) { return g.value, g.seen }

// Judge is the signal's verdict now.
func (g *Gauge) Judge(now time.Time) Verdict {
	v := Verdict{Zone: g.zone, Factor: 1, Signal: g.Name, At: g.seen, Keep: g.Keep, Pods: g.Pods}
	if silent := g.silent(now); silent != "" {
		v.Reason, v.Blind = silent, true
		switch {
		case g.zone != Stop && g.Own:
			v.Zone = Grow
		case g.zone != Stop:
			v.Zone = Hold
		case g.Own && now.Sub(g.seen) > Release:
			v.Zone = Grow
			v.Reason += "; the stop is over and it is tried"
		default:
			v.Reason += "; still stopped"
		}
		return v
	}
	if g.learning() {
		v.Zone, v.Blind = max(v.Zone, Hold), true
		v.Reason = fmt.Sprintf("%s %s: its baseline is being learned (%d of %d samples)", g.Name, g.show(g.value), g.Base.Samples, Learned)
		return v
	}
	v.Near = g.Near > 0 && g.value > g.Near*g.limit(g.first()) && g.limit(g.first()) > 0
	limit := g.limit(g.zone)
	switch {
	case g.zone == Grow && g.limit(g.first()) == 0:
		v.Reason = g.Name + " " + g.show(g.value) // nothing is judged by it
	case g.zone == Grow:
		v.Reason = fmt.Sprintf("%s %s < %s", g.Name, g.show(g.value), g.threshold(g.first()))
	case g.value >= limit:
		v.Reason = fmt.Sprintf("%s %s >= %s", g.Name, g.show(g.value), g.threshold(g.zone))
	default: // it is better than the threshold, but not by enough
		v.Reason = fmt.Sprintf("%s %s >= %s (%.0f %% of %s)", g.Name, g.show(g.value), g.show(relief*limit), 100*relief, g.threshold(g.zone))
	}
	if g.zone == Shrink {
		v.Factor = min(max(g.limit(Hold)/g.value, MinFactor), MaxFactor)
	}
	return v
}

// silent says why there is no value to go by; "" if there is one.
func (g *Gauge) silent(now time.Time) string {
	switch {
	case g.bad != "":
		return g.bad
	case g.seen.IsZero():
		return g.Name + " was not read yet"
	case now.Sub(g.seen) > g.stale():
		return fmt.Sprintf("%s is %s old > %s", g.Name, now.Sub(g.seen).Round(time.Second), g.stale())
	}
	return ""
}

func (g *Gauge) stale() time.Duration {
	if g.Limits.Stale > 0 {
		return g.Limits.Stale
	}
	return DefaultStale
}

func (g *Gauge) learning() bool { return g.Limits.Times && !g.Base.Known() }

// move puts the value into its zone: worse at once, better when it is better by enough.
func (g *Gauge) move() {
	zone := Grow
	for z := Hold; z <= Stop; z++ {
		limit := g.limit(z)
		if z <= g.zone {
			limit *= relief
		}
		if limit > 0 && g.value >= limit {
			zone = z
		}
	}
	g.zone = zone
}

// limit is the threshold of a zone in the signal's own unit.
func (g *Gauge) limit(z Zone) float64 {
	limit := 0.0
	switch z {
	case Hold:
		limit = g.Limits.Hold
	case Shrink:
		limit = g.Limits.Shrink
	case Stop:
		limit = g.Limits.Stop
	default: // there is no way into grow but the absence of the others
	}
	if g.Limits.Times {
		limit *= max(g.Base.Value, g.Limits.Floor)
	}
	return limit
}

// most is what counts of a value in an average.
func (g *Gauge) most() float64 {
	worst := max(g.limit(Hold), g.limit(Shrink), g.limit(Stop))
	if !(worst > 0) || g.learning() {
		return math.Inf(1)
	}
	return outlier * worst
}

// first is the mildest zone that has a threshold.
func (g *Gauge) first() Zone {
	for z := Hold; z < Stop; z++ {
		if g.limit(z) > 0 {
			return z
		}
	}
	return Stop
}

func (g *Gauge) threshold(z Zone) string {
	text := g.show(g.limit(z))
	if g.Limits.Times {
		base := max(g.Base.Value, g.Limits.Floor)
		text += fmt.Sprintf(" (%.3g x %s)", g.limit(z)/base, g.show(base))
	}
	return text
}

func (g *Gauge) show(value float64) string {
	if g.Show == nil {
		return fmt.Sprintf("%.3g", value)
	}
	return g.Show(value)
}

// seconds, percent and count show a value as what it is.
func seconds(v float64) string {
	if v < 1e-3 {
		return fmt.Sprintf("%.3gµs", v*1e6)
	}
	return time.Duration(v * float64(time.Second)).Round(10 * time.Microsecond).String()
}

func percent(v float64) string { return fmt.Sprintf("%.1f%%", 100*v) }

func count(v float64) string { return fmt.Sprintf("%.0f", v) }

func perSecond(v float64) string { return fmt.Sprintf("%.1f/s", v) }
