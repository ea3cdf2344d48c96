package guard

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd plays counts of reads every half second: so many a second of others and of ours. lag is how old our own count is.
type crowd struct {
	reads     Reads
	gauge     *Gauge
	now       time.Time
	all, ours float64
	reported  float64 // our count half a second ago
	random    *rand.Rand
	stops     int
}

func newCrowd() *crowd {
	return &crowd{gauge: MySQLReads("main", 1.7), now: t0, random: rand.New(rand.NewPCG(1, 2))} //nolint:gosec // repeatable
}

// play goes on for a while and says after how many seconds the work was first stopped, and first not; -1: never.
func (c *crowd) play(seconds float64, others, ours func() float64) (stopped, free float64) {
	stopped, free = -1, -1
	for i := range int(2 * seconds) {
		c.now = c.now.Add(500 * time.Millisecond)
		c.reported = c.ours
		own := ours() / 2
		c.all += others()/2 + own
		c.ours += own
		next, ratio, ok := c.reads.Next(c.now, c.all, c.reported)
		if c.reads = next; ok {
			c.gauge.Observe(ratio, c.now)
		}
		at := float64(i+1) / 2
		switch zone := c.gauge.Judge(c.now).Zone; {
		case zone == Stop && stopped < 0:
			stopped, c.stops = at, c.stops+1
		case zone != Stop && free < 0:
			free = at
		}
	}
	return stopped, free
}

func steady(rate float64) func() float64 { return func() float64 { return rate } }

func TestACrowdThatComesSuddenlyStopsTheWorkAtOnceAndUntilItHasGone(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	stopped, _ := c.play(60, steady(2500), steady(1500))
	require.Negative(t, stopped)
	stopped, _ = c.play(12, steady(5000), steady(1500))
	require.Positive(t, stopped)
	require.LessOrEqual(t, stopped, 1.5)
	require.True(t, c.gauge.Judge(c.now).Keep)
	_, free := c.play(8, steady(5000), steady(0))
	require.Negative(t, free, "that our own work has stopped, as is told late, does not end it")
	_, free = c.play(10, steady(2500), steady(0))
	require.LessOrEqual(t, free, 1.5)
	stopped, _ = c.play(60, steady(2500), steady(1500))
	require.Negative(t, stopped, "our own work that goes on is no crowd")
}

func TestACrowdThatStaysIsTheNewLevel(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	c.play(300, steady(2500), steady(0))
	stopped, _ := c.play(3, steady(5000), steady(0))
	require.Positive(t, stopped)
	_, free := c.play(120, steady(5000), steady(0))
	require.Greater(t, free, 20.0)
	require.Less(t, free, 60.0)
}

func TestWhetherWeAreAlone(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	require.False(t, c.reads.Alone(), "nothing is known")
	c.play(10, steady(20), steady(1500))
	require.True(t, c.reads.Alone(), "what watches a server sends a few reads")
	c.play(0.5, steady(1000), steady(1500))
	require.False(t, c.reads.Alone(), "a crowd shows in the first count")
	c.play(3, steady(20), steady(1500))
	require.True(t, c.reads.Alone(), "and is over soon")
	c.play(5, steady(250), steady(0))
	require.False(t, c.reads.Alone())
	c.play(600, steady(250), steady(2000))
	require.False(t, c.reads.Alone(), "others that always read are still others")
	next, _, _ := c.reads.Next(c.now.Add(time.Minute), c.all, c.ours)
	require.False(t, next.Alone(), "nothing was counted for long")
}

func TestNoiseAndOurOwnLoadAreNoCrowd(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(c *crowd) (float64, float64){
		"few reads that double": func(c *crowd) (float64, float64) {
			c.play(60, steady(100), steady(0))
			return c.play(60, steady(900), steady(0))
		},
		"a load that wavers": func(c *crowd) (float64, float64) {
			return c.play(3600, func() float64 { return 2500 * (0.7 + 0.6*c.random.Float64()) }, steady(1000))
		},
		"our own work that jumps": func(c *crowd) (float64, float64) {
			return c.play(3600, steady(2500), func() float64 { return float64(c.random.IntN(2)) * 3000 })
		},
		"a load that doubles in ten minutes": func(c *crowd) (float64, float64) {
			rate := 2500.0
			return c.play(600, func() float64 { rate *= 1.00058; return rate }, steady(1000))
		},
	} {
		c := newCrowd()
		stopped, _ := play(c)
		require.Negative(t, stopped, name)
	}
}

func TestACountThatBeginsAnewSaysNothing(t *testing.T) {
	t.Parallel()
	var r Reads
	ok := false
	for i := range 10 {
		r, _, ok = r.Next(t0.Add(time.Duration(i)*time.Second), float64(1e6+2000*i), 0)
	}
	require.True(t, ok)
	r, _, ok = r.Next(t0.Add(10*time.Second), 10, 0) // the server was started anew
	require.False(t, ok)
	r, _, ok = r.Next(t0.Add(11*time.Second), 2010, 0)
	require.False(t, ok, "one interval is not two")
	r, ratio, ok := r.Next(t0.Add(12*time.Second), 4010, 0)
	require.True(t, ok)
	require.InDelta(t, 1, ratio, 0.1)
	_, _, ok = r.Next(t0.Add(time.Minute), 1e6, 0)
	require.False(t, ok, "after a gap")
}

func TestACountThatCannotBeIsNoLevel(t *testing.T) {
	t.Parallel()
	c := newCrowd()
	c.play(60, steady(2500), steady(0))
	for _, lie := range []float64{math.NaN(), math.Inf(1), -1, 1e18} {
		c.now = c.now.Add(500 * time.Millisecond)
		next, ratio, ok := c.reads.Next(c.now, lie, 0)
		if c.reads = next; ok {
			c.gauge.Observe(ratio, c.now)
		}
	}
	c.play(60, steady(2500), steady(0))
	stopped, _ := c.play(10, steady(6000), steady(0))
	require.Positive(t, stopped, "a crowd is still seen")
}
