package pace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// How long after the last lie and the last death the width is right again at the latest: what the guard has said is forgotten,
// and the width has grown from 1. A level that was learned from lies rises by double in 23 minutes,
// from a billionth in half a day.
const (
	settledWithin = forget + 10*time.Minute
	learnedWithin = 16 * time.Hour
)

// lies are what a signal may say instead of its value.
var lies = map[string]func(value float64) float64{
	"nothing":  func(float64) float64 { return 0 },
	"negative": func(float64) float64 { return -1 },
	"NaN":      func(float64) float64 { return math.NaN() },
	"infinite": func(float64) float64 { return math.Inf(1) },
	"huge":     func(float64) float64 { return math.MaxFloat64 },
	"tiny":     func(v float64) float64 { return v * 1e-9 },
	"100 x":    func(v float64) float64 { return 100 * v },
	"1/100":    func(v float64) float64 { return v / 100 },
	"fails":    nil,
	"is mute":  nil,
}

// lie is what one signal says for a while.
type lie struct {
	signal   int
	kind     string
	from, to time.Duration
}

// liars are a leader's signals, and what each says on a server that is well.
type liars struct {
	watch *guard.Watch
	names []string
	well  []float64
}

func newLiars(known bool) *liars {
	l := &liars{watch: &guard.Watch{}}
	add := func(g *guard.Gauge, well float64) {
		if known && g.Limits.Times {
			g.Base = guard.Baseline{Value: well, Samples: guard.Learned}
		}
		l.watch.Add(g, nil)
		l.names, l.well = append(l.names, g.Name), append(l.well, well)
	}
	limits := config.Defaults().Guard
	add(guard.PageTime("users", limits.PageTime), 2e-6)
	add(guard.Canary("main", limits.Canary), 8e-4) // a signal in the tenth below its threshold holds what it held
	add(guard.ThreadsRunning("main", limits.ThreadsRunning), 6)
	add(guard.Connections("main", limits.Connections), 0.2)
	add(guard.ReplicaLag("replica", limits.ReplicaLag), 0.5)
	add(guard.RedisLatency("cache", limits.RedisLatency), 3e-4)
	add(guard.RedisMemory("cache", limits.RedisMemory), 0.4)
	add(guard.MySQLReads("main", 1.7), 1)
	return l
}

// read takes a reading of each signal, by how slow the server is and by who lies.
func (l *liars) read(passed time.Duration, slow float64, working bool, all []lie) {
	for i, name := range l.names {
		value, kind := l.well[i], ""
		if i < 3 {
			value *= slow
		}
		for _, lie := range all {
			if lie.signal == i && passed >= lie.from && passed < lie.to {
				kind = lie.kind
			}
		}
		if i == 0 && !working {
			continue // there is no page to tell of
		}
		switch kind {
		case "fails":
			l.watch.Fail(name, errors.New("no route"))
		case "is mute":
		case "":
			l.watch.Observe(name, value, time.Now())
		default:
			l.watch.Observe(name, lies[kind](value), time.Now())
		}
	}
}

// follower is a pod that follows what it hears.
type follower struct {
	id    string
	last  *Published
	heard time.Time
}

func (f *follower) hear(p *Published) {
	if p != nil && (f.last == nil || p.Newer(*f.last)) {
		f.last, f.heard = p, time.Now()
	}
}

// storm is a cluster in which signals lie, servers slow down, pods die and come, and two lead for a moment.
type storm struct {
	*cluster
	followers []*follower
	loops     []*Loop // the last one leads; the one before it thinks so for a moment
	liars     []*liars
	lies      []lie
	slow      []lie // signal is by how much everything takes longer
	known     bool  // the signals' levels are, from yesterday
	born      int
	began     time.Time
	skew      time.Duration // of the ledger's clock
	dead      map[string]time.Time
}

func (s *storm) come() {
	s.born++
	s.followers = append(s.followers, &follower{id: fmt.Sprintf("pod-%02d", s.born)})
}

// die: the ledger sees it after some seconds.
func (s *storm) die(i int) {
	s.dead[s.followers[i].id] = time.Now()
	s.followers = append(s.followers[:i:i], s.followers[i+1:]...)
}

func (s *storm) lead() {
	l, signals := newLoop(s.cluster), newLiars(s.known)
	l.Watch, l.Bounds = signals.watch, config.Width{Min: 2, Max: 40, MaxPerPod: 16}
	s.loops, s.liars = append(s.loops, l), append(s.liars, signals)
	s.loops, s.liars = s.loops[max(len(s.loops)-2, 0):], s.liars[max(len(s.liars)-2, 0):]
}

// tick is two seconds: every pod's signals are read each second, those who lead decide, and the pods follow. The deadline moves
// on, so that the need stays.
func (s *storm) tick(t require.TestingT, old bool) {
	slow := 1.0
	for _, l := range s.slow {
		if passed := time.Since(s.began); passed >= l.from && passed < l.to {
			slow = float64(l.signal)
		}
	}
	for range 2 {
		time.Sleep(time.Second)
		working := s.published != nil && !s.published.Result.Paused
		for _, l := range s.liars {
			l.read(time.Since(s.began), slow, working, s.lies)
		}
	}
	s.now = time.Now().Add(s.skew)
	s.work[0].Deadline = s.now.Add(time.Hour)
	s.cluster.pods = nil
	for _, f := range s.followers {
		s.cluster.pods = append(s.cluster.pods, ledger.Pod{ID: f.id})
	}
	for id, at := range s.dead {
		if time.Since(at) < 10*time.Second {
			s.cluster.pods = append(s.cluster.pods, ledger.Pod{ID: id})
		}
	}
	for i, l := range s.loops {
		if i < len(s.loops)-1 && !old {
			continue
		}
		require.NoError(t, l.Once(context.Background()))
		s.bounded(t, *s.published)
		for _, f := range s.followers {
			f.hear(s.published)
		}
	}
}

// bounded: whatever was heard, a width is within its bounds, and pods use no more.
func (s *storm) bounded(t require.TestingT, p Published) {
	in := Input{Now: p.At, Bounds: s.loops[0].Bounds, Override: p.Override}
	w, _ := bounds(in)
	require.LessOrEqual(t, p.Result.Width, w.Max)
	require.GreaterOrEqual(t, p.Result.Width, min(w.Min, max(len(p.Pods), 1)*w.MaxPerPod))
	sum := 0
	for _, share := range Shares(p.Result.Width, p.Pods, w.MaxPerPod) {
		require.LessOrEqual(t, share, w.MaxPerPod)
		sum += share
	}
	require.Equal(t, p.Result.Width, sum)
}

// right says whether the width is what the need asks for, within what is near enough, and divided among those who live.
func (s *storm) right() bool {
	r, sum := s.published.Result, 0
	for _, f := range s.followers {
		slots, _, _ := Share(f.last, f.heard, time.Now(), f.id, s.loops[0].Bounds)
		sum += slots
	}
	want := min(r.Wanted, s.loops[0].Bounds.Max, len(s.followers)*s.loops[0].Bounds.MaxPerPod)
	return !r.Paused && sum == r.Width && r.Width <= want && float64(r.Width) >= min(float64(want), near*s.published.Demand.Slots)
}

func TestWhateverLiesOrDiesTheClusterEndsUpAtTheRightWidth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) { // a bubble has no deadline to ask for
			s := newStorm(t)
			for ticks := rapid.IntRange(10, 150).Draw(t, "ticks"); ticks > 0; ticks-- {
				s.happen(t)
				s.tick(t, true)
			}
			s.lies, s.slow, s.loops, s.liars = nil, nil, s.loops[len(s.loops)-1:], s.liars[len(s.liars)-1:]
			within := learnedWithin
			if s.known {
				within = settledWithin
			}
			for ended, since := time.Now(), time.Now(); time.Since(since) < 5*time.Minute; {
				require.Less(t, time.Since(ended), within, "%d pods: %+v", len(s.followers), *s.published)
				s.tick(t, false)
				if !s.right() {
					since = time.Now()
				}
			}
		})
	})
}

func newStorm(t *rapid.T) *storm {
	s := &storm{cluster: evening(), began: time.Now(), dead: map[string]time.Time{}, known: rapid.Bool().Draw(t, "known")}
	s.work = s.work[:1]
	s.work[0].Begun = true
	s.learn(1e-4)
	s.work[0].RowsEstimated = int64(rapid.Float64Range(0.5, 60).Draw(t, "need") * 58 * 60 / 1.25 / 1e-4)
	spans := func(most int, label string) (from, to time.Duration) {
		from = time.Duration(rapid.IntRange(0, 300).Draw(t, label)) * time.Second
		return from, from + time.Duration(rapid.IntRange(1, most).Draw(t, "seconds"))*time.Second
	}
	kinds := slices.Sorted(maps.Keys(lies))
	for range rapid.IntRange(0, 8).Draw(t, "lies") {
		l := lie{signal: rapid.IntRange(0, 7).Draw(t, "signal"), kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		l.from, l.to = spans(60, "lie")
		s.lies = append(s.lies, l)
	}
	for range rapid.IntRange(0, 2).Draw(t, "slow") {
		l := lie{signal: rapid.IntRange(2, 30).Draw(t, "by")}
		l.from, l.to = spans(60, "slow")
		s.slow = append(s.slow, l)
	}
	for range rapid.IntRange(1, 3).Draw(t, "pods") {
		s.come()
	}
	s.lead()
	return s
}

// happen is one thing at most that befalls the cluster.
func (s *storm) happen(t *rapid.T) {
	switch rapid.IntRange(0, 40).Draw(t, "event") {
	case 0:
		s.come()
	case 1:
		if len(s.followers) > 1 {
			s.die(rapid.IntRange(0, len(s.followers)-1).Draw(t, "which"))
		}
	case 2:
		s.lead()
	case 3:
		s.skew = time.Duration(rapid.IntRange(-60, 60).Draw(t, "the ledger's clock")) * time.Second
	case 4:
		s.override = &Override{Until: s.now.Add(20 * time.Second), Who: "ann", Why: "x", Max: rapid.IntRange(0, 9).Draw(t, "max"), Pin: rapid.IntRange(1, 40).Draw(t, "pin")}
	}
}
