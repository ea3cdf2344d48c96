package pace

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/guard"
)

// The tests' own target, whatever the default is.
var (
	within     = Pages{Target: 250 * time.Microsecond}
	whileAlone = Pages{Target: within.Target, Alone: 500}
)

// pages runs the law on a server with a fixed cost.
func pages(p Pager, n int, fixed, perRow, trip time.Duration, size int, z guard.Zone, l Pages) (Pager, string) {
	var why string
	for range n {
		rows := p.Rows
		p, why = p.Next(Page{Rows: rows, Bytes: rows * size, Time: fixed + time.Duration(rows)*perRow + trip, RoundTrip: trip}, z, l)
	}
	return p, why
}

func TestPagesSettleAtTheTargetTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first  int
		perRow time.Duration
		trip   time.Duration
		want   int
	}{
		"from below":            {50, 500, 0, 500},
		"from above":            {5000, 500, 0, 500},
		"over a network":        {50, 500, 2 * time.Millisecond, 500},
		"rows that cost a lot":  {500, 50_000, 0, 50},
		"rows that cost little": {500, 10, 0, 5000},
	} {
		p, why := pages(Pager{}.First(c.first, within), 60, 0, c.perRow, c.trip, 100, guard.Grow, within)
		require.InDelta(t, c.want, p.Rows, 0.02*float64(c.want), "%s: %s", name, why)
		require.NotEmpty(t, why)
	}
}

func TestPagesGrowGentlyAndShrinkAtOnce(t *testing.T) {
	t.Parallel()
	p, _ := pages(Pager{}.First(100, within), 1, 0, 500, 0, 100, guard.Grow, within)
	require.Equal(t, 125, p.Rows)
	held, why := pages(p, 20, 0, 500, 0, 100, guard.Hold, within)
	require.Equal(t, 125, held.Rows)
	require.Equal(t, "125 rows: the guard says hold", why)
	p, _ = pages(p, 50, 0, 500, 0, 100, guard.Grow, within)
	require.Equal(t, 500, p.Rows)
	slow, why := pages(p, 1, 0, 3000, 0, 100, guard.Grow, within)
	require.Equal(t, 250, slow.Rows)
	require.Contains(t, why, "5 times the target")
	slow, _ = pages(slow, 5, 0, 3000, 0, 100, guard.Shrink, within)
	require.LessOrEqual(t, slow.Rows, 84, "five pages later the median says so")
}

func TestPagesDoNotShrinkBelowTheirStartWhileNobodyElseReads(t *testing.T) {
	t.Parallel()
	const dear = 50 * time.Microsecond // a row
	alone, why := pages(Pager{}.First(500, within), 20, 0, dear, 0, 100, guard.Hold, whileAlone)
	require.Equal(t, 500, alone.Rows)
	require.Equal(t, "500 rows: nobody else reads the source", why)
	crowded, _ := pages(alone, 1, 0, dear, 0, 100, guard.Hold, within)
	require.Equal(t, 50, crowded.Rows, "at once when somebody does: it is known what fits")
	grown, why := pages(alone, 20, 0, 5*time.Microsecond, 0, 100, guard.Hold, whileAlone)
	require.InDelta(t, 2000, grown.Rows, 1)
	require.Contains(t, why, " rows take 10ms, as nobody else reads the source")
	grown, _ = pages(grown, 1, 0, 5*time.Microsecond, 0, 100, guard.Hold, within)
	require.InDelta(t, 50, grown.Rows, 1, "at once when somebody does")
	again, _ := pages(crowded, 1, 0, dear, 0, 100, guard.Hold, whileAlone)
	require.Equal(t, 500, again.Rows)
	large, _ := pages(again, 1, 0, dear, 0, 100_000, guard.Grow, Pages{Target: within.Target, Alone: 500, Bytes: 1 << 20})
	require.Equal(t, 10, large.Rows, "bytes bound it all the same")
}

func TestAPageEndsAtItsBytes(t *testing.T) {
	t.Parallel()
	l := Pages{Target: within.Target, Bytes: 1 << 20, Max: 100_000}
	p, why := pages(Pager{}.First(50, l), 80, 0, 10, 0, 10_000, guard.Grow, l)
	require.Equal(t, 104, p.Rows)
	require.Equal(t, "104 rows: 1048576 bytes", why)
	p, _ = p.Next(Page{Rows: 1, Bytes: 8 << 20, Time: time.Millisecond}, guard.Grow, l)
	require.Equal(t, 1, p.Rows, "a giant row")
}

func TestAShortPageSaysLittle(t *testing.T) {
	t.Parallel()
	p, _ := pages(Pager{}.First(500, within), 30, 0, 1000, 0, 100, guard.Grow, within)
	next, why := p.Next(Page{Rows: 3, Bytes: 300, Time: 300 * time.Microsecond}, guard.Grow, within)
	require.Equal(t, p.Rows, next.Rows)
	require.Equal(t, "a short page says little", why)
	next, _ = p.Next(Page{}, guard.Grow, within)
	require.Equal(t, p, next)
}

func TestPagesStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := Pages{
			Target: time.Duration(rapid.IntRange(-1, 1e7).Draw(t, "target")), Min: rapid.IntRange(-1, 500).Draw(t, "min"),
			Max: rapid.IntRange(-1, 5000).Draw(t, "max"), Bytes: rapid.IntRange(0, 1<<22).Draw(t, "bytes"),
		}
		filled := l.Fill()
		p := Pager{}.First(rapid.IntRange(-10, 100_000).Draw(t, "first"), l)
		for range rapid.IntRange(1, 50).Draw(t, "pages") {
			before := p.Rows
			var why string
			p, why = p.Next(Page{
				Rows: rapid.IntRange(-1, 10_000).Draw(t, "rows"), Bytes: rapid.IntRange(-1, 1<<28).Draw(t, "size"),
				Time: time.Duration(rapid.Int64().Draw(t, "time")), RoundTrip: time.Duration(rapid.Int64().Draw(t, "trip")),
			}, guard.Zone(rapid.IntRange(0, 3).Draw(t, "zone")), l)
			require.NotEmpty(t, why)
			require.GreaterOrEqual(t, p.Rows, 1)
			require.LessOrEqual(t, p.Rows, filled.Max)
			require.LessOrEqual(t, p.Rows, max(before+max(before/4, 1), filled.Min))
		}
	})
}

// Every size of a page has a reason of a known form, and what it says is so.
func TestWhatAPageIsSaidToBeIsSo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := Pages{Bytes: rapid.SampledFrom([]int{0, 1 << 16, 1 << 20}).Draw(t, "bytes"), Alone: rapid.SampledFrom([]int{0, 0, 500}).Draw(t, "alone")}
		f := l.Fill()
		if l.Alone > 0 {
			f.Target *= aloneTimes
		}
		p := Pager{}.First(500, l)
		var costs []float64
		for range rapid.IntRange(1, 40).Draw(t, "pages") {
			perRow := rapid.SampledFrom([]float64{1e-7, 5e-7, 5e-6, 5e-5}).Draw(t, "per row") * rapid.Float64Range(0.9, 1.1).Draw(t, "noise")
			z := guard.Zone(rapid.IntRange(0, 3).Draw(t, "zone"))
			size, was := rapid.SampledFrom([]int{100, 10_000}).Draw(t, "size"), p.Rows
			took := time.Duration(perRow * float64(was) * float64(time.Second))
			var why string
			p, why = p.Next(Page{Rows: was, Bytes: was * size, Time: took}, z, l)
			if why == "a short page says little" {
				require.Less(t, was, f.Min)
				continue
			}
			costs = append(costs, took.Seconds()/float64(was))
			newest := slices.Sorted(slices.Values(costs[max(len(costs)-pageMemory, 0):]))
			fits := int(f.Target.Seconds() / newest[len(newest)/2])
			rows, because, found := strings.Cut(why, " rows: ")
			require.True(t, found, why)
			require.Equal(t, fmt.Sprint(p.Rows), rows, why)
			because, alone := strings.CutSuffix(because, ", as nobody else reads the source")
			if alone {
				require.Positive(t, l.Alone)
			}
			switch {
			case strings.HasPrefix(because, "a page took"):
				require.Greater(t, took, 5*f.Target)
				require.Equal(t, max(was/2, f.Min), p.Rows)
			case strings.HasPrefix(because, "the guard says"):
				require.NotEqual(t, guard.Grow, z)
				require.Contains(t, because, z.String())
				require.LessOrEqual(t, p.Rows, max(was, f.Min))
			case strings.HasSuffix(because, "bytes"):
				require.LessOrEqual(t, p.Rows*size, max(l.Bytes, size))
				require.Positive(t, l.Bytes)
			case because == "nobody else reads the source":
				require.Equal(t, l.Alone, p.Rows)
				require.True(t, fits < p.Rows || took > 5*f.Target || z != guard.Grow && was < p.Rows, "it would be smaller if somebody did: %s", why)
			default:
				require.Equal(t, fmt.Sprintf("%d rows take %s", fits, f.Target), because)
				require.LessOrEqual(t, p.Rows, max(fits, f.Min))
			}
		}
	})
}
