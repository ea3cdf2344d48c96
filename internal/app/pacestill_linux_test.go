package app_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stillness is the seconds in which the machine itself stood still: what runs a virtual machine takes its processors away, at idle and beside a setting
// alike, for some 20 ms at once or in pieces, up to half of a second in all, and of a thousand reads a second the ten slowest make the p99. Such a second says
// nothing of a setting. In one look of 80 s the median p99 of seconds was 1.14 ms at work and 0.88 paused, and 0.72 and 0.45 in those of which nothing was taken.
type stillness struct {
	t     *testing.T
	ended atomic.Bool
	cores sync.WaitGroup

	mu      sync.Mutex
	seconds map[int64]bool // by Unix time
}

// stoodStill is how much later than it was due a thread that goes before all others has to have run.
const stoodStill = 2 * time.Millisecond

func watchStillness(t *testing.T) *stillness {
	s := &stillness{t: t, seconds: map[int64]bool{}}
	// Each of these threads, and that of the live load, keeps its place in Go's scheduler while it waits.
	runtime.GOMAXPROCS(2*runtime.NumCPU() + 2)
	for core := range runtime.NumCPU() {
		s.cores.Go(func() { s.watch(core) })
	}
	s.cores.Go(s.watchStolen)
	return s
}

func (s *stillness) watch(core int) {
	runtime.LockOSThread() // and never unlocked: the thread ends with this
	var only unix.CPUSet
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		s.t.Logf("whether core %d stands still is not known: %v", core, err)
		return
	}
	goesFirst(s.t, 60)
	for !s.ended.Load() {
		// Rarely: a thread that comes in between each millisecond has the database's own take turns, and large pages do a third of their harm.
		const step = 10 * time.Millisecond
		due := time.Now().Add(step)
		poll(nil, step)
		if now := time.Now(); now.Sub(due) >= stoodStill {
			s.note(due, now)
		}
	}
}

// watchStolen notes the seconds of which the kernel knows that a processor was taken away, by its steal time: in hundredths.
func (s *stillness) watchStolen() {
	fs, err := procfs.NewDefaultFS()
	require.NoError(s.t, err)
	stolen := func() (all float64) {
		stat, err := fs.Stat()
		require.NoError(s.t, err)
		return stat.CPUTotal.Steal
	}
	for last, before := time.Now(), stolen(); !s.ended.Load(); {
		time.Sleep(time.Until(last.Truncate(time.Second).Add(time.Second)))
		now := stolen()
		if now > before {
			s.note(last, last)
		}
		last, before = time.Now(), now
	}
}

func (s *stillness) note(from, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for second := from.Unix(); second <= to.Unix(); second++ {
		s.seconds[second] = true
	}
}

// during says whether the machine stood still in the second of a moment.
func (s *stillness) during(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seconds[at.Unix()]
}

// without is how long the machine has not stood still since a moment, in whole seconds of standing still less.
func (s *stillness) without(began time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	passed := time.Since(began)
	for second := range s.seconds {
		if second >= began.Unix() {
			passed -= time.Second
		}
	}
	return passed
}

// end waits until nobody looks any more.
func (s *stillness) end() {
	s.ended.Store(true)
	s.cores.Wait()
}
