package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var ends = time.Now().Add(4 * time.Hour).Truncate(time.Second)

const jitter = 10 * time.Minute

var specs = []dataset.Spec{
	{Name: "users", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "nick", "level", "updated_at"},
		Where: "deleted = 0", Key: "user:{shop}:{user_id}", Value: dataset.ValueJSON, ChangedAt: "updated_at"},
	{Name: "products", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "nick", "note"},
		Key: "product:{shop}:{user_id}", Value: dataset.ValueHash},
	{Name: "shop", Query: "SELECT id, name FROM shops WHERE id = :shop", Key: "shop:{shop}", Value: dataset.ValueJSON},
	{Name: "staff", Query: "SELECT id, name FROM staff WHERE shop_id = :shop ORDER BY id", Key: "shop:{shop}:staff", Value: dataset.ValueJSONArray},
	{Name: "roles", Query: "SELECT id, name FROM staff WHERE shop_id = :shop ORDER BY id", Key: "shop:{shop}:roles", Value: dataset.ValueHash, Field: "{id}"},
}

// place is a database and a cache.
type place struct {
	db    *sql.DB
	redis redis.UniversalClient
	bound []*source.Bound
}

func newPlace(t testing.TB, url string, specs []dataset.Spec) *place {
	t.Helper()
	dsn := testenv.MySQL(t)
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	p := &place{db: db}
	p.exec(t, `CREATE TABLE users (shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, nick VARCHAR(300) NOT NULL, note VARCHAR(20), level INT NOT NULL,
		deleted TINYINT NOT NULL DEFAULT 0, updated_at DATETIME(6) NOT NULL, PRIMARY KEY (shop_id, user_id)) CHARSET=utf8mb4`)
	p.exec(t, `CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL)`)
	p.exec(t, `CREATE TABLE staff (id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, name VARCHAR(40), KEY (shop_id))`)
	src, err := source.Open(t.Context(), "main", config.Source{DSN: dsn}, 4)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	for _, s := range specs {
		b, err := src.Bind(t.Context(), s)
		require.NoError(t, err)
		p.bound = append(p.bound, b)
	}
	p.redis, err = redisconn.Open(t.Context(), "cache", config.Redis{URL: url})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.redis.Close()) })
	return p
}

func (p *place) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	_, err := p.db.ExecContext(t.Context(), statement, args...)
	require.NoError(t, err)
}

// seed makes a shop with users 3, 6, 9 … of which every tenth is deleted.
func (p *place) seed(t testing.TB, shop, users int) {
	t.Helper()
	p.exec(t, "INSERT INTO shops VALUES (?, 'Shop')", shop)
	p.exec(t, "INSERT INTO staff VALUES (?, ?, 'Ann'), (?, ?, NULL)", shop*10, shop, shop*10+1, shop)
	const atOnce = 5000
	for from := 1; from <= users; from += atOnce {
		var rows []string
		for i := from; i <= min(users, from+atOnce-1); i++ {
			rows = append(rows, fmt.Sprintf("(%d, %d, 'nick \"%d\"', IF(%d %% 2 = 0, NULL, 'n'), %d, IF(%d %% 10 = 7, 1, 0), '2026-11-01 10:00:00.000001')", shop, i*3, i, i, i%9, i))
		}
		p.exec(t, "INSERT INTO users (shop_id, user_id, nick, note, level, deleted, updated_at) VALUES "+strings.Join(rows, ","))
	}
}

// notes takes the loader's progress. No unit has expiries to move.
type notes struct{ load.Ledger }

func (notes) Checkpoint(context.Context, ledger.Unit, []ledger.Reject) error { return nil }
func (notes) Finish(context.Context, ledger.Unit, []ledger.Reject) (ledger.Settled, error) {
	return ledger.StillOpen, nil
}

// load warms a shop as production does.
func (p *place) load(t testing.TB, shop string) {
	t.Helper()
	go1 := func(context.Context) error { return nil }
	l := &load.Loader{Ledger: notes{}, Cache: cache.New(p.redis), Limits: load.Limits{PageRows: 1000, PageBytes: 1 << 20}}
	for _, b := range p.bound {
		_, err := l.Load(t.Context(), load.Job{Shop: shop, Dataset: b, Renew: go1, Proceed: go1, Unit: ledger.Unit{RunID: "r" + shop, Epoch: 1, Dataset: b.Spec().Name, Claim: 1},
			Expiry: cache.Expiry{Until: ends, Jitter: jitter}})
		require.NoError(t, err)
	}
}

// auditor compares with what was found in found.
func (p *place) auditor(found *[]audit.Finding) *audit.Auditor {
	a := &audit.Auditor{Cache: p.redis, Jitter: jitter, Settle: 20 * time.Millisecond}
	for _, b := range p.bound {
		a.Datasets = append(a.Datasets, b)
	}
	if found != nil {
		a.Found = func(_ context.Context, f audit.Finding) error {
			*found = append(*found, f)
			return nil
		}
	}
	return a
}

// state is a key's value and expiry, as the server has them.
func (p *place) state(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	iter := p.redis.Scan(t.Context(), 0, "*", 1000).Iterator()
	for iter.Next(t.Context()) {
		key := iter.Val()
		at, err := p.redis.PExpireTime(t.Context(), key).Result()
		require.NoError(t, err)
		text, err := p.redis.Get(t.Context(), key).Result()
		if err != nil {
			hash, err := p.redis.HGetAll(t.Context(), key).Result()
			require.NoError(t, err)
			text = fmt.Sprint(hash)
		}
		all[key] = fmt.Sprint(text, at)
	}
	require.NoError(t, iter.Err())
	return all
}

var (
	expiry     = cache.Expiry{Until: ends, Jitter: jitter}
	setKeepTTL = redis.SetArgs{KeepTTL: true}
)
