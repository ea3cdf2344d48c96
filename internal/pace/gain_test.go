package pace

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// field is pods whose slots bring rows up to a number of them, while need asks for more.
type field struct {
	*law
	useful int     // slots that bring something
	noise  float64 // of what is done in a tick
	speed  float64 // of one slot
	rand   *rand.Rand
	trials int
	below  int // ticks with fewer slots than are useful
	widths map[int]int
}

func newField(useful int) *field {
	f := &field{law: newLaw(40), useful: useful, speed: 1e6, rand: rand.New(rand.NewPCG(1, 2)), widths: map[int]int{}} //nolint:gosec // a test's noise
	f.input.Near, f.input.For = true, Tick
	return f
}

func (f *field) run(ticks int) {
	for range ticks {
		f.input.Done = f.speed * float64(min(max(f.state.Width, 1), f.useful)) * Tick.Seconds() * (1 + f.noise*(2*f.rand.Float64()-1))
		was := f.state.Gain.Trying
		f.law.run(1)
		if f.state.Gain.Trying > 0 && was == 0 {
			f.trials++
		}
		if f.last.Width < f.useful {
			f.below++
		}
		f.widths[f.last.Width]++
	}
}

func TestSlotsThatBringNothingAreTakenBack(t *testing.T) {
	t.Parallel()
	for _, useful := range []int{1, 2, 3, 5, 12, 30} {
		f := newField(useful)
		f.noise = 0.1
		f.run(150) // five minutes: to 40 slots, and a trial or two a minute
		f.widths, f.below = map[int]int{}, 0
		f.run(900)
		near := 0
		for w, n := range f.widths {
			if w >= useful && w <= useful+useful/2+1 {
				near += n
			}
		}
		require.Greater(t, near, 500, "%d are useful, and the widths were %v", useful, f.widths)
		require.Less(t, f.below, 120, "%d are useful, and the widths were %v", useful, f.widths)
	}
}

func TestSlotsThatBringRowsStay(t *testing.T) {
	t.Parallel()
	f := newField(1000)
	f.noise = 0.1
	f.run(30)
	f.widths, f.trials = map[int]int{}, 0
	f.run(1800) // an hour
	require.LessOrEqual(t, f.trials, 8, "after 1, 2, 4, 8 minutes and each 16")
	require.Greater(t, f.widths[40], 1700, "%v", f.widths)
}

func TestATrialIsOverWhenTheServersSayNoOrPeopleOrFewerAreNeeded(t *testing.T) {
	t.Parallel()
	trying := func() *field {
		f := newField(3)
		for f.state.Gain.Trying == 0 {
			f.run(1)
		}
		return f
	}
	f := trying()
	require.Equal(t, "24 for a moment, to see whether they do as much as 40: the pods are busy", f.last.Reason)
	require.False(t, f.last.Bound)
	f.input.Guard = zone(guard.Shrink, 0.5)
	f.run(1)
	require.Equal(t, 12, f.last.Width)
	require.Zero(t, f.state.Gain.Trying)

	f = trying()
	f.input.Busy = "pods_busy 9 >= 8"
	f.run(2)
	require.Equal(t, "24 for a moment, to see whether they do as much as 40: the pods are busy", f.last.Reason)

	f = trying()
	f.useful = 1 // they do less
	for f.state.Gain.Trying > 0 {
		f.input.Guard = guard.Verdict{Zone: guard.Hold, Factor: 1, Blind: true, Reason: "canary was not read yet"}
		f.run(1)
	}
	require.Equal(t, 24, f.last.Width, "nothing grows on what is not known")

	f = trying()
	f.input.For = Silence + 1
	f.run(1)
	require.Zero(t, f.state.Gain.Trying, "the leader was frozen: what was done tells nothing")

	f = trying()
	f.input.Override = &Override{Pin: 33, Until: f.now.Add(time.Hour), Who: "ann", Why: "because"}
	f.run(1)
	require.Equal(t, 30, f.last.Width, "on its way")

	f = trying()
	f.input.Demand.Slots = 20
	f.run(1)
	require.Zero(t, f.state.Gain.Trying)
	require.Equal(t, 24, f.last.Width, "a need that falls is followed slowly")

	f = trying()
	f.input.Pods++
	f.run(1)
	require.Equal(t, Gain{Pods: f.input.Pods, Width: 24, Since: f.input.Now}, f.state.Gain)
}

func TestMorePodsMayCarryMore(t *testing.T) {
	t.Parallel()
	f := newField(2)
	f.run(100)
	require.Equal(t, 2, f.state.Gain.Enough)
	require.Equal(t, "2 do as much as more did, 40 wanted (so much is due): the pods or their cache have all they can do", f.last.Reason)
	require.Equal(t, BindsPods, f.last.Binds)
	_, wanted := PodsWanted(f.state, f.input, f.last)
	require.Equal(t, 4, wanted)
	require.Equal(t, 2, Known(f.now, wide, 2, f.state, f.last).Ceiling, "and planning counts on no more")
	for !f.state.Gain.Raised {
		f.run(1)
	}
	require.Equal(t, "3, to see whether they still do no more than fewer did, 40 wanted (so much is due)", f.last.Reason)
	f.input.Pods, f.useful = 4, 40
	f.run(20)
	require.Equal(t, 40, f.last.Width)
}

func TestWhatIsEnoughIsNotLessThanAMinimumThatIsNew(t *testing.T) {
	t.Parallel()
	f := newField(2)
	f.run(100)
	require.Equal(t, 2, f.state.Gain.Enough)
	f.input.Bounds.Min = 4
	f.run(2)
	require.Equal(t, 6, f.last.Width)
	require.Equal(t, "6, growing to 40: so much is due", f.last.Reason)

	f = newField(2)
	for f.state.Gain.Trying != 3 {
		f.run(1)
	}
	f.input.Bounds.Min = 4
	f.run(1)
	require.Zero(t, f.state.Gain.Trying)
	require.GreaterOrEqual(t, f.last.Width, 4)
}

func TestNothingIsTriedWhereNothingIsKnownOrThereIsRoom(t *testing.T) {
	t.Parallel()
	f := newField(1)
	f.input.Near = false
	f.run(300)
	require.Equal(t, 40, f.last.Width)
	f.input.Near, f.input.For = true, 0
	f.law.run(300)
	require.Equal(t, 40, f.last.Width)
	f.input.For = Tick
	f.input.Bounds = config.Width{Min: 40, Max: 64, MaxPerPod: 32}
	f.run(300)
	require.Equal(t, 40, f.last.Width)
}
