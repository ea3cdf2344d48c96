package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/grants"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
)

// clockDrift is how far this machine's clock may be from the ledger's before expiry and start times are visibly wrong.
const clockDrift = 5 * time.Second

func (d *doctor) examine(ctx context.Context) {
	d.redis(ctx, "queue", d.cfg.Queue, func(ctx context.Context, client redis.UniversalClient) error {
		return redisconn.CheckQueue(ctx, client, false)
	})
	d.caches(ctx)
	d.ledger(ctx)
	d.sources(ctx)
}

func (d *doctor) redis(ctx context.Context, name string, cfg config.Redis, check func(context.Context, redis.UniversalClient) error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	client, err := redisconn.Open(ctx, name, cfg)
	if err != nil {
		d.failed(name, err, "check "+name+".url and the user's rights")
		return
	}
	defer func() { _ = client.Close() }()
	switch err := check(ctx, client); {
	case errors.Is(err, redisconn.ErrEvicts) && cfg.AllowEviction:
		d.found(name, warn, "its maxmemory-policy may evict tasks, and queue.allow_eviction accepts that", "CONFIG SET maxmemory-policy noeviction")
	case err != nil:
		d.failed(name, err, "check "+name+".url and the user's rights")
	default:
		d.found(name, ok, config.RedactURL(cfg.URL), "")
		d.redisRights(ctx, name, client)
	}
}

func (d *doctor) ledger(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	store, err := ledger.Open(ctx, d.cfg.Ledger)
	if err != nil {
		d.failed("ledger", err, "check ledger.dsn, that the server runs, and that the schema exists")
		return
	}
	defer func() { _ = store.Close() }()
	d.found("ledger", ok, config.RedactDSN(d.cfg.Ledger.DSN), "")
	have, want, err := store.Version(ctx)
	switch {
	case err != nil:
		d.found("ledger schema", fail, err.Error(), "grant ALL on the ledger's schema to its user")
	case have < want && *d.cfg.Ledger.Migrate:
		d.found("ledger schema", warn, fmt.Sprintf("is at version %d of %d", have, want), "`prewarm serve` brings it up to date at start")
	case have < want:
		d.found("ledger schema", fail, fmt.Sprintf("is at version %d of %d", have, want), "run `prewarm migrate`")
	case have > want:
		d.found("ledger schema", fail, fmt.Sprintf("is at version %d, and this prewarm knows %d", have, want), "use the newer prewarm")
	default:
		d.found("ledger schema", ok, fmt.Sprintf("version %d", have), "")
		d.grants(ctx, store)
	}
	d.mysqlRights(ctx, "ledger rights", store.DB(), grants.Ledger)
	d.clock(ctx, store)
}

// grants tries the four kinds of statement on the table of heartbeats, with a pod that nobody is and that has no slots.
func (d *doctor) grants(ctx context.Context, store *ledger.Store) {
	nobody := ledger.Pod{ID: "doctor." + rand.Text(), Version: versionText()}
	err := store.Beat(ctx, nobody)
	if err == nil {
		_, err = store.Pods(ctx, time.Minute)
	}
	if err == nil {
		err = store.Beat(ctx, nobody)
	}
	if gone := store.Leave(context.WithoutCancel(ctx), nobody.ID); err == nil {
		err = gone
	}
	if err != nil {
		d.found("ledger grants", fail, err.Error(), "grant SELECT, INSERT, UPDATE and DELETE on the ledger's schema to its user")
		return
	}
	d.found("ledger grants", ok, "select, insert, update, delete", "")
}

func (d *doctor) clock(ctx context.Context, store *ledger.Store) {
	began := time.Now()
	theirs, err := store.Now(ctx)
	if err != nil {
		d.failed("clock", err, "")
		return
	}
	drift := theirs.Sub(began.Add(time.Since(began) / 2)).Round(time.Millisecond)
	if drift.Abs() > clockDrift {
		d.found("clock", warn, fmt.Sprintf("this machine and the ledger are %s apart", drift.Abs()), "run NTP on both")
		return
	}
	d.found("clock", ok, fmt.Sprintf("within %s of the ledger's", drift.Abs()), "")
}

func (d *doctor) sources(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(d.cfg.Sources)) {
		var src *source.Source
		reached := d.try(ctx, "source "+name, func(ctx context.Context) (_ string, err error) {
			src, err = source.Open(ctx, name, d.cfg.Sources[name], d.cfg.Width.MaxPerPod)
			return config.RedactDSN(d.cfg.Sources[name].DSN), err
		})
		if reached {
			needed := grants.Reader
			if d.cfg.Feed.Binlog.Reads(name) {
				needed = grants.Follower
			}
			d.mysqlRights(ctx, "source "+name+" rights", src.DB(), needed)
		}
		for _, spec := range d.cfg.Datasets {
			if of, err := d.cfg.SourceOf(spec); err != nil || of != name {
				continue
			}
			if !reached {
				d.found("dataset "+spec.Name, warn, "was not checked, because source "+name+" cannot be used", "")
				continue
			}
			d.try(ctx, "dataset "+spec.Name, func(ctx context.Context) (string, error) { return d.dataset(ctx, src, spec) })
		}
		if reached {
			d.binlog(ctx, name, src)
			d.replicas(ctx, name, src)
			_ = src.Close()
		}
	}
	if d.counted > 0 && d.rows == 0 {
		d.found("shop "+d.shop, warn, "has no row in any dataset", "see that it is the id which the source's tables have for the shop")
	}
}

// dataset binds a declaration, which checks columns, types, index and the plan for any shop; then the plan for the shop
// that was named.
func (d *doctor) dataset(ctx context.Context, src *source.Source, spec dataset.Spec) (string, error) {
	bound, err := src.Bind(ctx, spec)
	if err != nil {
		return "", err
	}
	detail := "whole, in one query"
	if spec.Paged() {
		detail = "in pages, as a range on its index"
	}
	if d.shop == "" {
		return detail, nil
	}
	if err := bound.CheckShop(d.shop); err != nil {
		return "", fmt.Errorf("%w; name another with --shop", err)
	}
	report, err := bound.PlanCheck(ctx, d.shop)
	if err != nil {
		return "", err
	}
	if !report.Range {
		return "", fmt.Errorf("a page of shop %s is not read as a range on index %s (%s); run ANALYZE TABLE %s", d.shop, report.Index, report.Text, spec.Table)
	}
	rows, err := bound.Count(ctx, d.shop, countUpTo)
	if err != nil {
		return "", err
	}
	d.counted, d.rows = d.counted+1, d.rows+rows
	if report.Index != "" {
		detail = "in pages, as a range on " + report.Index
	}
	return fmt.Sprintf("%s; shop %s has %s rows", detail, d.shop, about(rows)), nil
}

// countUpTo is where the doctor stops counting a shop's rows.
const countUpTo = 1_000_000

func about(rows int64) string {
	if rows >= countUpTo {
		return fmt.Sprintf("%d or more", countUpTo)
	}
	return fmt.Sprint(rows)
}
