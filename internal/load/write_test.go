package load

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

const goodsTable = "CREATE TABLE goods (shop_id INT NOT NULL, id INT NOT NULL, doc JSON, n BIGINT UNSIGNED, d DECIMAL(30,6), " +
	"at DATETIME(3), ts TIMESTAMP(6) NULL, ulid VARCHAR(26), PRIMARY KEY (shop_id, id))"

func goodsSpec(value, write, version string) dataset.Spec {
	return dataset.Spec{Name: "goods", Table: "goods", Shop: "shop_id", By: []string{"id"},
		Columns: []string{"id", "doc", "n", "d", "at", "ts", "ulid"}, Key: "g:{shop}:{id}", Value: value, Write: write, Version: version}
}

// goods writes 20 rows, of which each version column has the edition.
func (e *env) goods(t *testing.T, edition int) {
	t.Helper()
	for id := range 20 {
		e.exec(t, fmt.Sprintf(`REPLACE INTO goods VALUES (1, %d, '{"n": 99, "at": "2099-01-01"}', 9223372036854775800 + %d, `+
			`12345678901234567890 + %d / 1000, '2026-11-21 10:00:00.%03d', '2026-11-21 10:00:00.%06d', '01ARZ3NDEKTSV4RRFFQ69G5FA%d')`,
			id, edition, edition, edition, edition, edition))
	}
}

// ahead writes a page only after what comes before it.
type ahead struct {
	Cache
	before func()
}

func (a *ahead) Write(ctx context.Context, b *cache.Batch, x cache.Expiry) error {
	if a.before != nil {
		a.before()
	}
	return a.Cache.Write(ctx, b, x)
}

func TestARowReadBeforeItChangedNeverReplacesTheNewerOne(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.OwnRedis(t).URL, goodsTable)
	for _, version := range []string{"n", "d", "at", "ts", "ulid"} {
		for _, value := range []string{dataset.ValueJSON, dataset.ValueHash} {
			require.NoError(t, e.redis.FlushAll(t.Context()).Err())
			e.goods(t, 1)
			d := e.bind(t, goodsSpec(value, dataset.WriteNewer, version))
			late := *e.Loader
			gate := &ahead{Cache: e.Cache}
			gate.before = func() { // the page has been read; meanwhile the rows change, and another unit is quicker
				gate.before = nil
				e.goods(t, 2)
				j := e.job(t, d)
				e.done(t, j)
			}
			late.Cache = gate
			j := e.job(t, d)
			_, err := late.Load(t.Context(), j)
			require.NoError(t, err)
			for id := range 20 {
				e.requireEdition(t, fmt.Sprintf("g:1:%d", id), value, 2)
			}
		}
	}
}

func (e *env) requireEdition(t *testing.T, key, value string, edition int) {
	t.Helper()
	want := fmt.Sprintf("2026-11-21 10:00:00.%03d", edition)
	if value == dataset.ValueHash {
		require.Equal(t, want, e.redis.HGet(t.Context(), key, "at").Val(), key)
	} else {
		require.Contains(t, e.redis.Get(t.Context(), key).Val(), `"at":"`+want+`"`, key)
	}
	e.requireExpiry(t, key, e.expiry)
}

func TestARowWithoutAVersionIsOlderThanAny(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.OwnRedis(t).URL, goodsTable)
	d := e.bind(t, goodsSpec(dataset.ValueHash, dataset.WriteNewer, "n"))
	e.exec(t, "INSERT INTO goods (shop_id, id, n) VALUES (1, 1, 5), (1, 2, NULL)")
	e.done(t, e.job(t, d))
	e.exec(t, "UPDATE goods SET n = NULL, ulid = 'x'")
	e.done(t, e.job(t, d))
	e.requireHash(t, "g:1:1", map[string]string{"id": "1", "n": "5"})
	e.requireHash(t, "g:1:2", map[string]string{"id": "2", "ulid": "x"})
}

func TestAColumnThatIsNoVersionIsRefusedByTheLiveTable(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, "CREATE TABLE odd (shop_id INT, id INT, f DOUBLE, t TIME(3), e ENUM('b','a'), s SET('b','a'), "+
		"j JSON, b BINARY(8), PRIMARY KEY (shop_id, id))")
	columns := []string{"id", "f", "t", "e", "s", "j", "b"}
	for _, version := range columns[1:] {
		table := dataset.Spec{Name: "odd", Table: "odd", Shop: "shop_id", By: []string{"id"}, Columns: columns, Key: "o:{shop}:{id}",
			Write: dataset.WriteNewer, Version: version}
		query := dataset.Spec{Name: "odd", Query: "SELECT id, f, t, e, s, j, b FROM odd WHERE shop_id = :shop", Key: "o:{shop}:{id}",
			Write: dataset.WriteNewer, ChangedAt: version}
		_, err := e.src.Bind(t.Context(), table)
		require.ErrorContains(t, err, "version: column "+version+" is ")
		require.True(t, Definitive(err))
		_, err = e.src.Bind(t.Context(), query)
		require.ErrorContains(t, err, "changed_at: column "+version+" is ")
	}
}

func TestWhatTheApplicationHasWrittenIsLeftAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.OwnRedis(t).URL, usersTable)
	e.users(t, 1, 25)
	paged := usersSpec()
	hash := usersSpec()
	hash.Key, hash.Value = "h:{shop}:{user_id}", dataset.ValueHash
	all := dataset.Spec{Name: "all", Query: "SELECT user_id, nick FROM users WHERE shop_id = :shop", Key: "all:{shop}", Value: dataset.ValueJSONArray}
	fields := dataset.Spec{Name: "fields", Query: all.Query, Key: "fields:{shop}", Value: dataset.ValueHash, Field: "{user_id}"}
	gone := dataset.Spec{Name: "gone", Query: "SELECT nick FROM users WHERE shop_id = :shop AND user_id = 99", Key: "gone:{shop}"}
	soon := time.Now().Add(time.Minute)
	for _, key := range []string{"user:1:3", "h:1:3", "all:1", "gone:1"} {
		require.NoError(t, e.redis.Set(t.Context(), key, "theirs", 0).Err())
		require.NoError(t, e.redis.PExpireAt(t.Context(), key, soon).Err())
	}
	for _, spec := range []dataset.Spec{paged, hash, all, fields, gone} {
		spec.Write = dataset.WriteMissing
		d := e.bind(t, spec)
		j := e.job(t, d)
		e.done(t, j)
		e.done(t, e.job(t, d)) // once more
	}
	for _, key := range []string{"user:1:3", "h:1:3", "all:1", "gone:1"} {
		require.Equal(t, "theirs", e.redis.Get(t.Context(), key).Val(), key)
		require.Equal(t, soon.UnixMilli(), e.redis.PExpireTime(t.Context(), key).Val().Milliseconds(), key)
	}
	e.requireValue(t, "user:1:4", `{"user_id":4,"nick":"nick 4"}`)
	e.requireHash(t, "h:1:4", map[string]string{"user_id": "4", "nick": "nick 4"})
	require.Equal(t, int64(25), e.redis.HLen(t.Context(), "fields:1").Val())
	require.Equal(t, 25+25+3, e.keys(t))
}
