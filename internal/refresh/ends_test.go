package refresh

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// disturbed is a dataset of which something happens once, just before rows are read.
type disturbed struct {
	Finding
	once func()
}

func (d *disturbed) happens() {
	if once := d.once; once != nil {
		d.once = nil
		once()
	}
}

func (d *disturbed) ReadRows(ctx context.Context, shop string, rows []string, visit source.Visit) error {
	d.happens()
	return d.Finding.ReadRows(ctx, shop, rows, visit)
}

func (d *disturbed) ReadAll(ctx context.Context, shop string, visit source.Visit) error {
	d.happens()
	return d.Finding.ReadAll(ctx, shop, visit)
}

func (d *disturbed) Changed(ctx context.Context, shop, _ string, visit func([]string) error) error {
	return visit([]string{`["7"]`})
}

// moving is a warm shop whose end moves while its rows are being read again.
type moving struct {
	store  *ledger.Store
	redis  redis.UniversalClient
	loader *load.Loader
	run    ledger.Run
	expire config.Expire
}

func newMoving(t *testing.T) *moving {
	t.Helper()
	store, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 4})
	require.NoError(t, err)
	require.NoError(t, store.Migrate(t.Context()))
	client, err := redisconn.Open(t.Context(), "cache", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, store.Close())
		require.NoError(t, client.Close())
	})
	now := time.Now().UTC().Truncate(time.Second)
	run, _, err := store.Create(t.Context(), ledger.Run{ID: "0123456789abcdef0123456789abcdef", ShopID: "1", BroadcastID: "b", State: ledger.RunPlanned,
		StartsAt: now.Add(time.Hour), EndsAt: now.Add(2 * time.Hour), Deadline: now.Add(50 * time.Minute), PlannedStart: now})
	require.NoError(t, err)
	return &moving{store: store, redis: client, run: run, expire: config.Expire{AfterEnd: 30 * time.Minute, Jitter: 10 * time.Minute},
		loader: &load.Loader{Ledger: store, Cache: cache.New(client), Limits: load.Limits{PageRows: 10, PageBytes: 1 << 20}}}
}

// move moves the end by an hour, and the key, as the unit that carries the move does.
func (m *moving) move(t *testing.T, key string) {
	t.Helper()
	r := m.run
	require.NoError(t, m.store.Reschedule(t.Context(), r, ledger.Times{StartsAt: r.StartsAt, EndsAt: r.EndsAt.Add(time.Hour), Deadline: r.Deadline, PlannedStart: r.PlannedStart}, "r"))
	require.NoError(t, m.redis.PExpireAt(t.Context(), key, m.at(key, time.Hour)).Err())
}

func (m *moving) at(key string, by time.Duration) time.Time {
	return cache.Expiry{Until: m.run.EndsAt.Add(by + m.expire.AfterEnd), Jitter: m.expire.Jitter}.At([]byte(key))
}

func TestARefreshThatBeganBeforeAnEndMovedShortensNothing(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"users": "user:1:7", "staff": "staff:1"} {
		for _, scheduled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, scheduled %v", name, scheduled), func(t *testing.T) {
				t.Parallel()
				m, d := newMoving(t), &disturbed{}
				for _, b := range bound(t) {
					if b.Spec().Name == name {
						d.Finding = b.(Finding)
					}
				}
				metrics := NewMetrics(prometheus.NewRegistry())
				refresh := func() error {
					s := &Scheduler{Ledger: m.store, Loader: m.loader, Datasets: map[string]Finding{name: d}, Expire: m.expire, Metrics: metrics}
					return s.refresh(t.Context(), ledger.Fresh{ShopID: "1", Dataset: name})
				}
				if !scheduled {
					w := &Worker{Ledger: m.store, Loader: m.loader, Expire: m.expire, Metrics: metrics}
					row := map[string]string{"users": `["7"]`}[name] // or all
					refresh = func() error {
						_, err := w.read(t.Context(), ledger.Group{ShopID: "1", Dataset: name}, d, []ledger.Pending{{RowKey: row}})
						return err
					}
				}
				require.NoError(t, refresh())
				require.Equal(t, m.at(key, 0).UnixMilli(), m.redis.PExpireTime(t.Context(), key).Val().Milliseconds())
				d.once = func() { m.move(t, key) }
				require.NoError(t, refresh())
				require.Nil(t, d.once)
				require.Equal(t, m.at(key, time.Hour).UnixMilli(), m.redis.PExpireTime(t.Context(), key).Val().Milliseconds())
			})
		}
	}
}
