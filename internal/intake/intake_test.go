package intake

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/tasks"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fakeShops knows shops by their rows; an id with letters cannot be a shop's.
type fakeShops map[string]int64

func (f fakeShops) CheckShop(id string) error {
	if strings.ContainsAny(id, "abcdefghijklmnopqrstuvwxyz") {
		return errors.New("is not an integer")
	}
	return nil
}

func (f fakeShops) Known(_ context.Context, shop string) (bool, error) {
	_, ok := f[shop]
	return ok, nil
}

func (f fakeShops) Estimate(ctx context.Context, shop string) (map[string]int64, error) {
	n, err := f.Rows(ctx, shop, 1<<40)
	return map[string]int64{"users": n}, err
}

func (f fakeShops) Rows(_ context.Context, shop string, upTo int64) (int64, error) {
	return min(f[shop], upTo), nil
}

// fakeTasks keeps what was enqueued; it also stands for the leases.
type fakeTasks struct {
	mu       sync.Mutex
	plans    []string // runs
	units    []ledger.Due
	released []string // runs
	err      error
}

func (f *fakeTasks) Plan(_ context.Context, run ledger.Run) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = append(f.plans, run.ID)
	return f.err
}

func (f *fakeTasks) Nudge(context.Context) error { return nil }

func (f *fakeTasks) Units(_ context.Context, due []ledger.Due) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.units = append(f.units, due...)
	return f.err
}

func (f *fakeTasks) Release(_ context.Context, _, run string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.released = append(f.released, run)
	return nil
}

// env is an Intake on a real ledger and real flags.
type env struct {
	*Intake
	flags *cache.Flags
	tasks *fakeTasks
	now   time.Time
}

func newEnv(t *testing.T) *env {
	t.Helper()
	store, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 16})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	client, err := redisconn.Open(t.Context(), "queue", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	e := &env{flags: cache.NewFlags(client), tasks: &fakeTasks{}, now: time.Now().UTC().Truncate(time.Second)}
	e.Intake = New(Config{
		Ledger: store, Shops: fakeShops{"1001": 10_000, "1002": 10_000, "7": 12}, Flags: e.flags, Leases: e.tasks, Tasks: e.tasks,
		Alerts: alert.New(alert.Config{Log: slog.New(slog.DiscardHandler)}), Policy: policy(), Log: slog.New(slog.DiscardHandler), Count: func(string) {},
	})
	return e
}

// broadcast is one of tonight's.
func (e *env) broadcast(shop string) tasks.Broadcast {
	return tasks.Broadcast{BroadcastID: "b-1", ShopID: shop, StartsAt: e.now.Add(7 * time.Hour), EndsAt: e.now.Add(11 * time.Hour)}
}

func (e *env) send(t *testing.T, all ...tasks.Broadcast) []Outcome {
	t.Helper()
	body, err := json.Marshal(tasks.Request{RequestID: "r-1", Broadcasts: all})
	require.NoError(t, err)
	a, err := e.Accept(t.Context(), body, "test")
	require.NoError(t, err)
	require.Equal(t, "r-1", a.RequestID)
	require.Len(t, a.Outcomes, len(all))
	return a.Outcomes
}

func (e *env) one(t *testing.T, want string, b tasks.Broadcast) (Outcome, ledger.Run) {
	t.Helper()
	o := e.send(t, b)[0]
	require.Equal(t, want, o.Outcome, o.Reason)
	if o.RunID == "" {
		return o, ledger.Run{}
	}
	run, err := e.Ledger.Run(t.Context(), o.RunID)
	require.NoError(t, err)
	return o, run
}

// load takes the run of two units to where one is done and one fails or is done.
func (e *env) load(t *testing.T, run ledger.Run, fails bool) ledger.Run {
	t.Helper()
	require.NoError(t, e.Ledger.WritePlan(t.Context(), run.ID, run.Epoch, ledger.Kept{}, []ledger.Unit{{Dataset: "shop"}, {Dataset: "users"}}))
	for n := range 2 {
		u, err := e.Ledger.Claim(t.Context(), run.ID, run.Epoch, n, 0, "pod")
		require.NoError(t, err)
		if fails && n == 1 {
			_, err = e.Ledger.Fail(t.Context(), u, "boom", true)
			require.NoError(t, err)
			continue
		}
		u.Cursor, u.Pages, u.RowsDone = `["5"]`, 1, 5
		_, err = e.Ledger.Finish(t.Context(), u, nil)
		require.NoError(t, err)
	}
	after, err := e.Ledger.Run(t.Context(), run.ID)
	require.NoError(t, err)
	return after
}

// ready loads the run and sets its flag.
func (e *env) ready(t *testing.T, run ledger.Run) ledger.Run {
	t.Helper()
	run = e.load(t, run, false)
	require.Equal(t, ledger.RunReady, run.State)
	require.NoError(t, e.flags.SetReady(t.Context(), cache.Ready{Shop: run.ShopID, Broadcast: run.BroadcastID, Run: run.ID,
		StartsAt: run.StartsAt, EndsAt: run.EndsAt, Rows: 7, Datasets: map[string]time.Time{"users": e.now}, Caches: map[string]string{"users": "east"}}))
	require.NoError(t, e.Ledger.Flagged(t.Context(), run.ID, run.Epoch))
	return run
}

func (e *env) flag(t *testing.T, b tasks.Broadcast) *cache.Ready {
	t.Helper()
	r, err := e.flags.Ready(t.Context(), b.ShopID, b.BroadcastID)
	require.NoError(t, err)
	return r
}

func TestANewBroadcastIsAcceptedAndItsPlanEnqueued(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	o, run := e.one(t, Accepted, e.broadcast("1001"))
	require.Equal(t, ledger.RunPlanned, run.State)
	require.Equal(t, e.now.Add(7*time.Hour-10*time.Minute), run.Deadline)
	require.Equal(t, []string{o.RunID}, e.tasks.plans)
}

func TestABroadcastIsAcceptedThoughItCannotBeEnqueued(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.tasks.err = errors.New("the queue is away")
	_, run := e.one(t, Accepted, e.broadcast("1001"))
	require.Equal(t, ledger.RunPlanned, run.State)
}

func TestDuplicatesAreToldFromTheLedgerAndFromTheFlagAndRaiseAnAlert(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.broadcast("1001")
	first, run := e.one(t, Accepted, b)
	require.Empty(t, e.Alerts.Recent())
	o, _ := e.one(t, Duplicate, b)
	require.Equal(t, first.RunID, o.RunID)
	require.Len(t, e.Alerts.Recent(), 1)
	require.Equal(t, alert.Duplicate, e.Alerts.Recent()[0].Name)

	e.ready(t, run)
	o, _ = e.one(t, Duplicate, b)
	require.Equal(t, first.RunID, o.RunID)

	// The flag alone is enough: no run of the ledger is looked at.
	c := e.broadcast("1002")
	require.NoError(t, e.flags.SetReady(t.Context(), cache.Ready{Shop: "1002", Broadcast: "b-1", Run: run.ID, StartsAt: c.StartsAt, EndsAt: c.EndsAt}))
	o, _ = e.one(t, Duplicate, c)
	require.Equal(t, run.ID, o.RunID)
	require.Len(t, e.tasks.plans, 1)
}

func TestOtherTimesReschedule(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	_, run := e.one(t, Accepted, e.broadcast("1001"))
	later := moved(e.broadcast("1001"), time.Hour)
	_, after := e.one(t, Rescheduled, later)
	require.Equal(t, run.ID, after.ID)
	require.Equal(t, later.StartsAt, after.StartsAt)
	require.Equal(t, run.PlannedStart.Add(time.Hour), after.PlannedStart)

	e.ready(t, after)
	was := *e.flag(t, later)
	latest := moved(later, time.Hour)
	_, after = e.one(t, Rescheduled, latest)
	require.Equal(t, ledger.RunReady, after.State)
	want := was
	want.StartsAt, want.EndsAt = latest.StartsAt, latest.EndsAt
	require.Equal(t, want, *e.flag(t, latest), "the flag moves along, with all that it tells")
	require.Len(t, e.tasks.units, 2, "both units move the expiry of their keys")
	for _, u := range e.tasks.units {
		require.True(t, u.Touch)
	}
}

func TestAReadyRunThatIsNotAnnouncedYetIsNotAnnouncedByItsMove(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	_, run := e.one(t, Accepted, e.broadcast("1001"))
	e.load(t, run, false)
	later := moved(e.broadcast("1001"), time.Hour)
	_, after := e.one(t, Rescheduled, later)
	require.Equal(t, ledger.RunReady, after.State)
	require.Nil(t, e.flag(t, later), "its audit has not passed, say")
}

func TestCancelledCallsOffAndLetsGo(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.broadcast("1001")
	off := tasks.Broadcast{BroadcastID: b.BroadcastID, ShopID: b.ShopID, Cancelled: true}
	o, _ := e.one(t, Cancelled, off)
	require.Empty(t, o.RunID, "nothing was announced")

	_, run := e.one(t, Accepted, b)
	e.ready(t, run)
	_, run = e.one(t, Cancelled, off)
	require.Equal(t, ledger.RunCancelled, run.State)
	require.Nil(t, e.flag(t, b))
	require.Equal(t, []string{run.ID}, e.tasks.released)
	e.one(t, Duplicate, off)

	_, again := e.one(t, Accepted, b)
	require.Equal(t, run.ID, again.ID)
	require.Equal(t, run.Epoch+1, again.Epoch)
	require.Equal(t, ledger.RunPlanned, again.State)
}

func TestWhatTheQueueDeliversAgainWasHeard(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	first, moved := e.broadcast("1001"), e.broadcast("1001")
	moved.EndsAt = moved.EndsAt.Add(time.Hour)
	off := tasks.Broadcast{BroadcastID: first.BroadcastID, ShopID: first.ShopID, Cancelled: true}
	deliver := func(task string, again bool, want string, b tasks.Broadcast) ledger.Run {
		body, err := json.Marshal(tasks.Request{Broadcasts: []tasks.Broadcast{b}})
		require.NoError(t, err)
		a, err := e.Accept(ledger.OfTask(t.Context(), task, again), body, "test")
		require.NoError(t, err)
		require.Equal(t, want, a.Outcomes[0].Outcome, a.Outcomes[0].Reason)
		run, err := e.Ledger.Run(t.Context(), a.Outcomes[0].RunID)
		require.NoError(t, err)
		return run
	}
	require.Equal(t, ledger.RunPlanned, deliver("t-1", true, Accepted, first).State, "its pod was cut off before it did anything")
	require.Equal(t, ledger.RunCancelled, deliver("t-2", false, Cancelled, off).State)
	require.Equal(t, ledger.RunCancelled, deliver("t-1", true, Duplicate, first).State, "it was called off since")
	require.Equal(t, ledger.RunPlanned, deliver("t-1", false, Accepted, first).State, "a new task may have an old one's id")
	require.Equal(t, ledger.RunPlanned, deliver("t-2", true, Duplicate, off).State, "it was announced anew since")
	deliver("t-3", false, Rescheduled, moved)
	run := deliver("t-1", true, Duplicate, first)
	require.Equal(t, moved.EndsAt, run.EndsAt, "it was moved since")
	require.Equal(t, first.EndsAt, deliver("t-4", true, Rescheduled, first).EndsAt)
}

func TestAFailedRunIsResumedWhereItStopped(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.broadcast("1001")
	_, run := e.one(t, Accepted, b)
	run = e.load(t, run, true)
	require.Equal(t, ledger.RunFailed, run.State)
	o, after := e.one(t, Resumed, b)
	require.Contains(t, o.Reason, "boom")
	require.Equal(t, ledger.RunWarming, after.State)
	require.Len(t, e.tasks.units, 1, "what was done stays done")
	require.Equal(t, 1, e.tasks.units[0].Unit.Unit)
}

func TestSmallShopsAreSkippedUnlessTheyAreWanted(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.broadcast("7")
	_, run := e.one(t, Skipped, b)
	require.Equal(t, ledger.RunSkipped, run.State)
	require.EqualValues(t, 12, run.RowsEstimated)
	e.one(t, Skipped, b)
	e.one(t, Cancelled, tasks.Broadcast{BroadcastID: b.BroadcastID, ShopID: b.ShopID, Cancelled: true})
	require.Empty(t, e.tasks.plans)
	b.Tier = tasks.TierKA
	_, after := e.one(t, Accepted, b)
	require.Equal(t, run.ID, after.ID)
	require.Equal(t, []string{run.ID}, e.tasks.plans)
}

func TestABadBroadcastDoesNotSinkTheOthers(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	ends := e.broadcast("1002")
	ends.EndsAt = ends.StartsAt
	got := e.send(t, e.broadcast("1001"), ends, e.broadcast("abc"), e.broadcast("404"), e.broadcast("7"), e.broadcast("1002"))
	want := []string{Accepted, Invalid, Invalid, Invalid, Skipped, Accepted}
	for i, o := range got {
		require.Equal(t, want[i], o.Outcome, o)
		require.Equal(t, o.Outcome == Invalid, o.RunID == "")
	}
	require.Contains(t, got[3].Reason, "unknown shop")
	require.Len(t, e.tasks.plans, 2)
}

func TestOf200IdenticalRequestsAtOnceOneIsAccepted(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	body, err := json.Marshal(tasks.Request{Broadcasts: []tasks.Broadcast{e.broadcast("1001")}})
	require.NoError(t, err)
	answers := make([]Answer, 200)
	failures := make([]error, len(answers))
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i], failures[i] = e.Accept(t.Context(), body, "test") })
	}
	wg.Wait()
	count, runs := map[string]int{}, map[string]bool{}
	for i, a := range answers {
		require.NoError(t, failures[i])
		count[a.Outcomes[0].Outcome]++
		runs[a.Outcomes[0].RunID] = true
	}
	require.Equal(t, map[string]int{Accepted: 1, Duplicate: 199}, count)
	require.Len(t, runs, 1)
	require.Len(t, e.tasks.plans, 1)
	require.Len(t, e.Alerts.Recent(), 1)
}

func TestByHandAnyShopIsWarmedAtOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	o, err := e.WarmNow(t.Context(), "7", WarmNow{Who: strings.Repeat("播", 60)})
	require.NoError(t, err)
	require.Equal(t, Accepted, o.Outcome, o.Reason)
	run, err := e.Ledger.Run(t.Context(), o.RunID)
	require.NoError(t, err)
	require.True(t, run.Urgent && run.Force)
	require.Equal(t, byHandLasts, run.EndsAt.Sub(run.StartsAt))
}

func TestRestartBeginsAnewAndTakesTheFlagAway(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	b := e.broadcast("1001")
	_, run := e.one(t, Accepted, b)
	e.ready(t, run)
	require.NoError(t, e.Restart(t.Context(), run.ID, ledger.By{Who: "me"}))
	require.Nil(t, e.flag(t, b))
	require.Equal(t, []string{run.ID, run.ID}, e.tasks.plans)
	require.ErrorIs(t, e.Restart(t.Context(), strings.Repeat("0", 32), ledger.By{Who: "me"}), ledger.ErrNotFound)
	require.ErrorIs(t, e.Retry(t.Context(), run.ID, ledger.By{Who: "me"}), ledger.ErrState, "nothing has failed")
}
