package upkeep_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
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

func (s settled) Settle(_ context.Context, run string, what ledger.Settled) error {
	s[run] = what
	return nil
}

// bench is a reconciler on real servers, and one planned run of three units.
type bench struct {
	*upkeep.Reconciler
	t       *testing.T
	queue   *queue.Queue
	settled settled
	run     ledger.Run
	flush   func()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := ledger.Open(t.Context(), testenv.MySQL(t), 4)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	require.NoError(t, store.Migrate(t.Context()))
	client, err := redisconn.Open(t.Context(), "queue", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	q := queue.New(client)
	b := &bench{t: t, queue: q, settled: settled{}, flush: func() { require.NoError(t, client.FlushDB(context.Background()).Err()) }}
	b.Reconciler = &upkeep.Reconciler{
		Ledger: store, Queue: q, Tasks: &plan.Tasks{Queue: q, Attempts: 2}, TaskID: plan.TaskID, Settler: b.settled,
		Alerts: alert.New(alert.Config{Log: slog.New(slog.DiscardHandler)}), PodDead: time.Hour, Attempts: 2,
		Log: slog.New(slog.DiscardHandler), Actions: upkeep.NewActions(prometheus.NewRegistry()),
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	b.run, _, err = store.Create(t.Context(), ledger.Run{
		ID: "0123456789abcdef0123456789abcdef", ShopID: "1", BroadcastID: "b", State: ledger.RunPlanned,
		StartsAt: now.Add(time.Hour), EndsAt: now.Add(2 * time.Hour), Deadline: now.Add(50 * time.Minute), PlannedStart: now,
	})
	require.NoError(t, err)
	require.NoError(t, store.WritePlan(t.Context(), b.run.ID, 1, []ledger.Unit{{Dataset: "a"}, {Dataset: "b"}, {Dataset: "c"}}))
	return b
}

func (b *bench) once() {
	b.t.Helper()
	require.NoError(b.t, b.Once(b.t.Context()))
}

func (b *bench) live() int {
	b.t.Helper()
	ids, err := b.queue.LiveIDs(b.t.Context(), tasks.QueueWarm)
	require.NoError(b.t, err)
	return len(ids)
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
	require.NoError(t, b.Ledger.Flagged(t.Context(), b.run.ID, 1))
	delete(b.settled, b.run.ID)
	b.once()
	require.Empty(t, b.settled)
}

// stuck is a queue whose tasks are all active, as after the death of a pod that had pulled and not yet claimed them.
type stuck struct{ *queue.Queue }

func (s stuck) LiveIDs(ctx context.Context, name string) (map[string]queue.State, error) {
	ids, err := s.Queue.LiveIDs(ctx, name)
	for id := range ids {
		ids[id] = queue.Active
	}
	return ids, err
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
