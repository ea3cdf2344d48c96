package guard

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pages reads pages of 500 rows until the plan is to be looked at, and says at which that is; -1: never.
func (c Cost) readPages(n int64, examined func(page int64) int64, took func(page int64) time.Duration) (Cost, int64) {
	for p := range n {
		var measure bool
		if c, measure = c.Next(); !measure {
			c = c.Took(500, took(p))
			continue
		}
		var suspicion string
		if c, suspicion = c.Examined(500, examined(p)); suspicion != "" {
			return c, p
		}
	}
	return c, -1
}

func even(int64) time.Duration { return time.Millisecond }

// slow is a page that takes so many times as long as others where it does.
func slow(times int64, where func(page int64) bool) func(int64) time.Duration {
	return func(p int64) time.Duration {
		if where(p) {
			return time.Duration(times * int64(time.Millisecond))
		}
		return time.Millisecond
	}
}

func TestAPlanThatGoesBadIsLookedAtWithinAFewPages(t *testing.T) {
	t.Parallel()
	const changes = 10_000
	for name, c := range map[string]struct {
		examined func(page int64) int64
		took     func(page int64) time.Duration
		most     int64 // page by which it must be looked at; -1: never
	}{
		"a range":                         {func(int64) int64 { return 501 }, even, -1},
		"from the first row":              {func(p int64) int64 { return 500 * (p + 1) }, even, 8},
		"from the first row, far into it": {func(p int64) int64 { return 500 * (p + 1000) }, even, 1},
		"a plan that changes, and pages that get slow": {
			func(p int64) int64 { return map[bool]int64{false: 500, true: 5_000_000}[p >= changes] },
			slow(100, func(p int64) bool { return p >= changes }), changes + 1},
		"a plan that changes, and pages that hardly get slower": {
			func(p int64) int64 { return map[bool]int64{false: 500, true: 20_000}[p >= changes] }, even, changes + costEvery},
		"one page that had to skip a crowd": {func(p int64) int64 { return map[bool]int64{false: 500, true: 4_000}[p == 127] }, even, -1},
		"single pages that are slow": {func(int64) int64 { return 500 },
			slow(30, func(p int64) bool { return p%10 == 3 }), -1},
	} {
		_, at := Cost{}.readPages(changes*2, c.examined, c.took)
		if c.most < 0 {
			require.Equal(t, int64(-1), at, name)
			continue
		}
		require.GreaterOrEqual(t, at, int64(0), name)
		require.LessOrEqual(t, at, c.most, name)
	}
	c, suspicion := Cost{}.Examined(500, 10)
	require.Equal(t, Cost{}, c, "fewer examined than returned: the counter was reset")
	require.Empty(t, suspicion)
	_, suspicion = Cost{}.Examined(500, 100_100)
	require.Equal(t, "200.0 rows examined for each that a page returned >= 4.0 (100100 for 500)", suspicion)
}

func TestADatasetWhoseConditionDropsRowsIsLookedAtOnceAndThenWhenItGetsMuchWorse(t *testing.T) {
	t.Parallel()
	var c Cost
	looks, worse := 0, int64(1)
	for p := range int64(10_000) {
		var measure bool
		if c, measure = c.Next(); !measure {
			continue
		}
		var suspicion string
		examined := worse * 500 * (80 + 40*(p%2)) // 80 to 120 for each row
		if c, suspicion = c.Examined(500, examined); suspicion != "" {
			looks++
			c = c.Acquit(500, examined)
		}
	}
	require.LessOrEqual(t, looks, 3)
	worse = 30
	c, at := c.readPages(1000, func(int64) int64 { return worse * 500 * 100 }, even)
	require.GreaterOrEqual(t, at, int64(0))
	require.Zero(t, c.over)
}

func TestFewPagesAreMeasured(t *testing.T) {
	t.Parallel()
	var c Cost
	n := 0
	for p := range 10_000 {
		var measure bool
		if c, measure = c.Next(); measure {
			n++
			c, _ = c.Examined(500, 500)
		}
		// Every tenth page takes several times as long, as on a shared machine.
		c = c.Took(500, time.Duration(1+4*(p%10/9))*time.Millisecond)
	}
	require.Less(t, n, 10_000/costApart/4)
}
