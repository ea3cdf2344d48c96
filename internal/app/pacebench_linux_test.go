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

	OfBest float64 `json:"of_best"` // rows/s, of the fastest fixed setting's in the same round; the controller's, of what that did in turns with it
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
	*cluster // that is spoken of: one of the two
	db       *testenv.MySQLServer
	live     *liveLoad
	speed    float64 // rows a second of the calibration, which deadlines are made of
	cells    int     // so far
	runs     int     // that were announced last

	// The controller has queues and a ledger of its own: it takes turns with a fixed setting, and what those did to the servers is no usual level of them.
	fixed, controlled *cluster
}

// setting is what a cell looks at; width 0 is the controller with its defaults.
type setting struct{ width, page int }

func (s setting) String() string {
	if s.width == 0 {
		return "controller"
	}
	return fmt.Sprintf("width %d, pages of %d", s.width, s.page)
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
	keep := func(r result) {
		r.OfIdle, r.PlanningOfIdle = ratio(r.Live.P99, r.alone.P99), ratio(r.Planning.P99, r.alone.P99)
		alone, cells = append(alone, r.alone), append(cells, r.cell)
		if r.surge != nil {
			surges = append(surges, *r.surge)
		}
	}
	fastest, best := calibrated, 0.0 // if there is no fixed setting
	for _, page := range numbers(b.t, *benchPages) {
		for _, w := range numbers(b.t, *benchCells) {
			s := setting{w, page}
			if keep(b.cell(s.String(), s, asked, turns, nil)); cells[len(cells)-1].Rows > best {
				fastest, best = s, cells[len(cells)-1].Rows
			}
		}
	}
	for i := range cells {
		cells[i].OfBest = ratio(cells[i].Rows, best)
	}
	for _, part := range []float64{asked, tooMuch} {
		name := "controller"
		if part > 1 {
			name = "controller, asked for too much"
		}
		r := b.cell(name, setting{}, part, turnsOfTwo, &fastest)
		keep(r)
		r.rival.OfIdle = ratio(r.rival.Live.P99, r.alone.P99)
		cells = append(cells, *r.rival)
	}
	return cells, medianLatency(alone), surges
}

// calibrate is how fast large pages are now, which deadlines are made of: the machine is slower in one round than in another.
func (b *bench) calibrate() cell { return b.cell("calibration", calibrated, asked, 0, nil).cell }

var calibrated = setting{width: 4, page: 5000}

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

// medianLatency is of looks in which a second counted.
func medianLatency(of []feltLatency) (m feltLatency) {
	of = slices.DeleteFunc(slices.Clone(of), func(x feltLatency) bool { return x.Seconds == 0 })
	if len(of) == 0 {
		return m
	}
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

// looking says whether a look that began at a moment goes on: it takes its time without the seconds in which the machine stood still, and no more than
// three times as long.
func (b *bench) looking(began time.Time, long time.Duration) bool {
	return b.live.still.without(began) < long && time.Since(began) < 3*long
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
	b := &bench{fixed: newCluster(t), controlled: newCluster(t), db: testenv.OwnMySQL(t, "--innodb-buffer-pool-size=1G", "--max-connections=500")}
	b.fixed.source = openMySQL(t, b.db.DSN)
	b.controlled.source, b.controlled.cache, b.controlled.cacheServer = b.fixed.source, b.fixed.cache, b.fixed.cacheServer
	b.cluster = b.fixed
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
	for _, pid := range []string{
		b.mysqlPID(b.ledger), b.redisPID(b.cacheServer), b.redisPID(b.fixed.queueServer), b.redisPID(b.controlled.queueServer), strconv.Itoa(os.Getpid()),
	} {
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

// configure writes the configuration of a setting: a fixed width stands whatever the servers say.
func (b *bench) configure(s setting) {
	policy := fmt.Sprintf("  page_rows: %d\n  page_rows_min: %d\n  page_rows_max: %d\n", s.page, s.page, s.page)
	if s.page == 0 {
		policy = ""
	}
	slots, own := fmt.Sprintf("width: {min: %d, max: %d, max_per_pod: 32}\nguard:\n", s.width, s.width), "crowd: 0, pods_busy: 0, pods_cpu: 0"
	for _, signal := range []string{"page_time", "canary", "mysql_threads_running", "mysql_connections", "redis_latency", "redis_memory", "redis_evictions", "redis_blocked_clients"} {
		slots += "  " + signal + ": {hold: 0, shrink: 0, stop: 0}\n" // whatever they do to the servers
	}
	if s.width == 0 {
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
	rival *cell       // what was in turns with it
	surge *surge
}

// What the live load feels is looked at while a setting works and while it is paused, in turns: a shared machine is twice as slow for minutes, and ten
// seconds have too few of the slowest reads. Of single looks of eight or ten seconds, compared with some minutes apart, the ratio of the same setting was 0.8 to 3,
// and pooled over half a minute each and in turns still 1.0 to 1.8, as the noisiest turn has most of the slowest reads: what is said is the median turn.
// For the same reason the controller takes turns with the fastest fixed setting: minutes apart it did 0.64 and 1.31 times what that did within the same hour.
const (
	turns      = 4
	turnsOfTwo = 8               // their rows are compared, too
	turnFor    = 5 * time.Second // in which the machine does not stand still
	settling   = 3 * time.Second // until all have heard of the pause or its end, and slots are at work again
)

// The speed that deadlines ask for, as a part of what the calibration with large pages has reached: most of it, or more than there is, to
// see how fast the controller goes.
const (
	asked   = 0.85
	tooMuch = 2
)

// cell runs one setting: an evening with deadlines that ask for a part of the speed that is known, and work behind them so that
// nobody runs out of it.
func (b *bench) cell(name string, s setting, part float64, turns int, against *setting) result {
	b.t.Helper()
	controlled := s.width == 0
	surging := *benchSurge && controlled
	each := turnFor + settling
	var rival *contender
	if against != nil {
		rival = b.begin(*against, 2*time.Duration(turns)*each, b.speed)
		b.until(2*time.Minute, "the rival's plans", func() bool { return b.planned() == b.runs })
		rival.pause()
		each += turnFor + settling
	}
	long := time.Duration(*benchSeconds) * time.Second
	warmUp, after := settleFor+growFor, time.Duration(0)
	if controlled {
		after = tryFor
	}
	all := warmUp + long + after/2 + time.Duration(turns)*(each+turnFor+settling)
	if surging {
		all += surgeFor
	}
	c := b.begin(s, all, b.speed*part)
	b.live.take()
	r, why := result{cell: cell{Name: name}}, c.why
	for settled, end := time.Now(), warmUp; time.Since(settled) < end; {
		time.Sleep(500 * time.Millisecond)
		why.look()
		if r.Planned == 0 && (b.planned() == b.runs || time.Since(settled) >= warmUp) {
			r.Planned, r.Planning = time.Since(settled).Seconds(), b.live.take()
			end = max(warmUp, time.Since(settled)+after)
		}
	}
	var widths, sizes []float64
	c.works(long, func() {
		w, size := why.look()
		widths, sizes = append(widths, w), append(sizes, size)
	})
	r.Width, r.PageRows = mean(widths), mean(sizes)
	r.Missed, r.Of, r.Late = b.missed(c.due)
	r.alone = b.inTurns(turns, c, rival)
	if controlled {
		r.Reasons = why.said
		b.t.Logf("%s: why:\n%s", name, strings.Join(append(why.said, trials(c.pods)...), "\n"))
	}
	r.Rows, r.Live = c.speed(), medianLatency(c.felt)
	if surging {
		r.surge = b.surge(c.pods)
	}
	b.t.Logf("%s: planned after %.1f s, live p99 %.2f ms of %d s meanwhile", name, r.Planned, r.Planning.P99, r.Planning.Seconds)
	b.t.Logf("%s: width %.1f, pages of %.0f rows, %.0f rows/s, missed %d of %d by up to %.1f s, live p99 %.2f ms of %d s, redis p99 %.2f ms; paused: live p50 %.2f ms, p99 %.2f ms of %d s, redis p99 %.2f ms",
		name, r.Width, r.PageRows, r.Rows, r.Missed, r.Of, r.Late, r.Live.P99, r.Live.Seconds, r.Live.RedisP99, r.alone.P50, r.alone.P99, r.alone.Seconds, r.alone.RedisP99)
	c.end()
	if rival != nil {
		r.rival = &cell{Name: "the fastest in turns with the " + name, Width: float64(against.width), PageRows: float64(against.page), OfBest: 1, Rows: rival.speed(), Live: medianLatency(rival.felt)}
		r.OfBest = ofTurns(c.turns[len(c.turns)-turns:], rival.turns)
		b.t.Logf("in turns with it %s: %.0f rows/s, live p99 %.2f ms of %d s; of its rows %.0f %%, in turns %.0f of %.0f", against, r.rival.Rows, r.rival.Live.P99, r.rival.Live.Seconds, 100*r.OfBest, c.turns, rival.turns)
		rival.end()
	}
	return r
}

// ofTurns is what one did of the other's rows, in turns in which something counted for both.
func ofTurns(one, other []float64) float64 {
	var did, of float64
	for i := range one {
		if one[i] > 0 && other[i] > 0 {
			did, of = did+one[i], of+other[i]
		}
	}
	return ratio(did, of)
}

// contender is a setting at work, with two pods.
type contender struct {
	*bench
	in   *cluster
	pods []*pod
	due  map[string]time.Time
	why  *timeline

	paused bool

	seconds []float64     // rows of each, while it was looked at
	turns   []float64     // their means in each look; 0: no second counted
	felt    []feltLatency // beside it, in each
}

// begin starts a setting's pods and announces an evening to them.
func (b *bench) begin(s setting, long time.Duration, speed float64) *contender {
	b.t.Helper()
	b.cluster = b.fixed
	if s.width == 0 {
		b.cluster = b.controlled
	}
	b.cells++
	// The cache is left as it is: a setting that is slow would write new keys for longer, which cost more than those that are there.
	require.NoError(b.t, b.queue.FlushAll(b.t.Context()).Err()) // the last width among it
	b.configure(s)
	c := &contender{bench: b, in: b.cluster}
	for range benchPods {
		p := b.serve()
		if *benchPin {
			b.taskset(elsewhere, strconv.Itoa(p.cmd.Process.Pid))
		}
		c.pods = append(c.pods, p)
	}
	if s.width == 0 {
		time.Sleep(learnFor) // the usual levels of the signals; they are kept each minute, and no cell is that long
	}
	c.due, c.why = b.evening(long, speed), b.timeline(c.pods)
	return c
}

func (c *contender) pause() {
	c.paused = true
	c.pods[0].post(c.t, "/v1/pause", map[string]any{"reason": "another's turn"})
}

func (c *contender) resume() {
	c.paused = false
	c.pods[0].post(c.t, "/v1/resume", map[string]any{"reason": "its turn"})
}

// works counts its rows, and what is felt beside them, in seconds in which the machine does not stand still; look is called in each.
func (c *contender) works(long time.Duration, look func()) {
	c.live.take()
	var calm, every []float64 // rows of each second
	for began, last := time.Now(), 0.0; c.looking(began, long); look() {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		at, rows := time.Now(), c.sum(c.pods, "prewarm_rows_total")
		if last > 0 {
			every = append(every, rows-last)
			if !c.live.still.during(at.Add(-500 * time.Millisecond)) {
				calm = append(calm, rows-last)
			}
		}
		last = rows
	}
	c.felt = append(c.felt, c.live.take())
	if c.turns = append(c.turns, mean(calm)); len(calm) == 0 { // the speed has to be known, as well as it can be
		calm = every
	}
	c.seconds = append(c.seconds, calm...)
}

func (c *contender) speed() float64 { return mean(c.seconds) }

// end cancels what is left of its evening, and stops its pods.
func (c *contender) end() {
	c.pods[0].post(c.t, "/v1/cancel", map[string]any{"reason": "the cell is over"})
	if c.paused { // which the ledger would keep
		c.resume()
	}
	for _, p := range c.pods {
		require.NoError(c.t, p.cmd.Process.Signal(syscall.SIGTERM))
		<-p.end
	}
	// Its broadcasts are over, or what is left of them would come before the next cell's.
	_, err := c.in.ledger.ExecContext(c.t.Context(), "UPDATE runs SET ends_us = created_us")
	require.NoError(c.t, err)
}

// inTurns has one work, then the other if there is one, then nobody; it says what is felt while nobody does. The first works before and after.
func (b *bench) inTurns(turns int, first, second *contender) feltLatency {
	var alone []feltLatency
	turn := func(c *contender) {
		c.resume()
		time.Sleep(settling)
		c.works(turnFor, func() {})
		c.why.look()
		c.pause()
	}
	if turns == 0 {
		return feltLatency{}
	}
	first.pause()
	for range turns {
		time.Sleep(settling)
		b.live.take()
		for began := time.Now(); b.looking(began, turnFor); {
			time.Sleep(100 * time.Millisecond)
		}
		alone = append(alone, b.live.take())
		if second != nil {
			turn(second)
		}
		turn(first)
	}
	first.resume()
	time.Sleep(settling)
	return medianLatency(alone)
}

// learnFor is how long the signals' usual levels take to be known.
const learnFor = 22 * time.Second

// evening announces every shop once or several times, and says when which run is due by the test's own clock.
func (b *bench) evening(long time.Duration, speed float64) map[string]time.Time {
	due := map[string]time.Time{}
	now := time.Now()
	var all []broadcast
	// More than there is time for, as nobody is to run out of work; and not without end where more is asked for than can be done.
	runs := min(max(4*benchShops, int(2*speed*long.Seconds()/benchUsers)), 32*benchShops)
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
	s.Live, s.During = b.live.take(), mean(during)
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

// ratio is 0 where no second counted.
func ratio(of, to float64) float64 {
	if to == 0 {
		return 0
	}
	return of / to
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
