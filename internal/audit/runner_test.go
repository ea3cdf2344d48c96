package audit_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// ready is a run of a shop that is ready, as the ledger has it.
func (p *place) ready(t *testing.T, store *ledger.Store, shop string) ledger.Run {
	t.Helper()
	run, _, err := store.Create(t.Context(), ledger.Run{ID: "0123456789abcdef0123456789abcde" + shop, ShopID: shop, BroadcastID: "b", State: ledger.RunPlanned,
		StartsAt: ends.Add(-time.Hour), EndsAt: ends, Deadline: ends.Add(-time.Hour), PlannedStart: time.Now()})
	require.NoError(t, err)
	var units []ledger.Unit
	for _, b := range p.bound {
		units = append(units, ledger.Unit{Dataset: b.Spec().Name})
	}
	require.NoError(t, store.WritePlan(t.Context(), run.ID, run.Epoch, ledger.Kept{}, units))
	for i := range units {
		u, err := store.Claim(t.Context(), run.ID, run.Epoch, i, 0, "pod")
		require.NoError(t, err)
		u.Pages = 1
		_, err = store.Finish(t.Context(), u, nil)
		require.NoError(t, err)
	}
	run, err = store.Run(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.RunReady, run.State)
	return run
}

// reschedule moves a run's end, and the expiries of the shop's keys: all of them, or some while the others are still to be moved.
func (p *place) reschedule(ctx context.Context, store *ledger.Store, run ledger.Run, by time.Duration, all bool) error {
	end := run.EndsAt.Add(by)
	if err := store.Reschedule(ctx, run, ledger.Times{StartsAt: run.StartsAt, EndsAt: end, Deadline: run.Deadline, PlannedStart: run.PlannedStart}, "r"); err != nil {
		return err
	}
	later := expiry
	later.Until = end
	keys, err := p.redis.Keys(ctx, "*:"+run.ShopID+":*").Result()
	if err != nil {
		return err
	}
	for i, key := range append(keys, "shop:"+run.ShopID) {
		if all || i%2 == 0 {
			if err := p.redis.PExpireAt(ctx, key, later.At([]byte(key))).Err(); err != nil {
				return err
			}
		}
	}
	due, err := store.WaitingOf(ctx, run)
	for _, d := range due {
		if !all || err != nil {
			break
		}
		var u ledger.Unit
		if u, err = store.Claim(ctx, run.ID, run.Epoch, d.Unit.Unit, d.TaskSeq, "pod"); err == nil {
			_, err = store.Carried(ctx, u, "moved")
		}
	}
	return err
}

func TestAnAuditGoesByTheEndsThatTheBroadcastsHaveThen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at  string // the shop that is looked at when shop 2's end moves
		by  time.Duration
		all bool
	}{
		"while another shop has its turn, to later":   {"1", time.Hour, true},
		"while another shop has its turn, to earlier": {"1", -time.Hour, true},
		"while another shop has its turn, half moved": {"1", time.Hour, false},
		"at its turn, to later":                       {"2", time.Hour, true},
		"at its turn, to earlier":                     {"2", -time.Hour, true},
		"at its turn, half moved":                     {"2", time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, testenv.OwnRedis(t).URL, specs)
			store := remover(t, p).Ledger
			runs := map[string]ledger.Run{}
			for _, shop := range []string{"1", "2"} {
				p.seed(t, int(shop[0]-'0'), 50)
				p.load(t, shop)
				runs[shop] = p.ready(t, store, shop)
			}
			var once sync.Once
			var moved map[string]string
			r := &audit.Runner{Ledger: store, Cache: func(string) (redis.UniversalClient, error) { return p.redis, nil },
				Expire: config.Expire{Jitter: jitter}, Settle: 20 * time.Millisecond, Owner: "pod", Alerts: alert.New(alert.Config{Log: slog.New(slog.DiscardHandler)}),
				Metrics: audit.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
				Proceed: func(ctx context.Context, shop, _ string) (err error) {
					if shop == c.at {
						once.Do(func() {
							err = p.reschedule(ctx, store, runs["2"], c.by, c.all)
							moved = p.state(t)
						})
					}
					return err
				}}
			for _, b := range p.bound {
				r.Datasets = append(r.Datasets, b)
			}
			_, err := store.RequestAudit(t.Context(), ledger.Audit{ID: "a", Kind: ledger.AuditByHand, Repair: true, Sample: 100, Who: "me"})
			require.NoError(t, err)
			require.NoError(t, r.Once(t.Context(), false))
			done, found, err := store.Audit(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, ledger.AuditPassed, done.State, done.LastError)
			require.Equal(t, 2, done.ShopsDone)
			require.EqualValues(t, 2*(45+50+3), done.AuditCounts.Keys)
			require.Empty(t, found)
			require.Zero(t, done.Wrong())
			require.NotEmpty(t, moved)
			require.Equal(t, moved, p.state(t), "what was moved is not taken back")
		})
	}
}
