package app

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// read tells of n pages of the rows that were asked for, of 1 µs a row and the way there and back.
func (p *pages) read(n int, trip time.Duration) {
	for range n {
		rows := p.Rows("users", "")
		p.Read(load.PageRead{Dataset: "users", Rows: rows, Bytes: 300 * rows, Time: time.Duration(rows)*time.Microsecond + trip})
	}
}

func newTestPages(t *testing.T, change func(*config.Policy)) (p *pages, zone *guard.Zone, reg *prometheus.Registry) {
	t.Helper()
	cfg := config.Defaults()
	cfg.Fill()
	cfg.Policy.PageTime, cfg.Policy.PageRowsMin = 250*time.Microsecond, 200 // whatever the defaults are
	a := &App{cfg: cfg, log: slog.New(slog.DiscardHandler), reg: prometheus.NewRegistry()}
	change(&a.cfg.Policy)
	p, zone = a.newPages(nil), new(guard.Zone)
	p.zone = func() guard.Zone { return *zone }
	p.of["users"] = "main"
	return p, zone, a.reg
}

func TestPagesFollowTheTimeOfTheSourceWithoutTheWayToIt(t *testing.T) {
	t.Parallel()
	p, _, reg := newTestPages(t, func(*config.Policy) {})
	require.Equal(t, 500, p.Rows("users", ""))
	p.took("main", 2*time.Millisecond)
	p.bounds.Target = time.Millisecond
	p.read(30, 2*time.Millisecond)
	require.InDelta(t, 1000, p.Rows("users", ""), 1)
	require.Equal(t, 500, p.Rows("other", ""))
	require.Len(t, p.now(), 2)
	require.Equal(t, "users", p.now()[1].Dataset)
	require.Contains(t, p.now()[1].Reason, "1ms")
	found, err := reg.Gather()
	require.NoError(t, err)
	require.InDelta(t, 1000, found[0].GetMetric()[0].GetGauge().GetValue(), 1)
}

func TestTheWayToASourceIsTheShortestOfTwoMinutes(t *testing.T) {
	t.Parallel()
	p, _, _ := newTestPages(t, func(*config.Policy) {})
	require.Zero(t, p.way("main"), "it is not known")
	for _, trip := range []time.Duration{2 * time.Millisecond, time.Millisecond, 30 * time.Millisecond} {
		p.took("main", trip)
	}
	require.Equal(t, time.Millisecond, p.way("main"), "a server that is busy is no longer way")
	for range tripsKept {
		p.took("main", 5*time.Millisecond)
	}
	require.Equal(t, 5*time.Millisecond, p.way("main"), "it has moved")
}

func TestPagesGrowOnlyWhileTheGuardSaysGrow(t *testing.T) {
	t.Parallel()
	p, zone, _ := newTestPages(t, func(po *config.Policy) { po.PageRows = 100 })
	*zone = guard.Hold
	p.read(20, 0)
	require.Equal(t, 100, p.Rows("users", ""))
	*zone = guard.Grow
	p.read(20, 0)
	require.InDelta(t, 250, p.Rows("users", ""), 1)
}

func TestPagesMayTakeLongerWhileNobodyElseReads(t *testing.T) {
	t.Parallel()
	p, zone, _ := newTestPages(t, func(po *config.Policy) { po.PageTime = 100 * time.Microsecond })
	p.alone = func(source string) bool { return source == "main" }
	for _, z := range []struct {
		zone guard.Zone
		want int
	}{{guard.Grow, 4000}, {guard.Hold, 4000}, {guard.Shrink, 200}} {
		*zone = z.zone
		p.read(20, 0)
		require.InDelta(t, z.want, p.Rows("users", ""), 1, z.zone)
	}
	p.alone = func(string) bool { return false }
	*zone = guard.Grow
	p.read(20, 0)
	require.Equal(t, 200, p.Rows("users", ""))
}

func TestPagesKeepToWhatIsConfigured(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows, least, most int
		perRow            time.Duration
		want              int
	}{
		"at least":                      {500, 200, 5000, time.Millisecond, 200},
		"at most":                       {500, 50, 800, 1, 800},
		"fixed":                         {20, 50, 20, 1, 20},
		"a start below the least is it": {20, 50, 5000, time.Millisecond, 20},
		"a start above the most is it":  {6000, 50, 5000, 1, 6000},
	} {
		p, _, _ := newTestPages(t, func(po *config.Policy) { po.PageRows, po.PageRowsMin, po.PageRowsMax = c.rows, c.least, c.most })
		for range 30 {
			rows := p.Rows("users", "")
			p.Read(load.PageRead{Dataset: "users", Rows: rows, Time: time.Duration(rows) * c.perRow})
		}
		require.Equal(t, c.want, p.Rows("users", ""), name)
	}
}

func TestAPodThatHeardNothingDoesNotLetPagesGrow(t *testing.T) {
	t.Parallel()
	var p pacer
	require.Equal(t, guard.Hold, p.zone())
	require.False(t, p.alone("main"))
	heard := &pace.Published{Guard: []guard.Verdict{{Zone: guard.Grow}}, Alone: []string{"main"}}
	p.hear(heard, time.Now(), func(*pace.Published, time.Time) (int, bool, string) { return 1, false, "" })
	require.Equal(t, guard.Grow, p.zone())
	require.True(t, p.alone("main"))
	require.False(t, p.alone("other"))
	p.heard = time.Now().Add(-pace.Silence - time.Second)
	require.Equal(t, guard.Hold, p.zone())
	require.False(t, p.alone("main"))
}
