package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
)

// nowhere is a ledger that records nothing. No unit that it is given has expiries to move.
type nowhere struct{ load.Ledger }

func (nowhere) Checkpoint(context.Context, ledger.Unit, []ledger.Reject) error { return nil }
func (nowhere) Finish(context.Context, ledger.Unit, []ledger.Reject) (ledger.Settled, error) {
	return ledger.StillOpen, nil
}

// alone sizes pages as the product does while nobody else reads the source.
type alone struct {
	policy config.Policy
	mu     sync.Mutex
	pager  pace.Pager
}

func (a *alone) Rows(string, string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pager.Rows
}

func (a *alone) Read(r load.PageRead) {
	a.mu.Lock()
	defer a.mu.Unlock()
	po := a.policy
	a.pager, _ = a.pager.Next(pace.Page{Rows: r.Rows, Bytes: r.Bytes, Time: r.Time}, guard.Grow,
		pace.Pages{Target: po.PageTime, Bytes: po.PageBytes, Min: po.PageRowsMin, Max: po.PageRowsMax, Alone: po.PageRows})
}

// line is the product's pipeline in this process: one slot without its queue, so that parts of it can be left out.
type line struct {
	store  *ledger.Store
	src    *source.Source
	cache  redis.UniversalClient
	queue  redis.UniversalClient
	leases *lease.Manager
	users  *source.Bound
	loader *load.Loader
}

func (s *stand) line(ctx context.Context, without string) (l *line, err error) {
	l = &line{}
	s.ledgers++
	name := fmt.Sprintf("%s_%d", ledgerSchema, s.ledgers)
	if _, err := s.mysql.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	if l.store, err = ledger.Open(ctx, config.Ledger{DSN: s.near.dsn(name), Pool: 8}); err != nil {
		return nil, err
	}
	if err := l.store.Migrate(ctx); err != nil {
		return nil, err
	}
	if l.src, err = source.Open(ctx, "main", config.Source{DSN: s.near.dsn(sourceSchema)}, 4); err != nil {
		return nil, err
	}
	spec := dataset.Spec{Name: "users", Table: "shop_users", Shop: "shop_id", By: []string{"user_id"}, Columns: columns, Key: "user:{shop}:{user_id}", Value: dataset.ValueJSON}
	if l.users, err = l.src.Bind(ctx, spec); err != nil {
		return nil, err
	}
	if l.cache, err = redisconn.Open(ctx, "cache", config.Redis{URL: "redis://" + s.near.cache}); err != nil {
		return nil, err
	}
	if l.queue, err = redisconn.Open(ctx, "queue", config.Redis{URL: "redis://" + s.near.queue}); err != nil {
		return nil, err
	}
	l.leases = lease.New(l.queue, 5*time.Minute)
	po := config.Defaults().Policy
	l.loader = &load.Loader{Ledger: l.store, Cache: cache.New(l.cache), Metrics: load.NewMetrics(prometheus.NewRegistry(), nil),
		Limits: load.Limits{PageRows: po.PageRows, Together: load.DefaultTogether, PageBytes: po.PageBytes, MaxRejects: po.MaxRejects},
		Sizes:  &alone{policy: po, pager: pace.Pager{}.First(po.PageRows, pace.Pages{})}}
	switch without {
	case "no_ledger":
		l.loader.Ledger = nowhere{}
	case "no_metrics":
		l.loader.Metrics = nil
	}
	return l, nil
}

func (l *line) close() {
	_ = l.store.Close()
	_ = l.src.Close()
	_ = l.cache.Close()
	_ = l.queue.Close()
}

// pipeline loads all shops in this process, as whole units, one after the other.
func (s *stand) pipeline(ctx context.Context, without string) (figures, error) {
	if err := s.empty(ctx); err != nil {
		return figures{}, err
	}
	l, err := s.line(ctx, without)
	if err != nil {
		return figures{}, err
	}
	defer l.close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ended := make(chan error, 1)
	go func() {
		for shop := range s.rows {
			if err := l.shop(ctx, fmt.Sprint(shop+1), without != "no_ledger"); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	f, err := s.watch(ctx, cpuOfThis, s.o.rows+len(s.rows))
	if err != nil {
		return f, err
	}
	err = <-ended
	runtime.ReadMemStats(&after)
	f.Allocs = float64(after.Mallocs-before.Mallocs) / float64(s.o.rows)
	return f, err
}

func (l *line) shop(ctx context.Context, shop string, leased bool) error {
	id := uuid.Must(uuid.NewV7())
	ends := time.Now().Add(time.Hour)
	r, _, err := l.store.Create(ctx, ledger.Run{ID: fmt.Sprintf("%x", id[:]), ShopID: shop, BroadcastID: "b-" + shop, State: ledger.RunPlanned,
		StartsAt: time.Now(), EndsAt: ends, Deadline: ends, PlannedStart: time.Now()})
	if err != nil {
		return err
	}
	if err := l.store.WritePlan(ctx, r.ID, r.Epoch, ledger.Kept{}, []ledger.Unit{{Dataset: "users"}}); err != nil {
		return err
	}
	u, err := l.store.Claim(ctx, r.ID, r.Epoch, 0, 0, "bench")
	if err != nil {
		return err
	}
	hold, err := l.leases.Join(ctx, shop, r.ID, r.BroadcastID)
	if err != nil {
		return err
	}
	defer hold.Leave()
	renew := hold.Renew
	if !leased {
		renew = func(context.Context) error { return nil }
	}
	_, err = l.loader.Load(ctx, load.Job{Unit: u, Shop: shop, Dataset: l.users, Renew: renew, Proceed: func(context.Context) error { return nil },
		Expiry: cache.Expiry{Until: ends.Add(30 * time.Minute), Jitter: 10 * time.Minute}})
	return err
}

// profile writes a CPU profile of the pipeline.
func (s *stand) profile(ctx context.Context, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	for range s.o.runs {
		got, err := s.pipeline(ctx, strings.TrimPrefix(s.o.only, "pipeline_"))
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%.0f rows/s, %.2f CPU s/M (%.2f here), %.2f allocations a row\n", got.Rate, got.CPU, got.Client, got.Allocs)
	}
	return nil
}
