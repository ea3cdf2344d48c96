package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// Flags of `make bench-pace`.
var (
	benchSeconds = flag.Int("pace-seconds", 0, "seconds of each cell of the bench of the width; 0: it does not run")
	benchRounds  = flag.Int("pace-rounds", 3, "how often each cell is measured; what is said are medians")
	benchRate    = flag.Int64("pace-rate", 1000, "live point reads a second of the database, and a quarter of that of Redis")
	benchPin     = flag.Bool("pace-pin", true, "give the database half of the cores for its own")
	benchCells   = flag.String("pace-cells", "1,2,4,8,16,32", "fixed widths")
	benchPages   = flag.String("pace-pages", "500,5000", "fixed rows of a page; 0: as the law sizes pages, which are put together")
	benchSurge   = flag.Bool("pace-surge", true, "double the live load beside the controller")
	benchGroup   = flag.String("pace-group", "", "MySQL's resource group that all settings read in, of the lowest priority; it is made")
	benchReport  = flag.String("pace-json", "", "file for the figures")
)

const (
	benchShops = 24
	benchUsers = 50_000
	benchPods  = 2
	settleFor  = 10 * time.Second // until units are planned and slots are at work; the first deadline is a little later
	growFor    = 45 * time.Second // until the controller's width is what it stays; a fixed one waits as long, or it would be asked for less
	// After the last plan was made, as what slots do meanwhile tells the controller nothing; it counts what they do, tries more, and those before once more
	// if these did hardly enough.
	tryFor = 45 * time.Second
)

func liveKey(shop, user int) string { return fmt.Sprintf("user:%d:%d", shop, user) }

// cell is one setting of the bench and what it gave.
type cell struct {
	Name     string      `json:"name"`
	Width    float64     `json:"width"` // slots, on average
	PageRows float64     `json:"page_rows"`
	Rows     float64     `json:"rows_per_second"`
	Missed   int         `json:"deadlines_missed"`
	Of       int         `json:"deadlines"`
	Late     float64     `json:"seconds_late_at_most"`
	Live     feltLatency `json:"live"`
	Planning feltLatency `json:"live_while_planned"` // all its shops, the first of which are loaded meanwhile
	Planned  float64     `json:"planned_seconds"`    // until they were
	Reasons  []string    `json:"reasons,omitempty"`  // for the width, each with its second after the announcement

	OfBest float64 `json:"of_best"` // rows/s, of the fastest fixed setting's in the same round, looked at again beside the controller
	OfIdle float64 `json:"of_idle"` // p99 of the live reads, of what they took while the work was paused

	PlanningOfIdle float64 `json:"planning_of_idle"`
}

type surge struct {
	Before float64     `json:"database_seconds_per_second_before"`
	During float64     `json:"from_3s_on"`
	Cut    float64     `json:"cut"`
	Fell   float64     `json:"seconds_until_80_percent_less"` // below 0: never
	Back   float64     `json:"seconds_after_its_end_until_80_percent_are_back"`
	Live   feltLatency `json:"live"`
	Why    []string    `json:"why"` // the reasons for the width, each with its second after the surge's beginning
}

// benchFigures are medians of the rounds; deadlines are added up.
type benchFigures struct {
	Rounds int         `json:"rounds"`
	Idle   feltLatency `json:"idle"`
	Cells  []cell      `json:"cells"`
	Surges []surge     `json:"surges,omitempty"` // one beside each look at the controller
}

// bench is the servers and the live load.
type bench struct {
	*cluster
	db    *testenv.MySQLServer
	live  *liveLoad
	speed float64 // rows a second of the calibration, which deadlines are made of
	cells int     // so far
	runs  int     // that the cell has announced

	// The controller has a ledger of its own: what fixed settings did to the servers is no usual level of them.
	ownLedger    *sql.DB
	ownLedgerDSN string
}

// swap changes the ledger.
func (b *bench) swap() {
	b.ledger, b.ownLedger = b.ownLedger, b.ledger
	b.ledgerDSN, b.ownLedgerDSN = b.ownLedgerDSN, b.ledgerDSN
}

// TestPace is no test but the bench of the width, for `make bench-pace`.
func TestPace(t *testing.T) {
	if *benchSeconds == 0 {
		t.Skip("a bench, for make bench-pace")
	}
	b := newBench(t)
	b.speed = 1e6
	b.speed = b.calibrate().Rows // finds the database's memory cold
	figures := benchFigures{Rounds: max(*benchRounds, 1)}
	var idle []feltLatency
	cells := map[string][]cell{}
	for n := range figures.Rounds {
		round, alone, surges := b.round()
		idle, figures.Surges = append(idle, alone), append(figures.Surges, surges...)
		for _, c := range round {
			cells[c.Name] = append(cells[c.Name], c)
			if n == 0 {
				figures.Cells = append(figures.Cells, c)
			}
		}
	}
	for i, c := range figures.Cells {
		figures.Cells[i] = overRounds(cells[c.Name])
	}
	figures.Idle = medianLatency(idle)
	b.live.end()
	t.Log("\n" + figures.table())
	if *benchReport != "" {
		text, err := json.MarshalIndent(figures, "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(*benchReport, text, 0o600))
	}
}

// round measures every setting once.
func (b *bench) round() (cells []cell, idle feltLatency, surges []surge) {
	b.speed = b.calibrate().Rows
	var alone []feltLatency
	measure := func(name string, width, page int, part float64) cell {
		r := b.cell(name, width, page, part, turns)
		alone = append(alone, r.alone)
		r.OfIdle, r.PlanningOfIdle = r.Live.P99/r.alone.P99, r.Planning.P99/r.alone.P99
		if r.surge != nil {
			surges = append(surges, *r.surge)
		}
		return r.cell
	}
	fastest, best := -1, b.calibrate // if there is no fixed setting
	for _, page := range numbers(b.t, *benchPages) {
		for _, w := range numbers(b.t, *benchCells) {
			again := func() cell { return measure(fmt.Sprintf("width %d, pages of %d", w, page), w, page, asked) }
			if cells = append(cells, again()); fastest < 0 || cells[len(cells)-1].Rows > cells[fastest].Rows {
				fastest, best = len(cells)-1, again
			}
		}
	}
	for i := range cells {
		cells[i].OfBest = cells[i].Rows / cells[fastest].Rows
	}
	// The controller is compared with what the fastest setting does when it is looked at again: the look that made it the fastest was a lucky one,
	// and the machine may have become slower since.
	controller := measure("controller", 0, 0, asked)
	beside := best().Rows
	b.t.Logf("beside the controller the fastest fixed setting did %.0f rows/s", beside)
	for _, c := range []cell{controller, measure("controller, asked for too much", 0, 0, tooMuch)} {
		c.OfBest = c.Rows / beside
		cells = append(cells, c)
	}
	return cells, medianLatency(alone), surges
}

// calibrate is how fast large pages are now, which deadlines are made of: the machine is slower in one round than in another.
func (b *bench) calibrate() cell { return b.cell("calibration", 4, 5000, asked, 0).cell }

// overRounds is a cell's median over its rounds.
func overRounds(of []cell) cell {
	c := cell{Name: of[0].Name}
	for _, x := range of {
		c.Missed, c.Of = c.Missed+x.Missed, c.Of+x.Of
		c.Reasons = append(c.Reasons, x.Reasons...)
	}
	c.Late = median(of, func(x cell) float64 { return x.Late })
	c.Width = median(of, func(x cell) float64 { return x.Width })
	c.PageRows = median(of, func(x cell) float64 { return x.PageRows })
	c.Rows = median(of, func(x cell) float64 { return x.Rows })
	c.OfBest = median(of, func(x cell) float64 { return x.OfBest })
	c.OfIdle = median(of, func(x cell) float64 { return x.OfIdle })
	c.Planned = median(of, func(x cell) float64 { return x.Planned })
	c.PlanningOfIdle = median(of, func(x cell) float64 { return x.PlanningOfIdle })
	var live, planning []feltLatency
	for _, x := range of {
		live, planning = append(live, x.Live), append(planning, x.Planning)
	}
	c.Live, c.Planning = medianLatency(live), medianLatency(planning)
	return c
}

func medianLatency(of []feltLatency) (m feltLatency) {
	for _, x := range of {
		m.Reads, m.Failed, m.Seconds = m.Reads+x.Reads, m.Failed+x.Failed, m.Seconds+x.Seconds
	}
	m.P50 = median(of, func(x feltLatency) float64 { return x.P50 })
	m.P99 = median(of, func(x feltLatency) float64 { return x.P99 })
	m.RedisP99 = median(of, func(x feltLatency) float64 { return x.RedisP99 })
	return m
}

// median is the middle one, or the mean of the two.
func median[T any](of []T, value func(T) float64) float64 {
	all := make([]float64, len(of))
	for i, x := range of {
		all[i] = value(x)
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// looking says whether a look that began at a moment goes on: it takes its seconds without those in which the machine stood still, and no more than
// twice as long.
func (b *bench) looking(began time.Time) bool {
	long := time.Duration(*benchSeconds) * time.Second
	return b.live.still.without(began) < long && time.Since(began) < 2*long
}

func numbers(t *testing.T, list string) (all []int) {
	for _, text := range strings.Split(list, ",") {
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		all = append(all, n)
	}
	return all
}

// newBench starts the servers, fills the database, and puts each onto its core.
func newBench(t *testing.T) *bench {
	t.Helper()
	renice(t, os.Getpid(), -15) // and what it starts: the bench comes before what else this machine does, if it may
	b := &bench{cluster: newCluster(t), db: testenv.OwnMySQL(t, "--innodb-buffer-pool-size=1G", "--max-connections=500")}
	b.ownLedgerDSN = testenv.MySQL(t)
	b.ownLedger = openMySQL(t, b.ownLedgerDSN)
	b.source = openMySQL(t, b.db.DSN)
	for _, q := range []string{
		"CREATE TABLE live_users (shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, nickname VARCHAR(100) NOT NULL, avatar VARCHAR(200), level INT NOT NULL, " +
			"balance DECIMAL(12,2) NOT NULL, points BIGINT NOT NULL, tags VARCHAR(100), note VARCHAR(100), city VARCHAR(40), created_at DATETIME NOT NULL, " +
			"updated_at DATETIME(6) NOT NULL, PRIMARY KEY (shop_id, user_id)) CHARSET=utf8mb4",
		fmt.Sprintf("INSERT INTO live_users SELECT (seq-1) DIV %d + 1, (seq-1) %% %d + 1, CONCAT('user ', seq), CONCAT('https://img.example/avatar/', LPAD(HEX(seq * 2654435761), 32, '0'), '.webp'), seq %% 9, "+
			"seq / 7, seq * 31, 'gold,new,vip', REPEAT('n', 40), 'Hangzhou', '2026-01-01', '2026-02-03 04:05:06.789' FROM %s ORDER BY seq", benchUsers, benchUsers, testenv.Numbers(1, benchShops*benchUsers)),
		"ANALYZE TABLE live_users",
		"CREATE RESOURCE GROUP `" + *benchGroup + "` TYPE = USER THREAD_PRIORITY = 19",
	} {
		if *benchGroup == "" && strings.Contains(q, "RESOURCE GROUP") {
			continue
		}
		rows, err := b.source.QueryContext(t.Context(), q)
		require.NoError(t, err)
		require.NoError(t, rows.Close())
	}
	if *benchPin {
		b.pin()
	}
	b.live = startLive(t, b.db.DSN, b.cacheServer.Addr, benchShops, benchUsers, *benchRate)
	return b
}

// pin gives the database half of the cores, and all else the others: pods are other machines in production, and know how many processors theirs have.
// Pods, cache and ledger are equals there. While pods came after the cache they had no part of a processor as long as it was at work on a page, did
// not ask for rows meanwhile, and waited for each read afterwards: 7 to 9 % of the processor idled with pages of 230 rows, for 3 to 6 % as equals, and 2 %
// with pages of 5,000 either way.
func (b *bench) pin() {
	b.t.Setenv("GOMAXPROCS", strconv.Itoa(max(runtime.NumCPU()-firstElse, 1)))
	b.taskset(fmt.Sprintf("0-%d", firstElse-1), b.mysqlPID(b.source))
	for _, pid := range []string{b.mysqlPID(b.ledger), b.redisPID(b.queueServer), b.redisPID(b.cacheServer), strconv.Itoa(os.Getpid())} {
		b.taskset(elsewhere, pid)
	}
}

// firstElse is the first core that is not the database's, elsewhere all of them.
var (
	firstElse = max(runtime.NumCPU()/2, 1)
	elsewhere = fmt.Sprintf("%d-%d", firstElse, max(runtime.NumCPU()-1, firstElse))
)

func (b *bench) mysqlPID(db *sql.DB) string {
	var file, dir string
	require.NoError(b.t, db.QueryRowContext(b.t.Context(), "SELECT @@pid_file, @@datadir").Scan(&file, &dir))
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	text, err := os.ReadFile(file)
	require.NoError(b.t, err)
	return strings.TrimSpace(string(text))
}

func (b *bench) redisPID(server *testenv.RedisServer) string {
	info, err := openRedis(b.t, "redis://"+server.Addr).Info(b.t.Context(), "server").Result()
	require.NoError(b.t, err)
	_, rest, _ := strings.Cut(info, "process_id:")
	pid, _, _ := strings.Cut(rest, "\r")
	return pid
}

func (b *bench) taskset(cores, pid string) {
	out, err := exec.CommandContext(b.t.Context(), "taskset", "-acp", cores, pid).CombinedOutput()
	require.NoError(b.t, err, string(out))
}

// configure writes the configuration of a cell, whose width stands whatever the servers say; width 0 is the controller with its defaults.
func (b *bench) configure(width, page int) {
	policy := fmt.Sprintf("  page_rows: %d\n  page_rows_min: %d\n  page_rows_max: %d\n", page, page, page)
	if page == 0 {
		policy = ""
	}
	slots, own := fmt.Sprintf("width: {min: %d, max: %d, max_per_pod: 32}\nguard:\n", width, width), "crowd: 0, pods_busy: 0, pods_cpu: 0"
	for _, signal := range []string{"page_time", "canary", "mysql_threads_running", "mysql_connections", "redis_latency", "redis_memory", "redis_evictions", "redis_blocked_clients"} {
		slots += "  " + signal + ": {hold: 0, shrink: 0, stop: 0}\n" // whatever they do to the servers
	}
	if width == 0 {
		slots, own = "width: {min: 1, max: 64, max_per_pod: 32}\n", "crowd: 1.7"
	}
	b.config = filepath.Join(b.t.TempDir(), "bench.yaml")
	require.NoError(b.t, os.WriteFile(b.config, []byte(fmt.Sprintf(
		"queue: {url: %q}\ncache: {url: %q}\nledger: {dsn: %q}\nsources: {main: {dsn: %q, resource_group: %q, canary: \"SELECT nickname FROM live_users WHERE shop_id = 1 AND user_id = 77\"}}\n"+
			"%shttp: {listen: \"127.0.0.1:0\"}\npace: {margin: 1s, %s}\npolicy:\n  ready_before: 1s\n  pod_dead: 5s\n%s"+
			"datasets:\n  - name: users\n    table: live_users\n    shop: shop_id\n    by: [user_id]\n    key: user:{shop}:{user_id}\n    value: json\n"+
			"    columns: [user_id, nickname, avatar, level, balance, points, tags, note, city, created_at, updated_at]\n",
		b.queueServer.URL, b.cacheServer.URL, b.ledgerDSN, b.db.DSN, *benchGroup, slots, own, policy)), 0o600))
}

// result is what a cell gave, with the surge if there was one.
type result struct {
	cell
	alone feltLatency // the live reads while the work was paused
	surge *surge
}

// What the live load feels is looked at while a setting works and while it is paused, in turns: a shared machine is twice as slow for minutes, and ten
// seconds have too few of the slowest reads. Pooled over half a minute each and in turns the ratio of the same setting was still 1.0 to 1.8; of single looks of
// eight or ten seconds, compared with some minutes apart, 0.8 to 3.
const (
	turns    = 4
	turnFor  = 5 * time.Second
	settling = 3 * time.Second // until all have heard of the pause or its end, and slots are at work again
)

// The speed that deadlines ask for, as a part of what the calibration with large pages has reached: most of it, or more than there is, to
// see how fast the controller goes.
const (
	asked   = 0.85
	tooMuch = 2
)

// cell runs one setting: an evening with deadlines that ask for a part of the speed that is known, and work behind them so that
// nobody runs out of it.
func (b *bench) cell(name string, width, page int, part float64, turns int) result {
	b.t.Helper()
	surging := *benchSurge && width == 0
	b.cells++
	// The cache is left as it is: a setting that is slow would write new keys for longer, which cost more than those that are there.
	require.NoError(b.t, b.queue.FlushAll(b.t.Context()).Err()) // the last width among it
	if width == 0 {
		b.swap()
		defer b.swap()
	}
	b.configure(width, page)
	var pods []*pod
	for range benchPods {
		p := b.serve()
		if *benchPin {
			b.taskset(elsewhere, strconv.Itoa(p.cmd.Process.Pid))
		}
		pods = append(pods, p)
	}
	if width == 0 {
		time.Sleep(learnFor) // the usual levels of the signals; they are kept each minute, and no cell is that long
	}
	long := time.Duration(*benchSeconds) * time.Second
	warmUp, after := settleFor+growFor, time.Duration(0)
	if width == 0 {
		after = tryFor
	}
	all := warmUp + long + after/2
	all += time.Duration(turns) * 2 * (turnFor + settling)
	if surging {
		all += surgeFor
	}
	b.live.take()
	deadlines := b.evening(all, b.speed*part)
	r, why := result{cell: cell{Name: name}}, b.timeline(pods)
	for settled, end := time.Now(), warmUp; time.Since(settled) < end; {
		time.Sleep(500 * time.Millisecond)
		why.look()
		if r.Planned == 0 && (b.planned() == b.runs || time.Since(settled) >= warmUp) {
			r.Planned, r.Planning = time.Since(settled).Seconds(), b.live.take().latency()
			end = max(warmUp, time.Since(settled)+after)
		}
	}
	b.live.take()
	began, rows := time.Now(), b.sum(pods, "prewarm_rows_total")
	var widths, sizes []float64
	for b.looking(began) {
		time.Sleep(500 * time.Millisecond)
		w, size := why.look()
		widths, sizes = append(widths, w), append(sizes, size)
	}
	if width == 0 {
		r.Reasons = why.said
		b.t.Logf("%s: why:\n%s", name, strings.Join(append(why.said, trials(pods)...), "\n"))
	}
	passed := time.Since(began).Seconds()
	beside := b.live.take()
	r.Rows = (b.sum(pods, "prewarm_rows_total") - rows) / passed
	r.Width, r.PageRows = mean(widths), mean(sizes)
	r.Missed, r.Of, r.Late = b.missed(deadlines)
	r.Live, r.alone = b.inTurns(pods[0], beside, turns)
	if surging {
		r.surge = b.surge(pods)
	}
	b.t.Logf("%s: planned after %.1f s, live p99 %.2f ms of %d s meanwhile", name, r.Planned, r.Planning.P99, r.Planning.Seconds)
	b.t.Logf("%s: width %.1f, pages of %.0f rows, %.0f rows/s, missed %d of %d by up to %.1f s, live p99 %.2f ms of %d s, redis p99 %.2f ms; paused: live p50 %.2f ms, p99 %.2f ms of %d s, redis p99 %.2f ms",
		name, r.Width, r.PageRows, r.Rows, r.Missed, r.Of, r.Late, r.Live.P99, r.Live.Seconds, r.Live.RedisP99, r.alone.P50, r.alone.P99, r.alone.Seconds, r.alone.RedisP99)
	pods[0].post(b.t, "/v1/cancel", map[string]any{"reason": "the cell is over"})
	for _, p := range pods {
		require.NoError(b.t, p.cmd.Process.Signal(syscall.SIGTERM))
		<-p.end
	}
	// Its broadcasts are over, or what is left of them would come before the next cell's.
	_, err := b.ledger.ExecContext(b.t.Context(), "UPDATE runs SET ends_us = created_us")
	require.NoError(b.t, err)
	return r
}

// inTurns adds to what was felt beside the work, and says what is felt while it is paused.
func (b *bench) inTurns(of *pod, beside liveReads, turns int) (busy, idle feltLatency) {
	var alone liveReads
	look := func(to *liveReads) {
		time.Sleep(settling)
		b.live.take()
		time.Sleep(turnFor)
		*to = to.with(b.live.take())
	}
	for range turns {
		of.post(b.t, "/v1/pause", map[string]any{"reason": "the live load alone"})
		look(&alone)
		of.post(b.t, "/v1/resume", map[string]any{"reason": "beside the work"})
		look(&beside)
	}
	return beside.latency(), alone.latency()
}

// learnFor is how long the signals' usual levels take to be known.
const learnFor = 22 * time.Second

// evening announces every shop once or several times, and says when which run is due by the test's own clock.
func (b *bench) evening(long time.Duration, speed float64) map[string]time.Time {
	due := map[string]time.Time{}
	now := time.Now()
	var all []broadcast
	// More than there is time for, as nobody is to run out of work; and not without end where more is asked for than can be done.
	runs := min(max(4*benchShops, int(2*speed*long.Seconds()/benchUsers)), 24*benchShops)
	for n := range runs {
		at := now.Add(settleFor + time.Duration(float64((n+1)*benchUsers)/speed*float64(time.Second))).Truncate(time.Second).Add(time.Second)
		x := ka(n%benchShops+1, at.Add(time.Second)) // ready_before
		x["broadcast_id"] = fmt.Sprintf("b-%d-%d", b.cells, n)
		if at.Before(now.Add(long)) {
			due[x["broadcast_id"].(string)] = at
		}
		all = append(all, x)
	}
	b.runs = len(all)
	b.announce(all...)
	return due
}

// planned is how many of the cell's runs have their plans.
func (b *bench) planned() int {
	return b.cluster.number("SELECT COUNT(*) FROM runs WHERE broadcast_id LIKE ? AND planned_us > 0", fmt.Sprintf("b-%d-%%", b.cells))
}

// missed counts the runs that were not ready when they were due, and says how late the last of them was, or is, in seconds.
func (b *bench) missed(due map[string]time.Time) (missed, of int, late float64) {
	now := time.Now()
	for id, at := range due {
		if at.After(now) {
			continue
		}
		of++
		ready := b.cluster.number("SELECT COALESCE(MAX(ready_us), 0) FROM runs WHERE broadcast_id = ? AND state = 'ready'", id)
		if ready == 0 {
			ready = int(now.UnixMicro())
		}
		if after := time.UnixMicro(int64(ready)).Sub(at); after > 0 {
			missed++
			late = max(late, after.Seconds())
		}
	}
	return missed, of, late
}

// surgeFor is how long a surge is looked at, the time after it included.
const surgeFor = 47 * time.Second

// surge doubles the live load for a while, and looks at the time that the pods' slots spend reading.
func (b *bench) surge(pods []*pod) *surge {
	const before, crowd, step = 5 * time.Second, 12 * time.Second, 250 * time.Millisecond
	const after = surgeFor - before - crowd
	s := &surge{Fell: -1, Back: -1}
	busy := func() float64 { return b.sum(pods, `prewarm_page_seconds_sum{dataset="users",leg="read"}`) }
	last, at := busy(), time.Now()
	rate := func() float64 { // seconds of reading per second, since the last time
		now, spent := time.Now(), busy()
		r := (spent - last) / now.Sub(at).Seconds()
		last, at = spent, now
		return r
	}
	time.Sleep(before)
	s.Before = rate()
	b.live.take()
	b.live.rate.Store(2 * *benchRate)
	began, why := time.Now(), b.timeline(pods)
	var during []float64
	for time.Since(began) < crowd {
		time.Sleep(step)
		why.look()
		r := rate()
		if r < 0.2*s.Before && s.Fell < 0 {
			s.Fell = time.Since(began).Seconds()
		}
		if time.Since(began) > 3*time.Second {
			during = append(during, r)
		}
	}
	s.Live, s.During = b.live.take().latency(), mean(during)
	s.Cut = 1 - s.During/s.Before
	b.live.rate.Store(*benchRate)
	for began = time.Now(); time.Since(began) < after && s.Back < 0; {
		time.Sleep(step)
		why.look()
		if rate() > 0.8*s.Before {
			s.Back = time.Since(began).Seconds()
		}
	}
	s.Why = why.said
	b.t.Logf("surge: reading took %.2f s a second, then %.2f; why:\n%s", s.Before, s.During, strings.Join(s.Why, "\n"))
	return s
}

// timeline is the reasons for the width as they come.
type timeline struct {
	b     *bench
	of    []*pod
	began time.Time
	last  string
	said  []string
}

func (b *bench) timeline(of []*pod) *timeline { return &timeline{b: b, of: of, began: time.Now()} }

// look notes a reason that is new, and says what the width and the rows of a page are: in the pod where they are fewest, as one that had no slot has those
// of a first page, or none.
func (l *timeline) look() (width, rows float64) {
	width, rows, reason := l.b.width(l.of[0])
	for _, p := range l.of[1:] {
		if _, r, _ := l.b.width(p); r > 0 && (rows == 0 || r < rows) {
			rows = r
		}
	}
	if reason != l.last {
		l.last = reason
		l.said = append(l.said, fmt.Sprintf("%.1fs %s", time.Since(l.began).Seconds(), reason))
	}
	return width, rows
}

// trials are what the leader has logged of trials of slots.
func trials(pods []*pod) (lines []string) {
	for _, p := range pods {
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, "slots were tried") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// renice sets the priority of all threads of a process, as far as that is allowed.
func renice(t *testing.T, pid, priority int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	require.NoError(t, err)
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		require.NoError(t, err)
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, priority)
	}
}

// sum adds up a metric of all pods; name is how its lines begin.
func (b *bench) sum(pods []*pod, name string) (sum float64) {
	for _, p := range pods {
		for line := range strings.Lines(string(b.get(p, "/metrics"))) {
			if strings.HasPrefix(line, name) {
				v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]), 64)
				require.NoError(b.t, err)
				sum += v
			}
		}
	}
	return sum
}

func (b *bench) width(p *pod) (width, rows float64, reason string) {
	var now struct {
		Width  float64 `json:"width"`
		Reason string  `json:"reason"`
		Pages  []struct {
			Rows float64 `json:"rows"`
		} `json:"pages"`
	}
	require.NoError(b.t, json.Unmarshal(b.get(p, "/v1/width"), &now))
	if len(now.Pages) > 0 {
		rows = now.Pages[0].Rows
	}
	return now.Width, rows, now.Reason
}

var benchClient = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (b *bench) get(p *pod, path string) []byte {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, p.url+path, nil)
	require.NoError(b.t, err)
	res, err := benchClient.Do(req)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.Equal(b.t, 200, res.StatusCode, string(text))
	return text
}

func mean(of []float64) float64 {
	sum := 0.0
	for _, v := range of {
		sum += v
	}
	return sum / float64(max(len(of), 1))
}

func (f benchFigures) table() string {
	var s strings.Builder
	fmt.Fprintf(&s, "medians of %d rounds; idle: live p50 %.2f ms, p99 %.2f ms; Redis p99 %.2f ms\n\n", f.Rounds, f.Idle.P50, f.Idle.P99, f.Idle.RedisP99)
	s.WriteString("| setting | slots | rows of a page | rows/s | of the best | missed | late by | live p50 | live p99 | of idle | while planned | Redis p99 |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range f.Cells {
		fmt.Fprintf(&s, "| %s | %.1f | %.0f | %.0f | %.0f %% | %d of %d | %.1f s | %.2f | %.2f | %.1fx | %.1fx of %.1f s | %.2f |\n", c.Name, c.Width, c.PageRows, c.Rows, 100*c.OfBest,
			c.Missed, c.Of, c.Late, c.Live.P50, c.Live.P99, c.OfIdle, c.PlanningOfIdle, c.Planned, c.Live.RedisP99)
	}
	for _, x := range f.Surges {
		fmt.Fprintf(&s, "\nsurge: reading took %.2f s a second before and %.2f from 3 s on (%.0f %% less); 80 %% less after %.1f s, back %.1f s after its end; live p99 %.2f ms\n",
			x.Before, x.During, 100*x.Cut, x.Fell, x.Back, x.Live.P99)
	}
	return s.String()
}
