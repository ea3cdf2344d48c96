package pace

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// cluster is a ledger and a channel with what the test puts into them.
type cluster struct {
	now       time.Time
	work      []ledger.OpenWork
	pods      []ledger.Pod
	rates     map[string]Rate
	override  *Override
	published *Published
	moves     []ledger.Move
	levels    []byte // of the signals
	err       error
	deaf      error // nothing can be published
}

func (c *cluster) Baselines(context.Context) ([]byte, error) { return c.levels, c.err }
func (c *cluster) SetBaselines(_ context.Context, state any) (err error) {
	c.levels, err = json.Marshal(state)
	return err
}

func (c *cluster) Now(context.Context) (time.Time, error) { return c.now, c.err }
func (c *cluster) OpenWork(context.Context) ([]ledger.OpenWork, error) {
	return c.work, c.err
}
func (c *cluster) Pods(context.Context, time.Duration) ([]ledger.Pod, error) { return c.pods, c.err }
func (c *cluster) Rates(_ context.Context, decode func(string, []byte) error) error {
	for dataset, r := range c.rates {
		text, err := json.Marshal(r)
		if err == nil {
			err = decode(dataset, text)
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

func (c *cluster) Override(context.Context) ([]byte, error) {
	if c.override == nil {
		return nil, c.err
	}
	return json.Marshal(c.override)
}

func (c *cluster) MergeRate(_ context.Context, dataset string, merge func([]byte) (any, error)) error {
	if c.err != nil {
		return c.err
	}
	var old []byte
	if r, ok := c.rates[dataset]; ok {
		old, _ = json.Marshal(r)
	}
	v, err := merge(old)
	if err != nil {
		return err
	}
	c.rates[dataset] = v.(Rate)
	return nil
}

func (c *cluster) Publish(_ context.Context, p Published) error {
	if c.deaf == nil {
		c.published = &p
	}
	return c.deaf
}
func (c *cluster) Published(context.Context) (*Published, error) { return c.published, nil }

func newLoop(c *cluster) *Loop {
	return &Loop{Ledger: c, Channel: c, Watch: &guard.Watch{}, Bounds: config.Width{Min: 1, Max: 64, MaxPerPod: 32}, Policy: Policy{}.Fill(),
		Self: "a", Alerts: alert.New(alert.Config{Log: slog.New(slog.DiscardHandler)}), Log: slog.New(slog.DiscardHandler), Move: c.move}
}

// move is what the ledger and the queue make of it.
func (c *cluster) move(_ context.Context, moves []ledger.Move) error {
	c.moves = append(c.moves, moves...)
	for _, m := range moves {
		for i := range c.work {
			if c.work[i].RunID == m.RunID && c.work[i].PlannedStart.Equal(m.From) {
				c.work[i].PlannedStart = m.To
			}
		}
	}
	return nil
}

func evening() *cluster {
	now := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	return &cluster{now: now, pods: []ledger.Pod{{ID: "a"}, {ID: "b"}}, rates: map[string]Rate{}, work: []ledger.OpenWork{
		{RunID: "r1", Dataset: "users", Deadline: now.Add(12 * time.Minute), PlannedStart: now, Units: 100, RowsEstimated: 60_000_000, Longest: 600_000},
		{RunID: "r1", Dataset: "staff", Deadline: now.Add(12 * time.Minute), PlannedStart: now, Units: 1},
	}}
}

func (c *cluster) tick(t *testing.T, l *Loop) Published {
	t.Helper()
	c.now = c.now.Add(Tick)
	require.NoError(t, l.Once(t.Context()))
	return *c.published
}

func TestTheLeaderPublishesWhatIsNeededAndTheNextOneGoesOn(t *testing.T) {
	t.Parallel()
	c := evening()
	l := newLoop(c)
	p := c.tick(t, l)
	// 6,000 slot seconds in the 10 minutes before the margin, and a quarter more.
	require.InDelta(t, 12.6, p.Demand.Slots, 0.3)
	require.Equal(t, []string{"a", "b"}, p.Pods)
	for range 20 {
		p = c.tick(t, l)
	}
	require.InDelta(t, 13, p.Result.Width, 1)
	require.NotEmpty(t, p.Result.Reason)

	next := newLoop(c)
	next.Self = "b"
	after := c.tick(t, next)
	require.Equal(t, p.Result.Width, after.Result.Width, "another leader does not begin anew")
	require.True(t, after.Newer(p))
}

func TestALedgerThatDoesNotAnswerPublishesNothing(t *testing.T) {
	t.Parallel()
	c := evening()
	l := newLoop(c)
	c.tick(t, l)
	was := *c.published
	c.err = errors.New("down")
	require.Error(t, l.Once(t.Context()))
	require.Equal(t, was, *c.published)
}

func TestAnOverrideHoldsUntilItEnds(t *testing.T) {
	t.Parallel()
	c := evening()
	c.override = &Override{Pin: 3, Until: c.now.Add(time.Minute), Who: "me", Why: "a test"}
	l := newLoop(c)
	var p Published
	for range 10 {
		p = c.tick(t, l)
	}
	require.Equal(t, 3, p.Result.Width)
	c.now = c.now.Add(time.Minute)
	for range 20 {
		p = c.tick(t, l)
	}
	require.Greater(t, p.Result.Width, 3)
}

func TestWhatSlotsMeasureIsMergedAndNothingIsLostWhenTheLedgerIsAway(t *testing.T) {
	t.Parallel()
	c := evening()
	l := &Learner{Store: c}
	l.Learn("users", Sample{Rows: 1000, Time: time.Second}, c.now)
	c.err = errors.New("down")
	require.Error(t, l.Flush(t.Context()))
	c.err = nil
	l.Learn("users", Sample{Rows: 1000, Time: time.Second}, c.now)
	require.NoError(t, l.Flush(t.Context()))
	require.InDelta(t, 2000, c.rates["users"].Rows, 0)
	require.NoError(t, l.Flush(t.Context()))
	require.InDelta(t, 2000, c.rates["users"].Rows, 0, "and nothing is merged twice")
}

// learn makes what a row of users costs known today.
func (c *cluster) learn(cost float64) {
	r := learned(cost, 64)
	r.At = c.now
	c.rates["users"] = r
}

// tonight is a run that is small by what is known, and may begin at any time.
func (c *cluster) tonight(t *testing.T) *Loop {
	t.Helper()
	c.learn(1e-4)
	c.work = []ledger.OpenWork{{RunID: "r1", Epoch: 3, Dataset: "users", StartsAt: c.now.Add(3 * time.Hour), Deadline: c.now.Add(170 * time.Minute),
		PlannedStart: c.now.Add(10 * time.Minute), Units: 100, RowsEstimated: 1_000_000, Longest: 10_000}}
	l := newLoop(c)
	l.Policy.Lead = 170 * time.Minute
	return l
}

func TestTheLeaderMovesStartsAsLateAsIsSafeAndForwardWhenThereIsMoreToDo(t *testing.T) {
	t.Parallel()
	c := evening()
	l := c.tonight(t)
	first := c.work[0].PlannedStart
	for range 20 {
		c.tick(t, l)
	}
	require.Len(t, c.moves, 1, "a plan that is made again moves nothing")
	require.Equal(t, ledger.Move{RunID: "r1", Epoch: 3, From: first, To: c.work[0].PlannedStart}, c.moves[0])
	require.Equal(t, c.work[0].Deadline.Add(-35*time.Minute), c.work[0].PlannedStart, "the cushion, and room for the plan to waver")

	c.learn(1e-2) // a hundred times as much
	for range 20 {
		c.tick(t, l)
	}
	require.Len(t, c.moves, 2)
	require.True(t, c.moves[1].To.Before(c.moves[0].To.Add(-time.Hour)))

	c.work[0].Urgent, c.work[0].PlannedStart = true, c.now.Add(-time.Second)
	c.learn(1e-4)
	for range 20 {
		c.tick(t, l)
	}
	require.Len(t, c.moves, 2, "what is urgent, or has begun, stays")
}

func TestTheFirstRunOfADatasetThatNothingWasLearnedOfTodayIsAProbe(t *testing.T) {
	t.Parallel()
	c := evening()
	open := []ledger.OpenWork{
		{RunID: "r1", Dataset: "staff", StartsAt: c.now.Add(4 * time.Hour), Deadline: c.now.Add(230 * time.Minute)},
		{RunID: "r1", Dataset: "users", StartsAt: c.now.Add(4 * time.Hour), Deadline: c.now.Add(230 * time.Minute)},
		{RunID: "r2", Dataset: "users", StartsAt: c.now.Add(4 * time.Hour), Deadline: c.now.Add(230 * time.Minute)},
		{RunID: "r3", Dataset: "goods", StartsAt: c.now.Add(5 * time.Hour), Deadline: c.now.Add(290 * time.Minute)},
	}
	p := Policy{Lead: 3 * time.Hour}.Fill()
	today := learned(1e-4, 64)
	today.At = c.now.Add(-time.Hour)
	rates := map[string]Rate{"staff": today, "users": today}
	probes := func() (of []string) {
		for _, w := range WorksOf(open, rates, c.now, p) {
			if w.Probe {
				of = append(of, w.Run)
			}
		}
		return of
	}
	require.Equal(t, []string{"r3"}, probes(), "it was never loaded")
	rates["goods"] = today
	require.Empty(t, probes())
	today.At = c.now.Add(-20 * time.Hour)
	rates["users"] = today
	require.Equal(t, []string{"r1"}, probes(), "the others wait for what it learns")
	works := WorksOf(open, rates, c.now, p)
	slots := Schedule(c.now, works, 20, p)
	require.Equal(t, works[0].Earliest, slots[0].Start)
	require.True(t, slots[1].Start.After(works[1].Earliest.Add(time.Hour)))
}

func TestALateRunIsToldBeforeItIsLateAndOnce(t *testing.T) {
	t.Parallel()
	c := evening()
	c.rates["users"] = learned(1e-4, 64)
	c.work[0].RowsEstimated, c.work[0].ShopID, c.work[0].BroadcastID = 2_000_000_000, "1001", "b-1" // 64 slots take an hour
	c.work = c.work[:1]
	l := newLoop(c)
	told := func() (of []alert.Alert) {
		for _, a := range l.Alerts.Recent() {
			if a.Name == alert.RunWillBeLate {
				of = append(of, a)
			}
		}
		return of
	}
	for range 2 * planTicks {
		c.tick(t, l)
	}
	require.Empty(t, told(), "once or twice may be a moment's doubt")
	for range 5 * planTicks {
		c.tick(t, l)
	}
	require.Len(t, told(), 1)
	a := told()[0]
	require.Equal(t, "1001", a.Shop)
	require.Equal(t, "r1", a.Run)
	require.Contains(t, a.Summary, "late")
	require.Contains(t, a.Remedy, "starts")
}

func TestADoubtIsToldWhenItIsSureUntilItIsOver(t *testing.T) {
	t.Parallel()
	var d doubt
	see := func(n int, late time.Duration) bool {
		for range n {
			d = d.see(Verdict{Margin: -late})
		}
		return d.told
	}
	require.False(t, see(2, time.Minute))
	require.False(t, see(1, -time.Minute))
	require.False(t, see(2, time.Minute), "never three in a row")
	require.True(t, see(1, time.Minute))
	for range 20 { // it wavers
		require.True(t, see(calmed-1, -time.Minute))
		require.True(t, see(1, time.Minute))
	}
	require.False(t, see(calmed, 0))
	require.Equal(t, doubt{}, d)
}

func TestASignalThatStopsIsObeyedBetweenTwoDecisionsAndLevelsAreKept(t *testing.T) {
	t.Parallel()
	c := evening()
	c.levels = []byte(`{"redis_latency{cache}": {"value": 0.001, "samples": 20}}`)
	l := newLoop(c)
	l.Watch.Add(guard.RedisLatency("cache", config.Defaults().Guard.RedisLatency), nil)
	took := 0.001
	var asked, alone []string
	l.Feel = func(_ context.Context, pods []string) Felt {
		asked = pods
		l.Watch.Observe("redis_latency{cache}", took, time.Now())
		return Felt{Alone: alone}
	}
	require.False(t, l.feel(t.Context()))
	alone = []string{"main"}
	require.True(t, l.feel(t.Context()), "pages may be larger at once")
	require.Equal(t, alone, c.tick(t, l).Alone)
	require.False(t, l.feel(t.Context()))
	alone = nil
	require.True(t, l.feel(t.Context()), "somebody reads")
	require.Empty(t, c.tick(t, l).Alone)
	c.tick(t, l)
	require.False(t, l.feel(t.Context()))
	require.Equal(t, []string{"a", "b"}, asked)
	took = 10
	require.False(t, l.feel(t.Context()), "one slow answer is no emergency")
	require.True(t, l.feel(t.Context()), "the level was known from before, and this is far above it")
	require.True(t, c.tick(t, l).Result.Paused)
	require.False(t, l.feel(t.Context()), "it is stopped")
	for range keepEvery {
		c.tick(t, l)
	}
	require.Contains(t, string(c.levels), `"redis_latency{cache}":{"value":0.00`)
}

func TestBusyPodsHoldTheWidthAndMoreOfThemAreWanted(t *testing.T) {
	t.Parallel()
	c := evening()
	l := newLoop(c)
	l.Watch.Add(guard.PodsBusy(8), nil)
	var p Published
	for range 3 {
		l.Watch.Observe("pods_busy", 2, time.Now())
		p = c.tick(t, l)
	}
	grown := p.Result.Width
	require.Greater(t, grown, 1)
	for range 10 { // the average rises
		l.Watch.Observe("pods_busy", 20, time.Now())
	}
	for range 10 {
		p = c.tick(t, l)
	}
	require.Equal(t, grown, p.Result.Width)
	require.Equal(t, BindsPods, p.Result.Binds)
	require.Contains(t, p.Result.Reason, "pods_busy")
	require.Greater(t, p.State.PodsAsked, len(p.Pods))
}

func TestTheLeaderTakesSlotsBackThatBringNothing(t *testing.T) {
	t.Parallel()
	c := evening()
	l := newLoop(c)
	l.Watch.Add(guard.PodsBusy(8), nil)
	l.Feel = func(context.Context, []string) Felt { // two slots do all that can be done
		width := 1
		if c.published != nil {
			width = c.published.Result.Width
		}
		return Felt{Done: 1e6 * float64(min(width, 2)), Spent: float64(width)}
	}
	tried := false
	for c.published == nil || !strings.Contains(c.published.Result.Reason, "3 did 1.00 times what 2 did and a row took the servers 1.50 times as long") {
		require.Less(t, c.now, evening().now.Add(10*time.Minute))
		l.Watch.Observe("pods_busy", 6, time.Now())
		for range Tick / feelEvery {
			l.feel(t.Context())
		}
		p := c.tick(t, l)
		tried = tried || p.State.Gain.Trying > 0
	}
	require.True(t, tried)
	require.Equal(t, 2, c.published.Result.Width)
	require.InDelta(t, 1e-6, c.published.State.Gain.Cost, 1e-9)

	next := newLoop(c)
	next.Watch.Add(guard.PodsBusy(8), nil)
	require.Equal(t, 2, c.tick(t, next).Result.Width, "the next leader knows")
}

func TestATrialThatThePodsHaveNotHeardOfTellsNothing(t *testing.T) {
	t.Parallel()
	for _, more := range []bool{false, true} {
		c := evening()
		l := newLoop(c)
		l.Watch.Add(guard.PodsBusy(8), nil)
		l.Feel = func(context.Context, []string) Felt { // every slot brings rows
			width := 1
			if c.published != nil {
				width = c.published.Result.Width
			}
			return Felt{Done: 1e6 * float64(width)}
		}
		tick := func() {
			l.Watch.Observe("pods_busy", 6, time.Now())
			for range Tick / feelEvery {
				l.feel(t.Context())
			}
			c.now = c.now.Add(Tick)
			require.ErrorIs(t, l.Once(t.Context()), c.deaf)
		}
		deaf := errors.New("no route to the queue")
		if tick(); more { // fewer are known to do less
			l.state.Gain.Again = c.now.Add(time.Hour)
		}
		for ; l.state.Gain.Trying == 0; tick() {
			require.Less(t, c.now, evening().now.Add(10*time.Minute))
			if c.deaf = nil; l.state.Gain.For >= gainSpan-Tick { // the next decision may begin one
				c.deaf = deaf
			}
		}
		trying, base := l.state.Gain.Trying, l.state.Gain.Base
		require.Equal(t, more, trying > base)
		require.Equal(t, base, c.published.Result.Width, "of which the pods have not heard")
		for range 20 {
			tick()
		}
		require.Equal(t, trying, l.state.Gain.Trying)
		c.deaf = nil
		for l.state.Gain.Trying == trying {
			require.Less(t, c.now, evening().now.Add(20*time.Minute))
			tick()
		}
		require.Zero(t, l.state.Gain.Enough, "heard: more are needed")
	}
}

func TestAHandOnTheWidthIsFeltBetweenTwoDecisions(t *testing.T) {
	t.Parallel()
	c := evening()
	l := newLoop(c)
	c.tick(t, l)
	require.False(t, l.feel(t.Context()))
	c.override = &Override{Pause: true, Until: c.now.Add(time.Hour), Who: "anna", Why: "maintenance"}
	require.True(t, l.feel(t.Context()), "set")
	c.tick(t, l)
	require.False(t, l.feel(t.Context()))
	c.override = &Override{Pin: 3, Until: c.now.Add(time.Hour), Who: "anna", Why: "maintenance"}
	require.True(t, l.feel(t.Context()), "changed")
	c.tick(t, l)
	c.override = nil
	require.True(t, l.feel(t.Context()), "set free")
	c.tick(t, l)
	c.err = errors.New("no route")
	require.False(t, l.feel(t.Context()), "what cannot be read is no change")
}
