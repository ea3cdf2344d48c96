package plan

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/shops"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/tasks"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fake is a dataset of a number of rows, and of shops with letters it knows nothing.
type fake struct {
	spec    dataset.Spec
	rows    int64
	counted *int64 // rows that Count was asked for
	split   func() // called before a split ends
}

func (f fake) Spec() dataset.Spec { return f.spec }

func (f fake) CheckShop(id string) error {
	if strings.ContainsAny(id, "abc") {
		return fmt.Errorf("dataset %s: %q is no shop", f.spec.Name, id)
	}
	return nil
}

func (f fake) Cutoff(_ context.Context, keep time.Duration) (column, since string, err error) {
	return "created", keep.String(), nil
}

func (f fake) Has(context.Context, string) (bool, error) { return f.rows > 0, nil }

func (f fake) Estimate(context.Context, string) (int64, error) { return f.rows, nil }

func (f fake) Count(_ context.Context, _ string, upTo int64) (int64, error) {
	if f.counted != nil {
		*f.counted += upTo
	}
	return min(f.rows, upTo), nil
}

func (f fake) Split(_ context.Context, _ string, unitRows int, most int64, yield func(source.Range) error) error {
	if f.split != nil {
		f.split()
	}
	if most > 0 && f.rows > most {
		return yield(source.Range{From: `["0"]`, Rows: most})
	}
	from := ""
	for left := f.rows; left > int64(unitRows); left -= int64(unitRows) {
		to := fmt.Sprintf(`["%d"]`, f.rows-left+int64(unitRows))
		if err := yield(source.Range{From: from, To: to, Rows: int64(unitRows)}); err != nil {
			return err
		}
		from = to
	}
	return yield(source.Range{From: from, Rows: f.rows % int64(unitRows)})
}

func users(rows int64) fake {
	return fake{spec: dataset.Spec{Name: "users", Table: "users"}, rows: rows}
}
func shop() fake { return fake{spec: dataset.Spec{Name: "shop", Query: "SELECT 1"}, rows: 1} }

type env struct {
	*Planner
	queue *queue.Queue
	redis redis.UniversalClient
}

func newEnv(t *testing.T, datasets ...Dataset) *env {
	t.Helper()
	store, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 8})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	client, err := redisconn.Open(t.Context(), "queue", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	q := queue.New(client)
	return &env{queue: q, redis: client, Planner: &Planner{Ledger: store, Datasets: datasets, UnitRows: 10,
		Tasks: &Tasks{Queue: q, Attempts: 3}, Log: slog.New(slog.DiscardHandler)}}
}

func (e *env) run(t *testing.T) ledger.Run {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	start := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	r, created, err := e.Ledger.Create(t.Context(), ledger.Run{ID: fmt.Sprintf("%x", id[:]), ShopID: "1001", BroadcastID: "b", State: ledger.RunPlanned,
		StartsAt: start, EndsAt: start.Add(time.Hour), Deadline: start.Add(-10 * time.Minute), PlannedStart: start.Add(-3 * time.Hour)})
	require.NoError(t, err)
	require.True(t, created)
	return r
}

// requirePlan checks that the run has n units and that each one's task, and no other, is in the queue.
func (e *env) requirePlan(t *testing.T, run ledger.Run, n int) {
	t.Helper()
	units, err := e.Ledger.Units(t.Context(), run.ID, run.Epoch)
	require.NoError(t, err)
	require.Len(t, units, n)
	want := map[string]queue.State{}
	for _, u := range units {
		want[tasks.LoadID(run.Deadline, run.ID, run.Epoch, u.Unit, u.TaskSeq)] = queue.Scheduled
	}
	found, err := e.queue.LiveTasks(t.Context(), tasks.QueueWarm)
	require.NoError(t, err)
	live := map[string]queue.State{}
	for id, task := range found {
		live[id] = task.State
	}
	require.Equal(t, want, live)
}

func TestAPlanIsTheSmallDatasetsAndTheRangesOfTheBig(t *testing.T) {
	t.Parallel()
	e := newEnv(t, users(25), shop())
	run := e.run(t)
	require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
	e.requirePlan(t, run, 4)
	units, err := e.Ledger.Units(t.Context(), run.ID, run.Epoch)
	require.NoError(t, err)
	require.Equal(t, "shop", units[0].Dataset)
	require.Equal(t, []string{"", `["10"]`, `["20"]`}, []string{units[1].From, units[2].From, units[3].From})
	require.Empty(t, units[3].To, "the last range is open-ended")
	run, err = e.Ledger.Run(t.Context(), run.ID)
	require.NoError(t, err)
	require.EqualValues(t, 26, run.RowsEstimated)
}

func TestTwoPlannersAtOnceWriteOnePlan(t *testing.T) {
	t.Parallel()
	var both sync.WaitGroup
	both.Add(2)
	d := users(95)
	d.split = func() { both.Done(); both.Wait() } // both have seen a run without a plan
	e := newEnv(t, d, shop())
	run := e.run(t)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = e.Plan(t.Context(), run.ID, run.Epoch) })
	}
	wg.Wait()
	require.Equal(t, []error{nil, nil}, errs)
	e.requirePlan(t, run, 11)
}

func TestAPlanWhoseTasksAreMissingIsCompletedByTheNextCall(t *testing.T) {
	t.Parallel()
	for name, enqueued := range map[string]int{"none": 0, "some": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, users(55), shop())
			run := e.run(t)
			units, err := e.split(t.Context(), run.ShopID, ledger.Kept{})
			require.NoError(t, err)
			require.NoError(t, e.Ledger.WritePlan(t.Context(), run.ID, run.Epoch, ledger.Kept{}, units))
			run, err = e.Ledger.Run(t.Context(), run.ID)
			require.NoError(t, err)
			due, err := e.Ledger.WaitingOf(t.Context(), run)
			require.NoError(t, err)
			require.NoError(t, e.Tasks.Units(t.Context(), due[:enqueued]))

			require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
			e.requirePlan(t, run, 7)
		})
	}
}

func TestARunThatHasMovedOnIsNotPlanned(t *testing.T) {
	t.Parallel()
	d := users(25)
	e := newEnv(t, d)
	run := e.run(t)
	require.NoError(t, e.Plan(t.Context(), strings.Repeat("0", 32), 1), "unknown")
	require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch+1), "another epoch")

	// Called off while its index is read.
	d.split = func() {
		require.NoError(t, e.Ledger.Cancel(t.Context(), run.ID, ledger.By{Who: "test", Why: "called off"}))
	}
	e.Datasets = []Dataset{d}
	require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
	require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
	e.requirePlan(t, run, 0)
}

func TestAPlanInHandIsBrokenOffWhenTheShopIsSwitchedOff(t *testing.T) {
	t.Parallel()
	d := users(25)
	e := newEnv(t, d)
	watch := &shops.Watch{Ledger: e.Ledger}
	e.Enter = watch.Enter
	run := e.run(t)
	e.Begin = func(ctx context.Context, shop string, _ ledger.Datasets) error {
		_, err := e.Ledger.SetShop(ctx, shop, 0, ledger.Settings{Off: true, Keys: ledger.KeysExpire}, ledger.By{Who: "test"})
		require.NoError(t, err)
		require.NoError(t, watch.Look(ctx))
		<-ctx.Done()
		return ctx.Err()
	}
	require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
	e.requirePlan(t, run, 0)
}

func TestShopsAnswerForAllDatasets(t *testing.T) {
	t.Parallel()
	var counted int64
	first, second, third := users(30), users(80), users(1000)
	third.counted = &counted
	s := Shops{Datasets: []Dataset{shop(), first, second, third}}
	require.NoError(t, s.CheckShop("1001"))
	require.Error(t, s.CheckShop("abc"))

	rows, err := s.Rows(t.Context(), "1001", 100)
	require.NoError(t, err)
	require.EqualValues(t, 100, rows)
	require.Zero(t, counted, "nothing is counted that is not needed")
	rows, err = s.Rows(t.Context(), "1001", 150)
	require.NoError(t, err)
	require.EqualValues(t, 150, rows)
	require.EqualValues(t, 40, counted)

	known, err := s.Known(t.Context(), "1001")
	require.NoError(t, err)
	require.True(t, known)
	known, err = Shops{Datasets: []Dataset{users(0)}}.Known(t.Context(), "1001")
	require.NoError(t, err)
	require.False(t, known)
}

func TestTheNewestEndIsBegunFirstIfTheDatasetSaysSo(t *testing.T) {
	t.Parallel()
	newest := users(25)
	newest.spec.Order = dataset.OrderNewest
	p := &Planner{Datasets: []Dataset{newest, shop()}, UnitRows: 10}
	units, err := p.split(t.Context(), "1001", ledger.Kept{})
	require.NoError(t, err)
	var got []string
	for _, u := range units {
		got = append(got, u.Dataset+" "+u.From+".."+u.To)
	}
	require.Equal(t, []string{"shop ..", `users ["20"]..`, `users ["10"]..["20"]`, `users ..["10"]`}, got)
}
