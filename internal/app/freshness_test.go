package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Flags of `make freshness`.
var (
	freshSeconds = flag.Int("freshness-seconds", 0, "seconds of writes of the bench of the freshness; 0: it does not run")
	freshRate    = flag.Int("freshness-rate", 1000, "writes a second, on warm shops")
	freshEvery   = flag.Duration("freshness-every", 5*time.Second, "how often changed rows are looked for, where the binlog is not read")
	freshReport  = flag.String("freshness-json", "", "file for the figures")
)

const (
	freshWriters = 4
	freshUsers   = 10_000
	freshWatched = 10 // one write in so many is watched, for the watching to leave the servers alone
	freshLook    = 5 * time.Millisecond
	freshLimit   = 10 * time.Second // after the last write nothing may be wrong
)

// freshness is what one way of finding changes gave.
type freshness struct {
	Feed    string  `json:"feed"`
	Writes  int     `json:"writes"`
	Rate    float64 `json:"writes_per_second"`
	Seen    int     `json:"watched"`
	Unseen  int     `json:"not_seen_within_the_limit"`
	P50     float64 `json:"p50_ms"`
	P90     float64 `json:"p90_ms"`
	P99     float64 `json:"p99_ms"`
	Max     float64 `json:"max_ms"`
	Removed float64 `json:"removals_p99_ms"` // of deleted and hidden rows only
	Settled float64 `json:"audit_passed_ms_after_the_last_write"`
	Deletes bool    `json:"deletes"` // changed_at does not find deleted rows: without the binlog none are deleted
}

// probe is a write that is watched until the cache shows it.
type probe struct {
	key     string
	want    string // that the value holds; empty: the key is gone
	written time.Time
}

// TestFreshness is no test but the bench of how late a change is in the cache, for `make freshness`.
func TestFreshness(t *testing.T) {
	if *freshSeconds == 0 {
		t.Skip("a bench, for make freshness")
	}
	figures := []freshness{measureFreshness(t, true), measureFreshness(t, false)}
	t.Logf("%-10s %8s %8s %8s %8s %8s %8s %10s %8s %10s", "feed", "writes", "per s", "p50 ms", "p90 ms", "p99 ms", "max ms", "removed", "unseen", "right after")
	for _, f := range figures {
		t.Logf("%-10s %8d %8.0f %8.0f %8.0f %8.0f %8.0f %10.0f %8d %10.0f", f.Feed, f.Writes, f.Rate, f.P50, f.P90, f.P99, f.Max, f.Removed, f.Unseen, f.Settled)
	}
	if *freshReport != "" {
		text, err := json.MarshalIndent(figures, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(*freshReport, append(text, '\n'), 0o600))
	}
}

func measureFreshness(t *testing.T, binlog bool) freshness {
	t.Helper()
	c, _ := binlogged(t)
	out := freshness{Feed: "binlog", Deletes: binlog}
	shops := []int{1001, 1002, 1003, 1004}
	for _, shop := range shops {
		seed(t, c.source, shop, freshUsers)
	}
	if !binlog {
		out.Feed = "changed_at"
		c.configure("feed: {binlog: {}}\n", "")
		c.refreshed()
		c.configure("changed_at: changed\n    refresh: {every: 1s}", fmt.Sprintf("changed_at: changed\n    refresh: {every: %s}", *freshEvery))
	}
	p := c.serve()
	c.announce(ka(shops[0], time.Now().Add(30*time.Minute)), ka(shops[1], time.Now().Add(30*time.Minute)))
	c.becomes(soon, shops[0], "ready")
	c.becomes(soon, shops[1], "ready")

	watch := newWatcher(t, c.cache)
	ctx, stop := context.WithTimeout(t.Context(), time.Duration(*freshSeconds)*time.Second)
	defer stop()
	var writers sync.WaitGroup
	counts := make([]int, freshWriters)
	began := time.Now()
	for w := range freshWriters {
		writers.Go(func() { counts[w] = writeUsers(ctx, t, c.source, watch, shops[w%2], w, binlog) })
	}
	time.Sleep(time.Duration(*freshSeconds) * time.Second / 3)
	c.announce(ka(shops[2], time.Now().Add(30*time.Minute)), ka(shops[3], time.Now().Add(30*time.Minute))) // the loading
	writers.Wait()
	last := time.Now()
	for _, n := range counts {
		out.Writes += n
	}
	out.Rate = float64(out.Writes) / last.Sub(began).Seconds()
	for got := (map[string]any)(nil); got["state"] != "passed"; {
		require.Less(t, time.Since(last), *freshEvery+freshLimit, "the audit finds something: %v", got)
		got = c.audited(p, map[string]any{})
		out.Settled = float64(time.Since(last).Milliseconds())
	}
	watch.finish(&out)
	return out
}

// writeUsers changes one user of a shop after the other: most are changed, some hidden, some deleted, and come back the next time.
func writeUsers(ctx context.Context, t *testing.T, db *sql.DB, watch *watcher, shop, writer int, deletes bool) (n int) {
	state := map[int]int{} // 0: there, 1: hidden, 2: deleted
	tick := time.NewTicker(time.Second * freshWriters / time.Duration(*freshRate))
	defer tick.Stop()
	for user := writer / 2; ; user += 2 {
		id := user%freshUsers*3 + 3
		if watch.waits(shop, id) {
			continue
		}
		name := fmt.Sprintf("w%d-%d", writer, n)
		query, want, next := "UPDATE shop_users SET nickname = ? WHERE shop_id = ? AND user_id = ? AND deleted_at IS NULL", name, 0
		switch {
		case state[id] == 1:
			query = "UPDATE shop_users SET nickname = ?, deleted_at = NULL WHERE shop_id = ? AND user_id = ?"
		case state[id] == 2:
			query = "INSERT INTO shop_users (nickname, shop_id, user_id, level, balance) VALUES (?, ?, ?, 1, 1)"
		case n%10 == 3:
			query, want, next = "UPDATE shop_users SET nickname = ?, deleted_at = NOW() WHERE shop_id = ? AND user_id = ?", "", 1
		case n%10 == 7 && deletes:
			query, want, next = "DELETE FROM shop_users WHERE nickname <> ? AND shop_id = ? AND user_id = ?", "", 2
		}
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
		}
		done, err := db.ExecContext(context.WithoutCancel(ctx), query, name, shop, id)
		if err != nil {
			t.Error(err)
			return n
		}
		changed, err := done.RowsAffected()
		if state[id] = next; err == nil && changed == 1 && n%freshWatched == n/freshWatched%freshWatched {
			watch.add(probe{key: fmt.Sprintf("user:%d:%d", shop, id), want: want, written: time.Now()})
		}
		n++
	}
}

// watcher looks for what was written, apart from all that brings it there.
type watcher struct {
	t     *testing.T
	cache *redis.Client
	stop  context.CancelFunc
	done  chan struct{}

	mu      sync.Mutex
	open    map[string]probe
	seen    []float64 // ms
	removed []float64
}

func newWatcher(t *testing.T, cache *redis.Client) *watcher {
	ctx, stop := context.WithCancel(t.Context())
	w := &watcher{t: t, cache: cache, stop: stop, done: make(chan struct{}), open: map[string]probe{}}
	go w.run(ctx)
	return w
}

func (w *watcher) add(p probe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[p.key] = p
}

func (w *watcher) waits(shop, user int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.open[fmt.Sprintf("user:%d:%d", shop, user)]
	return ok
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(freshLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.look(ctx)
	}
}

func (w *watcher) look(ctx context.Context) {
	w.mu.Lock()
	var all []probe
	for _, p := range w.open {
		all = append(all, p)
	}
	w.mu.Unlock()
	if len(all) == 0 {
		return
	}
	values := make([]*redis.StringCmd, len(all))
	_, _ = w.cache.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, p := range all {
			values[i] = pipe.Get(ctx, p.key)
		}
		return nil
	})
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range all {
		text, err := values[i].Result()
		gone := err == redis.Nil //nolint:errorlint // go-redis returns it bare
		if p.want == "" && gone || p.want != "" && err == nil && strings.Contains(text, `"`+p.want+`"`) {
			delete(w.open, p.key)
			late := float64(now.Sub(p.written).Microseconds()) / 1000
			if w.seen = append(w.seen, late); p.want == "" {
				w.removed = append(w.removed, late)
			}
		}
	}
}

// finish puts the figures together.
func (w *watcher) finish(out *freshness) {
	w.stop()
	<-w.done
	slices.Sort(w.seen)
	slices.Sort(w.removed)
	at := func(all []float64, part float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return all[min(len(all)-1, int(part*float64(len(all))))]
	}
	out.Seen, out.Unseen = len(w.seen), len(w.open)
	out.P50, out.P90, out.P99, out.Max, out.Removed = at(w.seen, .5), at(w.seen, .9), at(w.seen, .99), at(w.seen, 1), at(w.removed, .99)
}
