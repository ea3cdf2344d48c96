package pace

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Slot is where the plan puts a run.
type Slot struct {
	Run   string
	Start time.Time // planned start
	Moved bool      // it is not the start that the run had
	Short float64   // slot seconds that do not fit below the share of the ceiling between Earliest and the deadline
}

// Schedule is pure: planned starts, as late as all deadlines safely allow. ceiling is the width that is known to be
// there. The answer is in the order of works.
//
// Time is filled backwards from the last deadline, up to a level, with cautious amounts, always
// with the work whose earliest start is the latest (the mirror image of earliest deadline first, and optimal for the same reason:
// Liu, "Real-Time Systems", 2000, section 4.3, "latest release time"). The
// level is a little more than the lowest at which all deadlines hold, and at most Share of the ceiling: so the load is level, a
// run is begun only as early as the crowd behind it asks for, and what is left of the ceiling is for late-comers. Work that
// does not fit begins as early as it may, and gets the rest of the ceiling. Of an evening that is nearly full (Policy.full) the starts
// are between what was found and as early as may be.
//
// No start is nearer to the deadline than Cushion, and a probe begins as early as it may. A start that the run had is kept unless it is later, or more than Keep
// earlier, than the one found; one that is not kept is put half of Keep earlier, so that it does not move again with the next
// row that is counted. Work that has begun stays where it is. A change of one broadcast moves those that share a crowd with
// it and no others.
func Schedule(now time.Time, works []Work, ceiling float64, p Policy) []Slot {
	p = p.Fill()
	b := newBackward(now, works, p)
	lowest, long := b.lowest(p.Cushion.Seconds())
	full := p.full(long / max(ceiling, 1))
	b.run(min(level(lowest*p.Level), max(ceiling, 1)*p.Share))
	keep := p.Keep
	if full > 0 {
		keep *= fullKeep
	}
	slots := make([]Slot, len(works))
	for i, w := range works {
		j := b.jobs[i]
		begin := j.begin - full*(j.begin-j.release)
		found := earlier(now.Add(time.Duration(begin*float64(time.Second))).Truncate(time.Second), w.Deadline.Add(-p.Cushion))
		if w.Probe {
			found = earlier(found, w.Earliest)
		}
		slots[i] = Slot{Run: w.Run, Start: later(later(found.Add(-p.Keep/2), w.Earliest), now), Short: j.left}
		if keeps(w, later(found, now), now, keep, p) {
			slots[i].Start = w.Start
		}
		slots[i].Moved = !slots[i].Start.Equal(w.Start)
	}
	return slots
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// fullKeep is how many times Keep a start may be too early on an evening that is nearly full: as it empties all starts could be later,
// and to be early is what is wanted of them.
const fullKeep = 3

// keeps says whether the start that a run had is as good as the one found.
func keeps(w Work, found, now time.Time, keep time.Duration, p Policy) bool {
	if w.Start.IsZero() {
		return false
	}
	if w.Begun || !w.Start.After(now) && !found.After(now.Add(p.Keep)) {
		return true
	}
	return !w.Start.After(found) && found.Sub(w.Start) <= keep && !w.Start.Before(w.Earliest)
}

// job is a work on the backward way; times are seconds from now.
type job struct {
	release  float64 // not before
	due      float64 // not after
	left     float64
	parallel float64
	begin    float64 // earliest moment at which it is worked on
	run      string
}

// backward is the evening told from its end.
type backward struct {
	jobs   []job
	byDue  []int // latest first
	active []int // latest release first, then latest due
}

func newBackward(now time.Time, works []Work, p Policy) *backward {
	b := &backward{jobs: make([]job, len(works)), byDue: make([]int, 0, len(works))}
	for i, w := range works {
		release := 0.0
		if !w.Begun && w.Earliest.After(now) {
			release = w.Earliest.Sub(now).Seconds()
		}
		// The longest unit is added: it may be begun last, by one slot.
		due := w.Deadline.Sub(now).Seconds() - p.Margin.Seconds() - min(clean(w.Longest), w.cautious())
		b.jobs[i] = job{release: release, due: max(due, release), begin: max(due, release), left: w.cautious(), parallel: w.parallel(), run: w.Run}
		if b.jobs[i].left > 0 {
			b.byDue = append(b.byDue, i)
		}
	}
	slices.SortFunc(b.byDue, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.jobs[y].due, b.jobs[x].due), cmp.Compare(b.jobs[y].run, b.jobs[x].run))
	})
	return b
}

// levelStep is the ratio of two levels: a level that followed every announcement would move every start with it.
const levelStep = math.Sqrt2

// level is a level rounded up to a power of levelStep; at least 1.
func level(of float64) float64 {
	if !(of > 1) {
		return 1
	}
	return math.Pow(levelStep, math.Ceil(math.Log(of)/math.Log(levelStep)-1e-6))
}

// lowest is the lowest level at which all jobs can be done in time, the processor-demand bound over all intervals; long is the same with
// intervals of cushion seconds or longer.
func (b *backward) lowest(cushion float64) (most, long float64) {
	byRelease := slices.Clone(b.byDue)
	slices.SortFunc(byRelease, func(x, y int) int { return cmp.Compare(b.jobs[y].release, b.jobs[x].release) })
	done := math.NaN()
	for _, k := range b.byDue {
		end := b.jobs[k].due
		if end == done {
			continue
		}
		done = end
		sum := 0.0
		for _, i := range byRelease {
			if j := &b.jobs[i]; j.due <= end && j.release < end {
				sum += j.left
				most, long = max(most, sum/(end-j.release)), max(long, sum/max(end-j.release, cushion))
			}
		}
	}
	return most, long
}

// urgency orders the active: the latest release first.
func (b *backward) urgency(x, y int) int {
	i, j := b.jobs[x], b.jobs[y]
	return cmp.Or(cmp.Compare(j.release, i.release), cmp.Compare(j.due, i.due), cmp.Compare(j.run, i.run))
}

func (b *backward) run(capacity float64) {
	at, next := 0.0, 0
	for next < len(b.byDue) || len(b.active) > 0 {
		if len(b.active) == 0 {
			at = b.jobs[b.byDue[next]].due
		}
		for next < len(b.byDue) && b.jobs[b.byDue[next]].due >= at {
			i := b.byDue[next]
			at2, _ := slices.BinarySearchFunc(b.active, i, b.urgency)
			b.active = slices.Insert(b.active, at2, i)
			next++
		}
		until := 0.0
		if next < len(b.byDue) {
			until = b.jobs[b.byDue[next]].due
		}
		at = b.step(at, until, capacity)
	}
}

// step works backwards from at on those that are active, until one of them is done or may not be begun earlier, or
// another one comes in at until.
func (b *backward) step(at, until, capacity float64) float64 {
	rest, worked := capacity, 0
	for _, i := range b.active {
		if rest <= 0 {
			break
		}
		j := b.jobs[i]
		rate := min(j.parallel, rest)
		rest -= rate
		worked++
		until = max(until, j.release, at-j.left/rate)
	}
	rest = capacity
	keep := b.active[:0]
	for n, i := range b.active {
		j, rate := &b.jobs[i], 0.0
		if n < worked {
			rate = min(j.parallel, rest)
			rest -= rate
			j.left -= rate * (at - until)
			j.begin = until
		}
		if j.left < 1e-6*(1+rate) { // done: a microsecond is what is left by rounding
			j.left = 0
			continue
		}
		if j.release >= until {
			j.begin = j.release
			continue // it does not fit
		}
		keep = append(keep, i)
	}
	b.active = keep
	return until
}
