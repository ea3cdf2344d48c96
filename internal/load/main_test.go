package load

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const usersTable = "CREATE TABLE users (shop_id INT NOT NULL, user_id INT NOT NULL, nick VARCHAR(64), note MEDIUMTEXT, " +
	"PRIMARY KEY (shop_id, user_id))"

// env is a loader between a real source, ledger and cache.
type env struct {
	*Loader
	store  *ledger.Store
	src    *source.Source
	write  *sql.DB
	redis  redis.UniversalClient
	expiry cache.Expiry
}

func newEnv(t *testing.T, redisURL string, statements ...string) *env {
	t.Helper()
	dsn := testenv.MySQL(t)
	store, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 8})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	src, err := source.Open(t.Context(), "main", config.Source{DSN: dsn}, 4)
	require.NoError(t, err)
	write, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	client, err := redisconn.Open(t.Context(), "cache", config.Redis{URL: redisURL})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, store.Close())
		require.NoError(t, src.Close())
		require.NoError(t, write.Close())
		require.NoError(t, client.Close())
	})
	e := &env{store: store, src: src, write: write, redis: client,
		expiry: cache.Expiry{Until: time.Now().Add(time.Hour), Jitter: 10 * time.Minute}}
	e.Loader = &Loader{Ledger: store, Cache: cache.New(client), Limits: Limits{PageRows: 10, PageBytes: 1 << 20, MaxRejects: 5}}
	e.exec(t, statements...)
	return e
}

func (e *env) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := e.write.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

// users adds rows to shop 1, user ids from first on.
func (e *env) users(t *testing.T, first, n int) {
	t.Helper()
	for i := first; i < first+n; i++ {
		e.exec(t, fmt.Sprintf("INSERT INTO users VALUES (1, %d, 'nick %d', NULL)", i, i))
	}
}

func (e *env) bind(t *testing.T, spec dataset.Spec) *source.Bound {
	t.Helper()
	b, err := e.src.Bind(t.Context(), spec)
	require.NoError(t, err)
	return b
}

func usersSpec() dataset.Spec {
	return dataset.Spec{Name: "users", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "nick"},
		Key: "user:{shop}:{user_id}", Value: dataset.ValueJSON}
}

// job is the claimed first unit of a new run of shop 1.
func (e *env) job(t *testing.T, d Dataset, units ...ledger.Unit) Job {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	r := ledger.Run{ID: fmt.Sprintf("%x", id[:]), ShopID: "1", BroadcastID: uuid.NewString(), State: ledger.RunPlanned,
		StartsAt: e.expiry.Until.Add(-time.Hour), EndsAt: e.expiry.Until, Deadline: e.expiry.Until, PlannedStart: time.Now()}
	r, _, err := e.store.Create(t.Context(), r)
	require.NoError(t, err)
	if units == nil {
		units = []ledger.Unit{{}}
	}
	for i := range units {
		units[i].Dataset = d.Spec().Name
	}
	require.NoError(t, e.store.WritePlan(t.Context(), r.ID, r.Epoch, ledger.Kept{}, units))
	j := Job{Shop: "1", Dataset: d, Expiry: e.expiry, Renew: func(context.Context) error { return nil }, Proceed: func(context.Context) error { return nil }}
	return e.claim(t, j, r.ID, 0, 0)
}

// claim is the job of a unit as the ledger has it now.
func (e *env) claim(t *testing.T, j Job, run string, unit, seq int) Job {
	t.Helper()
	u, err := e.store.Claim(t.Context(), run, 1, unit, seq, "pod")
	require.NoError(t, err)
	j.Unit = u
	return j
}

func (e *env) unit(t *testing.T, j Job) ledger.Unit {
	t.Helper()
	u, err := e.store.Unit(t.Context(), j.Unit.RunID, j.Unit.Epoch, j.Unit.Unit)
	require.NoError(t, err)
	return u
}

func (e *env) done(t *testing.T, j Job) ledger.Unit {
	t.Helper()
	settled, err := e.Load(t.Context(), j)
	require.NoError(t, err)
	require.Equal(t, ledger.NowReady, settled)
	return e.unit(t, j)
}

// keys is how many keys the cache has.
func (e *env) keys(t *testing.T) int {
	t.Helper()
	n, err := e.redis.DBSize(t.Context()).Result()
	require.NoError(t, err)
	marks, err := e.redis.Keys(t.Context(), "prewarm:*").Result()
	require.NoError(t, err)
	return int(n) - len(marks)
}

func (e *env) requireValue(t *testing.T, key, want string) {
	t.Helper()
	got, err := e.redis.Get(t.Context(), key).Result()
	require.NoError(t, err, key)
	require.JSONEq(t, want, got, key)
	e.requireExpiry(t, key, e.expiry)
}

func (e *env) requireHash(t *testing.T, key string, want map[string]string) {
	t.Helper()
	got, err := e.redis.HGetAll(t.Context(), key).Result()
	require.NoError(t, err, key)
	require.Equal(t, want, got, key)
	e.requireExpiry(t, key, e.expiry)
}

func (e *env) requireExpiry(t *testing.T, key string, x cache.Expiry) {
	t.Helper()
	ms, err := e.redis.PExpireTime(t.Context(), key).Result()
	require.NoError(t, err, key)
	at := time.UnixMilli(ms.Milliseconds())
	require.False(t, at.Before(x.Until), "%s expires too early", key)
	require.False(t, at.After(x.Until.Add(x.Jitter+time.Millisecond)), "%s expires too late", key)
}

// between runs a function after each write of a page, with the number of pages written; its error stands for the write's.
type between struct {
	Cache
	after func(pages int) error
	pages int
}

func (b *between) Write(ctx context.Context, batch *cache.Batch, x cache.Expiry) error {
	if err := b.Cache.Write(ctx, batch, x); err != nil {
		return err
	}
	b.pages++
	return b.after(b.pages)
}
