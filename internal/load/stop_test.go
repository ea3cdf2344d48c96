package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestTheRowsSeenFitIntoAPage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rows, bytes, want int }{
		{0, 0, math.MaxInt},
		{5, 0, math.MaxInt},
		{500, 4 << 19, 1000},
		{40, 4 << 20, 40},
		{20, 4 << 20, 20},
		{1, 8 << 20, 1},
		{100_000, 1 << 30, 390},
	} {
		require.Equal(t, c.want, fitting(c.rows, c.bytes, 4<<20), c)
	}
}

// sizes notes the bytes of each page.
type sizes struct {
	Cache
	bytes []int
}

func (s *sizes) Write(ctx context.Context, b *cache.Batch, x cache.Expiry) error {
	s.bytes = append(s.bytes, b.Bytes())
	return s.Cache.Write(ctx, b, x)
}

func TestPagesOfHugeRowsStayBelowTheLimit(t *testing.T) {
	t.Parallel()
	const size, limit = 100 << 10, 1 << 20
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 60)
	e.exec(t, fmt.Sprintf("UPDATE users SET note = REPEAT('x', %d)", size))
	spec := usersSpec()
	spec.Columns = []string{"note"}
	s := &sizes{Cache: e.Cache}
	e.Cache, e.Limits = s, Limits{PageRows: 500, PageBytes: limit}
	u := e.done(t, e.job(t, e.bind(t, spec)))
	require.EqualValues(t, 60, u.RowsDone)
	require.Equal(t, 60, e.keys(t))
	for _, n := range s.bytes {
		require.Less(t, n, limit+size+1000, "one row at most is over the limit")
	}
	require.LessOrEqual(t, len(s.bytes), 8)
	e.requireValue(t, "user:1:60", `{"note":"`+strings.Repeat("x", size)+`"}`)
}

func TestAPageThatIsNotWrittenIsNotCheckpointed(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t, "--maxmemory-policy", "noeviction")
	e := newEnv(t, server.URL, usersTable)
	e.users(t, 1, 50)
	j := e.job(t, e.bind(t, usersSpec()))
	full := &between{Cache: e.Cache, after: func(pages int) error {
		if pages == 2 {
			return e.redis.ConfigSet(t.Context(), "maxmemory", "1").Err()
		}
		return nil
	}}
	healthy := e.Cache
	e.Cache = full
	_, err := e.Load(t.Context(), j)
	require.ErrorContains(t, err, "OOM")
	require.ErrorContains(t, err, "maxmemory")
	require.True(t, Definitive(err))
	u := e.unit(t, j)
	require.Equal(t, `["20"]`, u.Cursor)
	require.EqualValues(t, 20, u.RowsDone)
	_, err = e.store.Fail(t.Context(), u, err.Error(), false)
	require.NoError(t, err)

	require.NoError(t, e.redis.ConfigSet(t.Context(), "maxmemory", "0").Err())
	seen := &sizes{Cache: healthy}
	e.Cache = seen
	u = e.done(t, e.claim(t, j, j.Unit.RunID, 0, 0))
	require.EqualValues(t, 50, u.RowsDone)
	require.Equal(t, 50, e.keys(t))
	require.Len(t, seen.bytes, 3, "it went on from the cursor")
}

func TestAFrozenCacheMovesNoCursorAndALostLeaseIsTheCause(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	e := newEnv(t, server.URL, usersTable)
	e.users(t, 1, 50)
	j := e.job(t, e.bind(t, usersSpec()))
	lost := errors.New("the lease is lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	e.Cache = &between{Cache: e.Cache, after: func(pages int) error {
		if pages == 2 {
			server.Freeze()
			time.AfterFunc(50*time.Millisecond, func() { cancel(lost) })
		}
		return nil
	}}
	_, err := e.Load(ctx, j)
	server.Thaw()
	require.ErrorIs(t, err, lost)
	require.Equal(t, `["20"]`, e.unit(t, j).Cursor)
}

func TestRejectsAreRecordedAndTooManyFailTheUnit(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, "CREATE TABLE docs (shop_id INT NOT NULL, id INT NOT NULL, doc TEXT, PRIMARY KEY (shop_id, id))")
	for i := 1; i <= 30; i++ {
		doc := `{"a":1}`
		if i%10 == 0 {
			doc = "{broken"
		}
		e.exec(t, fmt.Sprintf("INSERT INTO docs VALUES (1, %d, '%s')", i, doc))
	}
	paged := dataset.Spec{Name: "docs", Table: "docs", Shop: "shop_id", By: []string{"id"}, Columns: []string{"doc"}, JSON: []string{"doc"},
		Key: "doc:{shop}:{id}", Value: dataset.ValueJSON}
	whole := dataset.Spec{Name: "all", Query: "SELECT id, doc FROM docs WHERE shop_id = :shop", JSON: []string{"doc"}, Key: "docs:{shop}",
		Field: "{id}", Value: dataset.ValueHash}
	for _, spec := range []dataset.Spec{paged, whole} {
		u := e.done(t, e.job(t, e.bind(t, spec)))
		require.EqualValues(t, 27, u.RowsDone, spec.Name)
		require.EqualValues(t, 3, u.Rejects, spec.Name)
		rejects, err := e.store.Rejects(t.Context(), u.RunID, 100)
		require.NoError(t, err)
		require.Len(t, rejects, 3)
		require.Contains(t, rejects[0].Error, "doc")
	}
	require.Equal(t, 28, e.keys(t))

	e.Limits.MaxRejects = 2
	for _, spec := range []dataset.Spec{paged, whole} {
		_, err := e.Load(t.Context(), e.job(t, e.bind(t, spec)))
		require.ErrorContains(t, err, "policy.max_rejects (2)")
		require.True(t, Definitive(err))
	}
}

func TestALimitThatWasLoweredMeanwhileFailsTheNextRejectOnly(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 5)
	j := e.job(t, e.bind(t, usersSpec()))
	j.Unit.Rejects = 7
	require.EqualValues(t, 5, e.done(t, j).RowsDone)
}

func TestAFencedUnitWritesNoPageBeyondThoseUnderWay(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 100)
	j := e.job(t, e.bind(t, usersSpec()))
	e.Cache = &between{Cache: e.Cache, after: func(pages int) error {
		if pages == 3 {
			return e.store.Cancel(t.Context(), j.Unit.RunID, ledger.By{Who: "test", Why: "called off"})
		}
		return nil
	}}
	_, err := e.Load(t.Context(), j)
	require.ErrorIs(t, err, ledger.ErrFenced)
	require.LessOrEqual(t, e.keys(t), 10*(3+window-1))
	require.Contains(t, []string{`["10"]`, `["20"]`}, e.unit(t, j).Cursor, "the second page may not have been recorded yet")
}

func TestADrainedUnitIsHandedBackAtAPageBoundary(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 50)
	j := e.job(t, e.bind(t, usersSpec()))
	var stop atomic.Bool
	j.Proceed = func(context.Context) error {
		if stop.Load() {
			return fmt.Errorf("%w: the test says so", ErrHandBack)
		}
		return nil
	}
	healthy := e.Cache
	e.Cache = &between{Cache: healthy, after: func(pages int) error {
		if pages == 2 {
			stop.Store(true)
		}
		return nil
	}}
	_, err := e.Load(t.Context(), j)
	require.ErrorIs(t, err, ErrHandBack)
	u := e.unit(t, j)
	require.LessOrEqual(t, u.RowsDone, int64(10*(2+window-1)), "what was under way is written")
	require.Equal(t, fmt.Sprintf(`["%d"]`, u.RowsDone), u.Cursor)
	require.EqualValues(t, u.RowsDone, e.keys(t))
	require.NoError(t, e.store.HandBack(t.Context(), u, "drained"))

	stop.Store(false)
	e.Cache = healthy
	u = e.done(t, e.claim(t, j, j.Unit.RunID, 0, 0))
	require.EqualValues(t, 50, u.RowsDone)
	require.Equal(t, 1, u.Attempts)
}

func TestTouchMovesExpiriesAndOverwritesNothing(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 25)
	j := e.job(t, e.bind(t, usersSpec()))
	e.done(t, j)
	for i := 1; i <= 25; i++ { // what others wrote since must stay
		require.NoError(t, e.redis.Set(t.Context(), fmt.Sprintf("user:1:%d", i), `"theirs"`, time.Hour).Err())
	}
	require.NoError(t, e.redis.Del(t.Context(), "user:1:3").Err())
	run, err := e.store.Run(t.Context(), j.Unit.RunID)
	require.NoError(t, err)
	e.expiry.Until = e.expiry.Until.Add(5 * time.Hour)
	require.NoError(t, e.store.Reschedule(t.Context(), run, ledger.Times{StartsAt: run.StartsAt, EndsAt: e.expiry.Until,
		Deadline: run.Deadline, PlannedStart: run.PlannedStart}, "r"))
	e.users(t, 26, 1)

	due, err := e.store.WaitingOf(t.Context(), run)
	require.NoError(t, err)
	require.Len(t, due, 1)
	j = e.claim(t, j, run.ID, 0, due[0].TaskSeq)
	require.True(t, j.Unit.Touch)
	j.Expiry = e.expiry
	_, err = e.Load(t.Context(), j)
	require.NoError(t, err)
	for i := 1; i <= 26; i++ {
		if i == 3 {
			continue
		}
		want := `"theirs"`
		if i == 26 {
			want = `{"user_id":26,"nick":"nick 26"}`
		}
		e.requireValue(t, fmt.Sprintf("user:1:%d", i), want)
	}
	require.Equal(t, 25, e.keys(t), "a key that is gone stays so")
	u := e.unit(t, j)
	require.False(t, u.Touch)
	require.Equal(t, ledger.UnitDone, u.State)
}

func TestTouchOfAWholeDatasetOverwritesNothing(t *testing.T) {
	t.Parallel()
	for key, written := range map[string]string{"fans:{shop}": "fans:1", "fan:{shop}:{id}": "fan:1:1"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, testenv.Redis(t).URL, fansTable, "INSERT INTO fans VALUES (1, 1, 'a'), (1, 2, 'b'), (1, 3, 'c')")
			spec := fansQuery(dataset.ValueJSONArray, key, "")
			if written == "fan:1:1" {
				spec.Value = dataset.ValueJSON
			}
			j := e.job(t, e.bind(t, spec))
			e.done(t, j)
			require.NoError(t, e.redis.Set(t.Context(), written, `"theirs"`, time.Hour).Err())
			run, err := e.store.Run(t.Context(), j.Unit.RunID)
			require.NoError(t, err)
			e.expiry.Until = e.expiry.Until.Add(5 * time.Hour)
			require.NoError(t, e.store.Reschedule(t.Context(), run, ledger.Times{StartsAt: run.StartsAt, EndsAt: e.expiry.Until,
				Deadline: run.Deadline, PlannedStart: run.PlannedStart}, "r"))
			due, err := e.store.WaitingOf(t.Context(), run)
			require.NoError(t, err)
			j = e.claim(t, j, run.ID, 0, due[0].TaskSeq)
			j.Expiry = e.expiry
			_, err = e.Load(t.Context(), j)
			require.NoError(t, err)
			e.requireValue(t, written, `"theirs"`) // and the new expiry
			e.marked(t)
			require.EqualValues(t, 3, e.unit(t, j).RowsDone)
		})
	}
}

func TestAPageThatWasReadTooLongAgoIsNotWritten(t *testing.T) {
	t.Parallel()
	p := &page{readAt: time.Now().Add(-staleAfter - time.Second), done: true}
	_, err := (&task{Loader: &Loader{}}).put(t.Context(), p)
	require.ErrorIs(t, err, errStale)
}
