package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/faults/check"
)

const (
	places   = 3
	pageRows = 20
	maxWidth = 6
	// progressWithin is the promise: so long after the last fault has ended, work goes on.
	progressWithin = 20 * time.Second
	// restWithin bounds the wait for the end of all runs after the last fault.
	restWithin = 150 * time.Second
)

// shop is one of the evening's shops.
type shop struct{ id, rows int }

// evening is one evening: servers, pods, the driver, the faults.
type evening struct {
	*backend
	seed    uint64
	dir     string
	program string
	newer   bool // the program knows `write: newer`
	places  []*place
	taps    []*tap
	shops   []shop
	history *check.History
	began   time.Time
	rng     *rand.Rand // of who sets things up
	emptied moments    // at which the cache was

	good bool // nothing of it needs to be looked at

	losses   atomic.Int64 // of the cache: moves before and after each
	mu       sync.Mutex
	lines    []string        // what happened, for people
	problems []check.Problem // the first of each kind
	counts   map[string]int  // of all, by kind
}

// say adds a line to the evening's own log.
func (e *evening) say(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lines = append(e.lines, fmt.Sprintf("%6.2fs  %s", time.Since(e.began).Seconds(), fmt.Sprintf(format, args...)))
}

// mostShown and mostLogged are how many of one kind of problem are shown; a cache that was lost is thousands of missing rows.
const (
	mostShown  = 3
	mostLogged = 100
)

// problem notes what must not be.
func (e *evening) problem(kind, text string) {
	e.mu.Lock()
	e.counts[kind]++
	n := e.counts[kind]
	e.mu.Unlock()
	if n <= mostLogged {
		e.say("PROBLEM %s: %s", kind, text)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n > mostShown {
		return
	}
	e.problems = append(e.problems, check.Problem{Kind: kind, Text: text})
}

// config is a pod's file. Each pod has a database user of its own, by which the log knows it.
func (e *evening) config(p *place, name string) string {
	dsn := func(route, schema string) string {
		return fmt.Sprintf("%s@tcp(%s)/%s", name, p.links[route].Addr(), schema)
	}
	return e.configOf("redis://"+p.links["queue"].Addr()+"/0", "redis://"+p.links["cache"].Addr()+"/0", dsn("ledger", ledgerSchema), dsn("source", sourceSchema))
}

func (e *evening) configOf(queue, cache, ledger, source string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "queue: {url: %q}\ncache: {url: %q}\nledger: {dsn: %q}\nsources: {main: {dsn: %q, statement_time: 3s}}\n", queue, cache, ledger, source)
	fmt.Fprintf(&b, "http: {listen: \"127.0.0.1:0\"}\nwidth: {min: 4, max: %d, max_per_pod: 3}\npolicy:\n", maxWidth)
	fmt.Fprintf(&b, "  warm_when: {min_rows: 300}\n  ready_before: 2s\n  lead: 8s\n  lease: 8s\n  pod_dead: 5s\n  page_rows: %d\n  unit_rows: 1000\n", pageRows)
	b.WriteString("  retry: {attempts: 3, backoff: {first: 500ms, max: 2s}}\ndatasets:\n")
	for _, k := range kinds {
		b.WriteString(k.yaml(e.newer))
	}
	return b.String()
}

// newEvening starts everything and waits until a pod serves.
func newEvening(t *testing.T, program string, seed uint64) *evening {
	t.Helper()
	dir, err := os.MkdirTemp("", fmt.Sprintf("prewarm-evening-%d-", seed)) //nolint:usetesting // a bad evening's logs stay
	require.NoError(t, err)
	e := &evening{seed: seed, dir: dir, program: program, history: check.NewHistory(), counts: map[string]int{}, began: time.Now(), rng: rand.New(rand.NewPCG(seed, 0))}
	t.Cleanup(func() { e.forget(t) })
	e.backend = newBackend(t, dir)
	for _, table := range tables {
		_, err := e.source.ExecContext(t.Context(), table+" CHARSET=utf8mb4")
		require.NoError(t, err)
	}
	sizes := []int{200, 250, 320, 400, 500, 600, 800, 1000, 1200, 1500, 1800, 2200, 3000}
	if seed%5 == 0 {
		sizes = append(sizes, 9000)
	}
	for i, rows := range sizes {
		s := shop{id: 101 + i, rows: rows + e.rng.IntN(100)}
		e.shops = append(e.shops, s)
		seedShop(t, e.source, s.id, s.rows)
	}
	require.NoError(t, seedBodies(t.Context(), e.source))
	e.migrate(t)
	require.NoError(t, check.Install(t.Context(), e.ledger, logSchema))
	require.NoError(t, e.installRefusals(t.Context()))
	for i := range places {
		e.taps = append(e.taps, newTap())
		e.places = append(e.places, newPlace(t, e, i))
	}
	t.Cleanup(func() { e.close(t) })
	require.Eventually(t, func() bool {
		n := 0
		for _, p := range e.places {
			if p.url() != "" {
				n++
			}
		}
		return n == places
	}, time.Minute, 20*time.Millisecond, "the pods do not serve; their logs are in %s", dir)
	return e
}

// migrate makes the ledger's tables, and finds out what the program's datasets can do.
func (e *evening) migrate(t *testing.T) {
	t.Helper()
	try := func() ([]byte, error) {
		path := filepath.Join(e.dir, "migrate.yaml")
		dsn := "evening@tcp(" + e.db.Addr + ")/"
		text := e.configOf("redis://"+e.queue.Addr+"/0", "redis://"+e.cache.Addr+"/0", dsn+ledgerSchema, dsn+sourceSchema)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return exec.CommandContext(t.Context(), e.program, "migrate", "--config", path).CombinedOutput()
	}
	e.newer = true
	said, err := try()
	if err != nil && strings.Contains(string(said), "write") {
		e.newer = false
		said, err = try()
	}
	require.NoError(t, err, string(said))
}

// close ends the pods. The servers end with the test; a good evening leaves nothing.
func (e *evening) close(t *testing.T) {
	t.Helper()
	for _, p := range e.places {
		p.close()
	}
}

// forget removes what a good evening has written.
func (e *evening) forget(t *testing.T) {
	t.Helper()
	if !e.good {
		return
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Error(err)
	}
}

// run is the evening itself.
func (e *evening) run(ctx context.Context, plan []event) *outcome {
	e.began = time.Now()
	out := &outcome{Seed: e.seed, Dir: e.dir, Faults: map[string]int{}, Newer: e.newer}
	editing, stopEditing := context.WithCancel(ctx)
	ed := &editor{db: e.source, rng: rand.New(rand.NewPCG(e.seed, 1)), history: e.history, shops: e.shops}
	d := newDriver(e)
	var wg sync.WaitGroup
	wg.Go(func() { ed.run(editing) })
	if e.newer {
		wg.Go(func() { e.sample(editing) })
	}
	var driving sync.WaitGroup
	driving.Go(func() { d.run(ctx, *length) })
	ends := e.inflict(ctx, plan, out)
	driving.Wait()
	d.finish(ctx)
	last := time.Now()
	e.say("the last fault is over, the driver has finished")
	e.settle(ctx, last, out)
	stopEditing()
	wg.Wait()
	out.Edits, out.Broadcasts = ed.edits, len(d.all)
	for _, heal := range ends {
		if next, ok, err := check.NextMove(ctx, e.ledger, logSchema, heal); err == nil && ok {
			out.Progress = append(out.Progress, next.Sub(heal).Seconds())
		}
	}
	e.judge(ctx, d, out)
	out.Seconds = time.Since(e.began).Seconds()
	return out
}

// settle waits until nothing is left to do, and wants movement all the while.
func (e *evening) settle(ctx context.Context, from time.Time, out *outcome) {
	moved, newest := from, int64(-1)
	stood := false
	for time.Since(from) < restWithin && ctx.Err() == nil {
		open, due, id, err := e.work(ctx)
		if err == nil && open == 0 {
			open, err = e.coming(ctx)
		}
		if err != nil {
			e.problem("server not back", err.Error())
			return
		}
		if id != newest || due == 0 {
			moved, newest = time.Now(), id
		}
		if open == 0 {
			out.Rest = time.Since(from).Seconds()
			return
		}
		if idle := time.Since(moved); idle > progressWithin && !stood {
			stood = true
			e.problem("no progress", fmt.Sprintf("for %s, with %d units or plans due, after the last fault was over\n%s", idle.Round(time.Second), due, e.openWork(ctx)))
		}
		pause(ctx, 250*time.Millisecond)
	}
	out.Rest = restWithin.Seconds()
	e.problem("not at rest", fmt.Sprintf("%s after the last fault:\n%s", restWithin, e.openWork(ctx)))
}

// work is how much is open (runs without an end, units of a present epoch to be worked on), how much of that is due now, and
// the newest entry of the log.
func (e *evening) work(ctx context.Context) (open, due int, newest int64, err error) {
	err = e.ledger.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM runs WHERE state IN ('planned', 'warming')) + (SELECT COUNT(*) FROM runs r JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch
			WHERE r.state = 'ready' AND u.state IN ('waiting', 'running')),
		(SELECT COUNT(*) FROM runs r LEFT JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch WHERE r.state IN ('planned', 'warming', 'ready')
			AND (u.state IN ('waiting', 'running') OR (u.unit IS NULL AND r.state <> 'ready')) AND r.planned_start_us < UNIX_TIMESTAMP(SYSDATE(6)) * 1000000),
		(SELECT COALESCE(MAX(id), 0) FROM `+logSchema+`.moves)`).Scan(&open, &due, &newest)
	return open, due, newest, err
}

// coming is how many requests and plans are on their way: one whose pod was cut off comes again, and may open a run that is called off.
func (e *evening) coming(ctx context.Context) (n int, err error) {
	for _, list := range []string{"pending", "active"} {
		length, err := e.queueClient.LLen(ctx, "asynq:{intake}:"+list).Result()
		if err != nil {
			return 0, err
		}
		n += int(length)
	}
	retried, err := e.queueClient.ZCard(ctx, "asynq:{intake}:retry").Result()
	return n + int(retried), err
}

// openWork says what is open, for people.
func (e *evening) openWork(ctx context.Context) string {
	var b strings.Builder
	rows, err := e.ledger.QueryContext(ctx, `SELECT CONCAT_WS(' ', 'run', r.run_id, 'shop', r.shop_id, r.state, 'epoch', r.epoch, 'start', r.planned_start_at, 'unit', u.unit, u.dataset, u.state, 'rows',
		u.rows_done, 'claim', u.claim, 'seq', u.task_seq, 'attempts', u.attempts, 'touch', u.touch, u.owner, u.updated_at, u.last_error)
		FROM runs r LEFT JOIN units u ON u.run_id = r.run_id AND u.epoch = r.epoch AND u.state IN ('waiting', 'running')
		WHERE r.state IN ('planned', 'warming') OR (r.state = 'ready' AND u.unit IS NOT NULL) LIMIT 30`)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		_ = rows.Scan(&line)
		b.WriteString("    " + line + "\n")
	}
	return b.String()
}

// judge has the checker look at everything.
func (e *evening) judge(ctx context.Context, d *driver, out *outcome) {
	c := check.Config{
		Ledger: e.ledger, Log: logSchema, Source: e.source, Cache: e.cacheClient, History: e.history,
		After: 30 * time.Minute, Jitter: 10 * time.Minute, Announced: d.announced(), Emptied: e.emptied.all(),
	}
	for _, k := range kinds {
		c.Datasets = append(c.Datasets, k.dataset())
	}
	res, err := check.Check(ctx, c)
	if err != nil {
		e.problem("checker", err.Error())
		return
	}
	for _, p := range res.Problems {
		e.problem(p.Kind, p.Text)
	}
	out.States, out.Checked = res.States, res.Checked
	for _, took := range res.Takeover {
		out.Takeover = append(out.Takeover, took.Seconds())
	}
	for i := range e.taps {
		for shop, n := range e.taps[i].sent() {
			out.Sent += n
			res.PerShop[shop] -= n
		}
	}
	for _, s := range e.shops {
		if again := -res.PerShop[fmt.Sprint(s.id)]; again > 0 {
			out.Redone += again
		}
	}
	// A page in each slot's hand is lost by a fault, and by whoever moves, calls off or pauses what is being loaded.
	slots, times := int64(maxWidth), int64(len(out.Kinds)+d.moves)
	if most := times * slots * 2 * pageRows; out.Redone > most {
		e.problem("redone", fmt.Sprintf("%d rows were written again: more than two pages of %d rows per slot (%d) and fault or switch (%d)", out.Redone, pageRows, slots, times))
	}
}

// sample polls rows of the dataset in which an older version must never replace a newer one.
func (e *evening) sample(ctx context.Context) {
	newest, lost := map[string]int64{}, int64(0)
	for pause(ctx, 20*time.Millisecond) {
		var keys []string
		for _, s := range e.shops {
			for n := 1; n <= 5; n++ {
				keys = append(keys, fmt.Sprintf("hot:%d:%d", s.id, idOf(s.id, n)))
			}
		}
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		values, err := e.cacheClient.MGet(bounded, keys...).Result()
		cancel()
		if err != nil {
			continue
		}
		if now := e.losses.Load(); now != lost { // an empty cache may get any version
			clear(newest)
			lost = now
			continue
		}
		for i, v := range values {
			text, ok := v.(string)
			if !ok {
				continue
			}
			version := versionIn(text)
			if version < newest[keys[i]] {
				e.problem(check.Version, fmt.Sprintf("%s went from version %d to %d", keys[i], newest[keys[i]], version))
			}
			newest[keys[i]] = version
		}
	}
}

func versionIn(document string) (n int64) {
	_, after, _ := strings.Cut(document, `"version":`)
	_, _ = fmt.Sscan(strings.TrimRight(strings.SplitN(after, ",", 2)[0], "}"), &n)
	return n
}

// save leaves what is needed to understand a bad evening.
func (e *evening) save(ctx context.Context) {
	e.mu.Lock()
	text := strings.Join(e.lines, "\n") + "\n"
	e.mu.Unlock()
	_ = os.WriteFile(filepath.Join(e.dir, "evening.log"), []byte(text), 0o600)
	for _, table := range []string{ledgerSchema + ".runs", ledgerSchema + ".units", ledgerSchema + ".requests", ledgerSchema + ".pods", ledgerSchema + ".events", logSchema + ".moves"} {
		_ = e.dump(ctx, table)
	}
}

func (e *evening) dump(ctx context.Context, table string) error {
	rows, err := e.ledger.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(e.dir, table+".tsv"))
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintln(f, strings.Join(names, "\t"))
	values := make([]any, len(names))
	for i := range values {
		values[i] = new([]byte)
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return err
		}
		line := make([]string, len(names))
		for i, v := range values {
			line[i] = strings.NewReplacer("\t", " ", "\n", " ").Replace(string(*v.(*[]byte)))
		}
		fmt.Fprintln(f, strings.Join(line, "\t"))
	}
	return rows.Err()
}
