package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestACacheIsLookedThroughUnlessItHoldsFarMoreThanIsToBeMoved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys, move int64
		want       bool
	}{
		{0, 0, true},
		{scanFree, 1, true},
		{scanFree + 1, 1, false},
		{500_000_000, 1000, false},
		{scanMost * 1_000_000, 1_000_000, true},
		{scanMost*1_000_000 + 1, 1_000_000, false},
	} {
		ok, why := scans(c.keys, c.move)
		require.Equal(t, c.want, ok, "%+v", c)
		require.Equal(t, c.want, why == "", "a refusal has a reason")
	}
}

func TestKeysOfWhichMostHaveOtherExpiriesAreNotTrusted(t *testing.T) {
	t.Parallel()
	for _, write := range []string{dataset.WriteAlways, dataset.WriteNewer, dataset.WriteMissing} {
		ok, why := trusts(write, cache.Extended{Moved: 9, Alike: 10})
		require.Equal(t, write == dataset.WriteMissing, ok, "there they are the application's")
		require.Equal(t, ok, why == "")
		ok, _ = trusts(write, cache.Extended{Moved: 10, Alike: 10})
		require.True(t, ok)
	}
}

// unread is a dataset whose source must not be asked.
type unread struct{ Dataset }

var errRead = errors.New("the source was read")

func (unread) ReadPage(context.Context, string, string, string, int, source.Visit) (source.Page, error) {
	return source.Page{}, errRead
}

func (unread) ReadKeys(context.Context, string, string, string, int, source.Visit) (source.Page, error) {
	return source.Page{}, errRead
}

func (unread) Now(context.Context) (time.Time, error) { return time.Time{}, errRead }

// overrun is a ready run of three units of users, whose end has been moved by two hours; the first of them is claimed.
func overrun(t *testing.T, e *env) Job {
	t.Helper()
	return overrunOf(t, e, usersSpec())
}

func overrunOf(t *testing.T, e *env, spec dataset.Spec) Job {
	t.Helper()
	e.users(t, 1, 60)
	e.expiry.Until = e.expiry.Until.Truncate(time.Microsecond) // as the ledger keeps it
	j := e.job(t, e.bind(t, spec), ledger.Unit{To: `["20"]`}, ledger.Unit{From: `["20"]`, To: `["40"]`}, ledger.Unit{From: `["40"]`})
	for i := range 3 {
		if i > 0 {
			j = e.claim(t, j, j.Unit.RunID, i, 0)
		}
		_, err := e.Load(t.Context(), j)
		require.NoError(t, err)
	}
	run, err := e.store.Run(t.Context(), j.Unit.RunID)
	require.NoError(t, err)
	require.Equal(t, ledger.RunReady, run.State)
	times := ledger.Times{StartsAt: run.StartsAt, EndsAt: run.EndsAt.Add(2 * time.Hour), Deadline: run.Deadline, PlannedStart: run.PlannedStart}
	require.NoError(t, e.store.Reschedule(t.Context(), run, times, "r"))
	ends, err := e.store.Ends(t.Context(), "1", "users", 0)
	require.NoError(t, err)
	require.Equal(t, ends.Needed, times.EndsAt)
	e.expiry.Until, e.expiry.Former = ends.Needed, ends.Former
	j.Expiry = e.expiry
	return e.claim(t, j, run.ID, 0, 1)
}

func (e *env) allMoved(t *testing.T) {
	t.Helper()
	for i := 1; i <= 60; i++ {
		key := fmt.Sprintf("user:1:%d", i)
		at, err := e.redis.PExpireTime(t.Context(), key).Result()
		require.NoError(t, err)
		require.Equal(t, e.expiry.At([]byte(key)).UnixMilli(), at.Milliseconds(), key)
	}
	e.marked(t)
}

// marked: what vouches for the run lives as long as its keys.
func (e *env) marked(t *testing.T) {
	t.Helper()
	marks, err := e.redis.Keys(t.Context(), "prewarm:{18}:mark:*").Result()
	require.NoError(t, err)
	require.Len(t, marks, 1)
	e.requireExpiry(t, marks[0], cache.Expiry{Until: e.expiry.Until.Truncate(time.Millisecond)})
}

func TestAnOverrunIsCarriedWithoutReadingTheSource(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.OwnRedis(t).URL, usersTable)
	j := overrun(t, e)
	require.True(t, j.Unit.Carries)
	j.Dataset = unread{j.Dataset}
	look := e.expiry.At([]byte("user:1:9999")).Add(-2*time.Hour + time.Millisecond) // a millisecond beside what it would be of ours
	require.NoError(t, e.redis.Do(t.Context(), "set", "user:1:9999", "theirs", "pxat", look.UnixMilli()).Err())
	require.NoError(t, e.redis.Set(t.Context(), "user:1:settings", "theirs", time.Hour).Err())

	began := e.expiry
	paused := true
	j.Proceed = func(context.Context) error {
		if paused {
			return fmt.Errorf("%w: paused", ErrHandBack)
		}
		return nil
	}
	_, err := e.Load(t.Context(), j)
	require.ErrorIs(t, err, ErrHandBack, "it obeys a pause")
	require.NoError(t, e.store.HandBack(t.Context(), j.Unit, "paused"))
	paused = false
	again := e.claim(t, j, j.Unit.RunID, 0, 1)
	_, err = e.Load(t.Context(), again)
	require.NoError(t, err)
	e.allMoved(t)
	at, err := e.redis.PExpireTime(t.Context(), "user:1:9999").Result()
	require.NoError(t, err)
	require.Equal(t, look.UnixMilli(), at.Milliseconds())
	at, err = e.redis.PExpireTime(t.Context(), "user:1:settings").Result()
	require.NoError(t, err)
	require.Less(t, at.Milliseconds(), began.Until.UnixMilli())
	run, err := e.store.Run(t.Context(), j.Unit.RunID)
	require.NoError(t, err)
	require.Equal(t, ledger.RunReady, run.State)
	require.Equal(t, 3, run.UnitsDone)
	require.EqualValues(t, 60, run.RowsDone)
}

// reads counts the reads of keys.
type reads struct {
	Dataset
	keys int
}

func (r *reads) ReadKeys(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error) {
	return r.Dataset.ReadKeys(ctx, shop, after, to, limit, func(row []sql.RawBytes) (bool, error) {
		r.keys++
		return visit(row)
	})
}

// large is a cache that holds far more.
type large struct{ Cache }

func (large) Size(context.Context) (int64, bool, error) { return 500_000_000, true, nil }

// silent is a cache that does not tell how much it holds.
type silent struct{ Cache }

func (silent) Size(context.Context) (int64, bool, error) { return 0, false, nil }

func TestAnOverrunThatCannotBeCarriedIsReadFromTheSource(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(e *env, j *Job){
		"a large cache":   func(e *env, _ *Job) { e.Cache = large{e.Cache} },
		"a silent cache":  func(e *env, _ *Job) { e.Cache = silent{e.Cache} },
		"other expiries":  func(_ *env, j *Job) { j.Expiry.Former = nil },
		"alike templates": func(_ *env, j *Job) { j.Dataset = templated{j.Dataset} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, testenv.OwnRedis(t).URL, usersTable)
			j := overrun(t, e)
			change(e, &j)
			counted := &reads{Dataset: j.Dataset}
			j.Dataset = counted
			for unit := range 3 {
				if unit > 0 {
					j = e.claim(t, j, j.Unit.RunID, unit, 1)
				}
				_, err := e.Load(t.Context(), j)
				require.NoError(t, err)
			}
			require.Equal(t, 60, counted.keys)
			e.allMoved(t)
		})
	}
}

func TestKeysThatMayBeAnotherShopsAreReadForTheirExpiry(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.OwnRedis(t).URL, usersTable, "INSERT INTO users VALUES (1, 100, 'c:d', NULL)")
	spec := usersSpec()
	spec.Key = "user:{shop}:{user_id}:{nick}"
	j := overrunOf(t, e, spec)
	for unit := range 3 {
		if unit > 0 {
			j = e.claim(t, j, j.Unit.RunID, unit, 1)
		}
		_, err := e.Load(t.Context(), j)
		require.NoError(t, err)
	}
	for _, key := range []string{"user:1:1:nick 1", "user:1:60:nick 60", "user:1:100:c:d"} {
		at, err := e.redis.PExpireTime(t.Context(), key).Result()
		require.NoError(t, err)
		require.Equal(t, e.expiry.At([]byte(key)).UnixMilli(), at.Milliseconds(), key)
	}
}

// templated has keys that cannot be told from others.
type templated struct{ Dataset }

func (d templated) Encoder() *dataset.Encoder {
	spec := d.Dataset.Spec()
	spec.By = []string{"user_id", "nick"}
	enc, err := dataset.Compile(spec, []dataset.Column{{Name: "user_id", Kind: dataset.KindInt}, {Name: "nick", Kind: dataset.KindText}}, 2)
	if err != nil {
		panic(err)
	}
	return enc
}
