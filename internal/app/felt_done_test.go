package app

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/cpu"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestWhatPodsHaveDoneIsCountedOnce(t *testing.T) {
	t.Parallel()
	var f felt
	now, pods := time.Now(), []string{"a", "b"}
	since := func(done map[string]int64) float64 {
		reports := map[string]feltReport{}
		for pod, n := range done {
			reports[pod] = feltReport{tally: tally{Done: n, Spent: time.Duration(n) * time.Millisecond}}
		}
		now = now.Add(feltEvery)
		did := f.since(reports, pods, now)
		require.EqualValues(t, did.Done*int64(time.Millisecond), did.Spent)
		return float64(did.Done)
	}
	require.Zero(t, since(map[string]int64{"a": 1000}), "they may have begun long ago")
	require.InDelta(t, 10, since(map[string]int64{"a": 1010, "b": 500}), 0)
	require.InDelta(t, 5, since(map[string]int64{"b": 505}), 0, "a's report is lost")
	require.InDelta(t, 20, since(map[string]int64{"a": 1030, "b": 505}), 0)
	require.Zero(t, since(map[string]int64{"a": 3, "b": 505}), "a pod of the same name began anew")
	pods = []string{"b", "c"}
	require.InDelta(t, 1, since(map[string]int64{"b": 506, "c": 1 << 40}), 0)
	require.Len(t, f.seen, 2, "pods that are gone are forgotten")
	now = now.Add(feltFor)
	require.Zero(t, since(map[string]int64{"b": 900, "c": 1 << 41}), "somebody else has led meanwhile")
}

func ownRedis(t *testing.T) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(testenv.Redis(t).URL)
	require.NoError(t, err)
	client := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestTheLeaderHearsWhatPodsHaveDoneAndHowBusyTheyAre(t *testing.T) {
	t.Parallel()
	client := ownRedis(t)
	a := &App{cfg: config.Defaults(), id: "a", queueDB: client, feelings: &guard.Watch{}}
	a.cfg.Pace.PodsCPU = 0 // the machine's, which others use too
	f := felt{app: a, cpu: cpu.New()}
	heard := func() float64 {
		f.page(load.PageRead{Dataset: "users", Rows: 100, Bytes: 5000, Time: 10 * time.Millisecond, Had: 60 * time.Millisecond}, 0)
		require.NoError(t, f.tell(t.Context()))
		return f.feel(t.Context(), []string{"a", "b"}).Done
	}
	require.Zero(t, heard())
	require.InDelta(t, 5000+100*rowBytes, heard(), 0)
	require.True(t, guard.NearOfPods(a.feelings.Judge(time.Now())))
	require.Empty(t, guard.OfPods(a.feelings.Judge(time.Now())))

	planning := func() bool {
		require.NoError(t, f.tell(t.Context()))
		return f.feel(t.Context(), []string{"b", "a"}).Planning
	}
	require.False(t, planning())
	f.walked()
	require.True(t, planning())
	require.False(t, planning(), "it was told")
}

func TestSmallPagesCountAsDoneToo(t *testing.T) {
	t.Parallel()
	f := felt{app: &App{}}
	f.page(load.PageRead{Dataset: "users", Rows: 2, Bytes: 100, Time: time.Millisecond, Had: time.Millisecond}, 0)
	f.page(load.PageRead{Dataset: "users", Rows: 100, Bytes: 5000, Time: time.Millisecond, Had: time.Millisecond}, 200*time.Microsecond)
	require.EqualValues(t, 5100+102*rowBytes, f.tally.Done)
	require.Equal(t, 1800*time.Microsecond, f.tally.Spent)
	require.Len(t, f.pages["users"], 1)
}

// Reports and looks are both made every feltEvery and neither in time: now and then two reports come between two looks, and then none.
func TestReadsSinceAPodsReportAreNotTakenForOthers(t *testing.T) {
	t.Parallel()
	const own, others = 2000.0, 1500.0
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable
	began := time.Now()
	report := func(at time.Time) feltReport {
		return feltReport{made: at, Reads: map[string]int64{"main": int64(own * at.Sub(began).Seconds())}, Rates: map[string]float64{"main": own}}
	}
	var reads guard.Reads
	last := report(began)
	for n := range 1000 {
		now := began.Add(time.Duration(n+1)*feltEvery + time.Duration(random.IntN(100))*time.Millisecond)
		if next := last.made.Add(feltEvery + time.Duration(random.IntN(3))*time.Millisecond); !next.After(now) {
			last = report(next)
		}
		next, ratio, ok := reads.Next(now, (own+others)*now.Sub(began).Seconds(), last.reads("main", now))
		if reads = next; ok {
			require.InDelta(t, 1, ratio, 0.01, n)
		}
	}
	frozen := report(began)
	require.InDelta(t, own*2*feltEvery.Seconds(), frozen.reads("main", began.Add(time.Hour)), 0, "of a pod that has not reported for long nothing more is known")
	require.Zero(t, frozen.reads("main", began.Add(-time.Second)))
	frozen.Rates = nil
	require.Zero(t, frozen.reads("main", began.Add(time.Second)), "a pod of an older release")
}

func TestTheAgeOfAReportIsKnownWithoutThePodsClock(t *testing.T) {
	t.Parallel()
	client := ownRedis(t)
	const age = 500 * time.Millisecond
	written := time.Now()
	require.NoError(t, client.Set(t.Context(), redisconn.FeltKey("b"), `{"reads": {"main": 5}}`, feltFor-age).Err())
	require.NoError(t, client.Set(t.Context(), redisconn.FeltKey("for ever"), `{"reads": {"main": 7}}`, 0).Err())
	asked := time.Now()
	f := felt{app: &App{id: "a", queueDB: client}}
	reports := f.reports(t.Context(), []string{"a", "b", "for ever"})
	heard := time.Now()
	require.NotContains(t, reports, "a")
	require.WithinRange(t, reports["b"].made, written.Add(-age-time.Millisecond), heard.Add(-age).Add(time.Millisecond))
	require.WithinRange(t, reports["for ever"].made, asked, heard)
}
