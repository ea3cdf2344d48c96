package upkeep_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/internal/upkeep"
	"github.com/prewarm-go/prewarm/tasks"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// settled records what the reconciliation wants done outside the ledger.
type settled map[string]ledger.Settled

func (s settled) Ended(_ context.Context, run ledger.Run, _ string) error {
	s[run.ID] = "ended"
	return nil
}

func (s settled) Settle(_ context.Context, run string, what ledger.Settled) error {
	s[run] = what
	return nil
}

func (s settled) Unready(_ context.Context, run string) error {
	s[run] = "unready"
	return nil
}

// bench is a reconciler on real servers, and one planned run of three units.
type bench struct {
	*upkeep.Reconciler
	t       *testing.T
	queue   *queue.Queue
	settled settled
	flags   *cache.Flags
	cache   *cache.Writer
	big     *cache.Writer // of units that are in it; nil: there is none
	nodes   []redisconn.Node
	run     ledger.Run
	flush   func()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	require.NoError(t, store.Migrate(t.Context()))
	client, err := redisconn.Open(t.Context(), "queue", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	q := queue.New(client)
	b := &bench{t: t, queue: q, settled: settled{}, flags: cache.NewFlags(client), cache: cache.New(client), flush: func() { require.NoError(t, client.FlushDB(context.Background()).Err()) }}
	b.Reconciler = &upkeep.Reconciler{
		Ledger: store, Queue: q, Tasks: &plan.Tasks{Queue: q, Attempts: 2}, TaskID: plan.TaskID, PlanID: plan.IDOf, Watch: config.Watch{NoProgress: time.Hour, Overtime: time.Hour, AtLeast: time.Minute}, Settler: b.settled, Flags: b.flags,
		Caches: map[string]upkeep.Cache{config.MainCache: {Stamps: cache.New(client), Nodes: func(context.Context) ([]redisconn.Node, error) { return b.nodes, nil }}},
		Alerts: alert.New(alert.Config{Log: slog.New(slog.DiscardHandler)}), PodDead: time.Hour, Attempts: 2,
		Log: slog.New(slog.DiscardHandler), Actions: upkeep.NewActions(prometheus.NewRegistry()),
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	b.run, _, err = store.Create(t.Context(), ledger.Run{
		ID: "0123456789abcdef0123456789abcdef", ShopID: "1", BroadcastID: "b", State: ledger.RunPlanned,
		StartsAt: now.Add(time.Hour), EndsAt: now.Add(2 * time.Hour), Deadline: now.Add(50 * time.Minute), PlannedStart: now,
	})
	require.NoError(t, err)
	require.NoError(t, store.WritePlan(t.Context(), b.run.ID, 1, ledger.Kept{}, []ledger.Unit{{Dataset: "a"}, {Dataset: "b"}, {Dataset: "c"}}))
	return b
}

func (b *bench) once() {
	b.t.Helper()
	require.NoError(b.t, b.Once(b.t.Context()))
}

func (b *bench) live() int {
	b.t.Helper()
	n := 0
	for _, name := range []string{tasks.QueueWarm, tasks.QueueUrgent} {
		ids, err := b.queue.LiveTasks(b.t.Context(), name)
		require.NoError(b.t, err)
		n += len(ids)
	}
	return n
}

func (b *bench) unit(n int) ledger.Unit {
	b.t.Helper()
	u, err := b.Ledger.Unit(b.t.Context(), b.run.ID, 1, n)
	require.NoError(b.t, err)
	return u
}

func TestALostQueueIsRefilledOnceAndUnderNewNumbers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.once() // a planner that died behind its commit
	require.Equal(t, 3, b.live())
	require.Equal(t, 1, b.unit(0).TaskSeq)
	b.once()
	require.Equal(t, 1, b.unit(0).TaskSeq, "units that have a task are left alone")
	b.flush()
	b.once()
	require.Equal(t, 3, b.live())
	require.Equal(t, 2, b.unit(0).TaskSeq)
}

func TestADeadPodsUnitGoesToOthersUntilItsAttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.once()
	claim := func() ledger.Unit {
		u, err := b.Ledger.Claim(t.Context(), b.run.ID, 1, 0, b.unit(0).TaskSeq, "pod-a")
		require.NoError(t, err)
		return u
	}
	require.NoError(t, b.Ledger.Beat(t.Context(), ledger.Pod{ID: "pod-a"}))
	first := claim()
	b.once()
	require.Equal(t, ledger.UnitRunning, b.unit(0).State, "its pod lives")
	require.NoError(t, b.Ledger.Leave(t.Context(), "pod-a"))
	b.once()
	require.Equal(t, ledger.UnitWaiting, b.unit(0).State)
	require.ErrorIs(t, b.Ledger.Checkpoint(t.Context(), first, nil), ledger.ErrFenced)
	claim()
	b.once()
	require.Equal(t, ledger.UnitFailed, b.unit(0).State)
	require.Contains(t, b.unit(0).LastError, "its pod died")
}

func TestAReadyRunWithoutItsFlagIsSettledAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 3 {
		u, err := b.Ledger.Claim(t.Context(), b.run.ID, 1, i, 0, "pod-a")
		require.NoError(t, err)
		_, err = b.Ledger.Finish(t.Context(), u, nil)
		require.NoError(t, err)
	}
	b.once()
	require.Equal(t, settled{b.run.ID: ledger.NowReady}, b.settled)
	flag := cache.Ready{Shop: "1", Broadcast: "b", Run: b.run.ID, StartsAt: b.run.StartsAt, EndsAt: b.run.EndsAt}
	require.NoError(t, b.flags.SetReady(t.Context(), flag))
	delete(b.settled, b.run.ID)
	b.once()
	require.Empty(t, b.settled)

	b.flush()
	b.once()
	require.Equal(t, settled{b.run.ID: ledger.NowReady}, b.settled, "the queue's Redis was lost")

	require.NoError(t, b.flags.SetReady(t.Context(), flag))
	require.NoError(t, b.Ledger.Cancel(t.Context(), b.run.ID, ledger.By{Who: "test"}))
	b.once()
	require.Equal(t, settled{b.run.ID: "unready"}, b.settled, "the flag outlived its run")
}

func TestAUnitThatStandsStillOnALivingPodIsTakenOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Watch = config.Watch{NoProgress: time.Hour, Overtime: time.Hour, AtLeast: time.Hour}
	require.NoError(t, b.Ledger.Beat(t.Context(), ledger.Pod{ID: "pod-a"}))
	u, err := b.Ledger.Claim(t.Context(), b.run.ID, 1, 0, 0, "pod-a")
	require.NoError(t, err)
	b.once()
	require.Equal(t, ledger.UnitRunning, b.unit(0).State)
	b.Watch = config.Watch{NoProgress: time.Nanosecond, Overtime: time.Nanosecond, AtLeast: time.Nanosecond}
	b.once()
	require.Equal(t, ledger.UnitWaiting, b.unit(0).State)
	require.Contains(t, b.unit(0).LastError, "no progress")
	require.Equal(t, u.Claim, b.unit(0).Recovers)
	require.ErrorIs(t, b.Ledger.Checkpoint(t.Context(), u, nil), ledger.ErrFenced)
	require.Equal(t, 3, b.live(), "it is enqueued at once")
	events, err := b.Ledger.Timeline(t.Context(), b.run, 100)
	require.NoError(t, err)
	var stages []string
	for _, e := range events {
		stages = append(stages, e.Stage)
	}
	require.Contains(t, stages, ledger.StageTakenOver)
	require.Contains(t, stages, ledger.StageOvertime)
	b.once()
	again, err := b.Ledger.Timeline(t.Context(), b.run, 100)
	require.NoError(t, err)
	require.Len(t, again, len(events), "overtime is told once")
}

func TestARunWhoseBroadcastIsOverIsClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	require.NoError(t, b.Ledger.Reschedule(t.Context(), b.run, ledger.Times{StartsAt: now.Add(-2 * time.Hour), EndsAt: now.Add(-time.Hour),
		Deadline: now.Add(-2 * time.Hour), PlannedStart: now.Add(-3 * time.Hour)}, "r"))
	b.once()
	require.Equal(t, settled{b.run.ID: "ended"}, b.settled)
	require.Zero(t, b.live(), "nothing is enqueued for it")
}

func TestWhatIsPausedIsNotEnqueued(t *testing.T) {
	t.Parallel()
	for on, others := range map[ledger.Scope]int{
		{Kind: ledger.ScopeAll}: 0, {Kind: ledger.ScopeShop, ID: "1"}: 0, {Kind: ledger.ScopeRun, ID: "0123456789abcdef0123456789abcdef"}: 0,
		{Kind: ledger.ScopeDataset, ID: "a"}: 2,
	} {
		b := newBench(t)
		require.NoError(t, b.Ledger.Pause(t.Context(), on, ledger.By{Who: "test"}))
		b.once()
		require.Equal(t, others, b.live(), on)
		require.NoError(t, b.Ledger.Resume(t.Context(), on, ledger.By{Who: "test"}))
		b.once()
		require.Equal(t, 3, b.live(), on)
	}
}

func TestAnAnnouncementInTheHandsOfADeadPodIsCopiedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.queue.EnqueueRequest(t.Context(), tasks.Request{})
	require.NoError(t, err)
	b.Queue = stuck{b.queue}
	requests := func() int {
		ids, err := b.queue.LiveTasks(t.Context(), tasks.QueueIntake)
		require.NoError(t, err)
		return len(ids)
	}
	b.once()
	b.once()
	require.Equal(t, 1, requests(), "its handler may be slow")
	b.once()
	require.Equal(t, 2, requests())
	b.once()
	require.Equal(t, 2, requests(), "the copy gets its own chance")
}

func TestAPlanInTheHandsOfADeadPodIsMadeByAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	require.NoError(t, b.Ledger.Restart(t.Context(), b.run.ID, ledger.By{Who: "test"}))
	run, err := b.Ledger.Run(t.Context(), b.run.ID)
	require.NoError(t, err)
	require.NoError(t, (&plan.Tasks{Queue: b.queue, Attempts: 2}).Plan(t.Context(), run))
	b.Queue = stuck{b.queue}
	plans := func() int {
		ids, err := b.queue.LiveTasks(t.Context(), tasks.QueueIntake)
		require.NoError(t, err)
		return len(ids)
	}
	require.Eventually(t, func() bool { // a run counts as unplanned after 5 s
		b.once()
		return plans() == 2
	}, 20*time.Second, 500*time.Millisecond)
}

// stuck is a queue whose tasks are all active, as after the death of a pod that had pulled and not yet claimed them.
type stuck struct{ *queue.Queue }

func (s stuck) LiveTasks(ctx context.Context, name string) (map[string]queue.LiveTask, error) {
	live, err := s.Queue.LiveTasks(ctx, name)
	for id := range live {
		live[id] = queue.LiveTask{State: queue.Active}
	}
	return live, err
}

func TestATaskThatIsActiveTwiceWithoutAClaimIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.once()
	b.Queue = stuck{b.queue}
	b.once()
	require.Equal(t, 1, b.unit(0).TaskSeq, "its handler may be about to claim")
	b.once()
	require.Equal(t, 2, b.unit(0).TaskSeq)
	b.once()
	require.Equal(t, 2, b.unit(0).TaskSeq, "the new task gets its own chance")
}

// loaded loads all three units, each with a stamp in the cache.
func (b *bench) loaded() { b.loadedAgain(0, 1, 2) }

func (b *bench) loadedAgain(units ...int) {
	b.t.Helper()
	for _, i := range units {
		u, err := b.Ledger.Claim(b.t.Context(), b.run.ID, b.run.Epoch, i, b.unit(i).TaskSeq, "pod-a")
		require.NoError(b.t, err)
		u.Pages++
		u.RowsDone++
		page := &cache.Batch{Stamp: &cache.Stamp{RunMark: cache.RunMark{Run: u.RunID, Epoch: u.Epoch}, Unit: i, Value: cache.StampValue(u.Claim, 1), Known: u.Marked}}
		u.Marked = page.Stamp.Value
		page.Begin(cache.Set)
		page.Buf = append(page.Buf, "key"...)
		page.EndArg()
		page.EndArg()
		page.End()
		to := b.cache
		if u.Cache == "big" {
			to = b.big
		}
		require.NoError(b.t, to.Write(b.t.Context(), page, cache.Expiry{Until: b.run.EndsAt}))
		_, err = b.Ledger.Finish(b.t.Context(), u, nil)
		require.NoError(b.t, err)
	}
}

func (b *bench) state() ledger.RunState {
	b.t.Helper()
	run, err := b.Ledger.Run(b.t.Context(), b.run.ID)
	require.NoError(b.t, err)
	return run.State
}

func TestWhatACacheHasLostIsLoadedAgainAndNotForEver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.loaded()
	b.once()
	require.Equal(t, ledger.RunReady, b.state())
	for range 3 {
		b.flush()
		b.once()
		require.Equal(t, ledger.RunWarming, b.state())
		require.Equal(t, "unready", string(b.settled[b.run.ID]))
		require.Equal(t, 3, b.live())
		require.Zero(t, b.unit(1).RowsDone)
		b.loaded()
	}
	require.Equal(t, ledger.RunReady, b.state())
	b.flush()
	b.once()
	require.Equal(t, ledger.RunFailed, b.state(), "three times are enough")
	require.NoError(t, b.Ledger.Retry(t.Context(), b.run.ID, nil, ledger.By{Who: "test"}))
	require.Equal(t, ledger.RunWarming, b.state(), "it is not ready by what it had loaded once")
}

func TestEvictionTakesReadinessBackAndWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.nodes = []redisconn.Node{{Addr: "a", Start: "x", Evicted: 5}}
	b.loaded()
	b.once()
	require.Equal(t, ledger.RunReady, b.state(), "what was evicted before it was first seen is not known")
	b.nodes = []redisconn.Node{{Addr: "a", Start: "x", Evicted: 6}}
	b.once()
	require.Equal(t, ledger.RunWarming, b.state())
	run, err := b.Ledger.Run(t.Context(), b.run.ID)
	require.NoError(t, err)
	require.Greater(t, time.Until(run.PlannedStart), 30*time.Second)
	b.once()
	again, err := b.Ledger.Losses(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, 1, again, "what is not loaded cannot be lost")
}

func TestATaskThatAPodWithAWrongClockPutOffIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	due, err := b.Ledger.WaitingOf(t.Context(), b.run)
	require.NoError(t, err)
	due[0].PlannedStart = time.Now().Add(10 * time.Minute)
	require.NoError(t, (&plan.Tasks{Queue: b.queue, Attempts: 2}).Units(t.Context(), due))
	b.once()
	require.Equal(t, []int{1, 0, 0}, []int{b.unit(0).TaskSeq, b.unit(1).TaskSeq, b.unit(2).TaskSeq})
}

func TestAUnitThatFailedAtAMovedEndIsTriedAgainAfterTheLongestWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	claim := func(n int) ledger.Unit {
		u, err := b.Ledger.Claim(t.Context(), b.run.ID, 1, n, b.unit(n).TaskSeq, "pod-a")
		require.NoError(t, err)
		return u
	}
	for i := range 3 {
		_, err := b.Ledger.Finish(t.Context(), claim(i), nil)
		require.NoError(t, err)
	}
	run, err := b.Ledger.Run(t.Context(), b.run.ID)
	require.NoError(t, err)
	require.NoError(t, b.Ledger.Reschedule(t.Context(), run, ledger.Times{StartsAt: run.StartsAt, EndsAt: run.EndsAt.Add(time.Hour),
		Deadline: run.Deadline, PlannedStart: run.PlannedStart}, "r"))
	_, err = b.Ledger.Fail(t.Context(), claim(0), "broken", true)
	require.NoError(t, err)
	b.BackoffMax = time.Hour
	b.once()
	require.Equal(t, ledger.UnitFailed, b.unit(0).State)
	require.Equal(t, 2, b.live())
	b.BackoffMax = 0
	b.once()
	require.Equal(t, ledger.UnitWaiting, b.unit(0).State)
	require.True(t, b.unit(0).Touch)
	require.Equal(t, 3, b.live(), "it has a task again")
}
