package pace

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
)

// edge has the law find servers that bear so many slots, for so many ticks.
func (l *law) edge(knee, ticks int) {
	for range ticks {
		l.input.Guard = green
		switch {
		case l.state.Width > knee:
			l.input.Guard = zone(guard.Shrink, 0.8)
		case l.state.Width == knee:
			l.input.Guard = zone(guard.Hold, 1)
		}
		l.run(1)
	}
}

func TestWhatTheServersBoreIsKnownTheNextDay(t *testing.T) {
	t.Parallel()
	l := newLaw(50)
	known := func(after time.Duration) int {
		return Known(l.now.Add(after), wide, 2, State{Borne: l.state.Borne}, Result{}).Ceiling
	}
	require.Equal(t, 64, known(0), "nothing is known yet")
	l.edge(20, 60)
	require.Equal(t, 64, known(0), "a minute is no evening")
	l.edge(20, 1800)
	require.InDelta(t, 20, known(20*time.Hour), 1, "before anything runs")
	require.InDelta(t, 20, known(7*24*time.Hour), 1)
	require.Equal(t, 64, known(9*24*time.Hour), "and forgotten")

	before := l.state.Borne
	l.input.Guard = guard.Verdict{Zone: guard.Stop, Factor: 1, Keep: true}
	l.run(300)
	l.input.Guard = guard.Verdict{Zone: guard.Hold, Factor: 1, Blind: true}
	l.run(300)
	require.Equal(t, before, l.state.Borne, "neither a crowd nor what is not seen tells")
	l.edge(20, 60)
	l.input.Guard = zone(guard.Shrink, 0.2)
	l.run(100)
	require.InDelta(t, 20, known(0), 1, "a surge of a moment is no ceiling of an evening")
}

func TestServersThatHaveBecomeFasterAreFoundOut(t *testing.T) {
	t.Parallel()
	l := newLaw(50)
	l.edge(20, 1800)
	l.state = State{Borne: l.state.Borne}
	l.edge(60, 30)
	require.GreaterOrEqual(t, l.last.Width, 48, "what is known of yesterday bounds no width")
	l.edge(60, 2*borneMemory)
	require.GreaterOrEqual(t, Known(l.now, wide, 2, State{Borne: l.state.Borne}, Result{}).Ceiling, 45)
	l.input.Demand.Slots = 3
	was := l.state.Borne
	l.run(1000)
	require.Equal(t, was, l.state.Borne, "a width that nobody needs tells nothing")
}

func TestTheNextEveningsPlanBeginsWithWhatThisOneFound(t *testing.T) {
	t.Parallel()
	c := evening()
	l := newLoop(c)
	c.tick(t, l)
	l.state.Borne = Bore(7, c.now)
	require.NoError(t, l.keep(t.Context()))
	c.published, c.now = nil, c.now.Add(20*time.Hour)
	next := newLoop(c)
	p := c.tick(t, next)
	require.Equal(t, 7, Known(c.now, config.Width{Min: 1, Max: 64, MaxPerPod: 32}, 2, p.State, p.Result).Ceiling)
	for range keepEvery {
		c.tick(t, next)
	}
	require.Contains(t, string(c.levels), `"width":{"value":7`)
	require.NotContains(t, next.Watch.Baselines(), borneKey)
}

func TestALeaderThatCouldNotReadWhereTheLastOneWasBeginsAgain(t *testing.T) {
	t.Parallel()
	c := evening()
	l := newLoop(c)
	for range 20 {
		c.tick(t, l)
	}
	was := c.published.Result.Width
	next := newLoop(c)
	next.Channel = mute{c}
	require.Error(t, next.Once(t.Context()))
	next.Channel = c
	require.InDelta(t, was, c.tick(t, next).Result.Width, 1)
}

// mute is a channel that cannot be read.
type mute struct{ *cluster }

func (mute) Published(context.Context) (*Published, error) { return nil, errors.New("no route") }

func TestWhatTheServersDoNotBearForAMomentIsNoCertainDelay(t *testing.T) {
	t.Parallel()
	bound := Result{Bound: true, Binds: BindsGuard}
	works := []Work{work("a", time.Hour, 10*3600)}
	for name, c := range map[string]struct {
		state State
		says  string
	}{
		"a surge on servers that bore 20":  {State{Limit: 3, Borne: Bore(20, noon)}, AtRisk},
		"servers that bore no more before": {State{Limit: 3, Borne: Bore(5, noon)}, Infeasible},
		"nobody knows what they bore":      {State{Limit: 3}, Infeasible},
	} {
		l := Known(noon, wide, 2, c.state, bound)
		require.Equal(t, 3, l.Ceiling, name)
		v := Judge(noon, works, l, exact)[0]
		require.Equal(t, c.says, v.State, "%s: %s", name, v.Reason)
		require.Negative(t, v.Margin, "it is told as late all the same")
	}
}
