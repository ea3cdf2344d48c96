package load

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

const fansTable = "CREATE TABLE fans (shop_id INT NOT NULL, id INT NOT NULL, name VARCHAR(20), PRIMARY KEY (shop_id, id))"

func fansQuery(value, key, field string) dataset.Spec {
	return dataset.Spec{Name: "fans", Query: "SELECT id, name FROM fans WHERE shop_id = :shop ORDER BY id", Key: key, Value: value, Field: field}
}

func TestEveryValueOfATableEqualsItsRow(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable, "INSERT INTO users VALUES (2, 1, 'of another shop', NULL)")
	e.users(t, 1, 35)
	e.exec(t, "UPDATE users SET nick = NULL WHERE shop_id = 1 AND user_id = 7")
	spec := usersSpec()
	hash := usersSpec()
	hash.Name, hash.Key, hash.Value = "hashes", "h:{shop}:{user_id}", dataset.ValueHash
	// An older value of a column that is NULL by now must not stay.
	require.NoError(t, e.redis.HSet(t.Context(), "h:1:7", "nick", "old").Err())
	for _, s := range []dataset.Spec{spec, hash} {
		u := e.done(t, e.job(t, e.bind(t, s)))
		require.EqualValues(t, 35, u.RowsDone)
		require.Equal(t, `["35"]`, u.Cursor)
		require.GreaterOrEqual(t, u.Pages, int64(4))
	}
	require.Equal(t, 70, e.keys(t))
	for i := 1; i <= 35; i++ {
		value, fields := fmt.Sprintf(`{"user_id":%d,"nick":"nick %d"}`, i, i), map[string]string{"user_id": fmt.Sprint(i), "nick": fmt.Sprintf("nick %d", i)}
		if i == 7 {
			value, fields = `{"user_id":7,"nick":null}`, map[string]string{"user_id": "7"}
		}
		e.requireValue(t, fmt.Sprintf("user:1:%d", i), value)
		e.requireHash(t, fmt.Sprintf("h:1:%d", i), fields)
	}
}

func TestEveryValueOfAQueryEqualsItsRows(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, fansTable, "INSERT INTO fans VALUES (1, 1, 'a'), (1, 2, NULL), (1, 3, 'c'), (2, 1, 'x')")
	one := dataset.Spec{Name: "one", Query: "SELECT COUNT(*) AS n FROM fans WHERE shop_id = :shop", Key: "n:{shop}", Value: dataset.ValueJSON}
	e.done(t, e.job(t, e.bind(t, one)))
	e.requireValue(t, "n:1", `{"n":3}`)

	e.done(t, e.job(t, e.bind(t, fansQuery(dataset.ValueJSON, "fan:{shop}:{id}", ""))))
	e.requireValue(t, "fan:1:2", `{"id":2,"name":null}`)

	e.done(t, e.job(t, e.bind(t, fansQuery(dataset.ValueHash, "fanh:{shop}:{id}", ""))))
	e.requireHash(t, "fanh:1:3", map[string]string{"id": "3", "name": "c"})

	u := e.done(t, e.job(t, e.bind(t, fansQuery(dataset.ValueJSONArray, "fans:{shop}", ""))))
	require.EqualValues(t, 3, u.RowsDone)
	e.requireValue(t, "fans:1", `[{"id":1,"name":"a"},{"id":2,"name":null},{"id":3,"name":"c"}]`)

	// A hash of all rows replaces the one before.
	require.NoError(t, e.redis.HSet(t.Context(), "fanmap:1", "9", "gone").Err())
	e.done(t, e.job(t, e.bind(t, fansQuery(dataset.ValueHash, "fanmap:{shop}", "{id}"))))
	e.requireHash(t, "fanmap:1", map[string]string{"1": `{"id":1,"name":"a"}`, "2": `{"id":2,"name":null}`, "3": `{"id":3,"name":"c"}`})
	require.Equal(t, 9, e.keys(t))
}

func TestWhatHasNoRowsAnyMoreLeavesNothingOld(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, fansTable)
	require.NoError(t, e.redis.Set(t.Context(), "fan:1", "old", 0).Err())
	require.NoError(t, e.redis.HSet(t.Context(), "map:1", "9", "old").Err())
	e.done(t, e.job(t, e.bind(t, fansQuery(dataset.ValueJSON, "fan:{shop}", ""))))
	e.done(t, e.job(t, e.bind(t, fansQuery(dataset.ValueHash, "map:{shop}", "{id}"))))
	require.Zero(t, e.keys(t))
	e.done(t, e.job(t, e.bind(t, fansQuery(dataset.ValueJSONArray, "all:{shop}", ""))))
	e.requireValue(t, "all:1", `[]`)
}

func TestSeveralRowsUnderOneKeyAreRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, fansTable, "INSERT INTO fans VALUES (1, 1, 'a'), (1, 2, 'b')")
	_, err := e.Load(t.Context(), e.job(t, e.bind(t, fansQuery(dataset.ValueJSON, "fan:{shop}", ""))))
	require.ErrorIs(t, err, dataset.ErrManyRows)
	require.True(t, Definitive(err))
	require.Zero(t, e.keys(t))
}

func TestRowsThatArriveBehindTheLastRangeAreLoaded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 20)
	b := e.bind(t, usersSpec())
	j := e.job(t, b, ledger.Unit{To: `["10"]`}, ledger.Unit{From: `["10"]`})
	settled, err := e.Load(t.Context(), j)
	require.NoError(t, err)
	require.Equal(t, ledger.StillOpen, settled)
	require.Equal(t, 10, e.keys(t), "a range ends where it ends")
	e.users(t, 21, 5)
	u := e.done(t, e.claim(t, j, j.Unit.RunID, 1, 0))
	require.EqualValues(t, 15, u.RowsDone)
	require.Equal(t, 25, e.keys(t))
}
