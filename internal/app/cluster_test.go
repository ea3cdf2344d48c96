package app_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/app"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// soon bounds what should take a second or two. failover bounds what waits for a dead leader's lock (15 s), its next
// candidate and the next reconciliation, some 25 s in all, and one more for a task that the dead pod had pulled and not
// yet claimed.
const (
	soon     = 30 * time.Second
	failover = 60 * time.Second
)

// undisturbed: tests run side by side on a busy machine and share a server. What one does is a crowd to the others, and makes their
// reads and pings slow; work that is held for that is right, and no fault.
const undisturbed = "pace: {crowd: 0, pods_busy: 0, pods_cpu: 0}\nguard: {page_time: {hold: 0, shrink: 0, stop: 0}, redis_latency: {hold: 0, shrink: 0, stop: 0}}\n"

// cluster is the servers that a test's pods share, each with a plain client of the test's own.
type cluster struct {
	t      *testing.T
	config string

	queueServer, cacheServer *testenv.RedisServer
	queue, cache             *redis.Client
	source, ledger           *sql.DB
	ledgerDSN                string
	client                   *asynq.Client
	inspector                *asynq.Inspector
}

// newCluster starts the servers and writes the configuration; policy is more lines of that section.
func newCluster(t *testing.T, policy ...string) *cluster {
	t.Helper()
	ledgerDSN, sourceDSN := testenv.MySQL(t), testenv.MySQL(t)
	c := &cluster{t: t, ledgerDSN: ledgerDSN, queueServer: testenv.OwnRedis(t), cacheServer: testenv.OwnRedis(t)}
	c.queue, c.cache = openRedis(t, c.queueServer.URL), openRedis(t, c.cacheServer.URL)
	c.ledger, c.source = openMySQL(t, ledgerDSN), openMySQL(t, sourceDSN)
	for _, table := range schema {
		_, err := c.source.ExecContext(t.Context(), table)
		require.NoError(t, err)
	}
	c.client, c.inspector = asynq.NewClientFromRedisClient(c.queue), asynq.NewInspectorFromRedisClient(c.queue)
	c.config = c.write(ledgerDSN, sourceDSN, policy...)
	return c
}

func (c *cluster) write(ledgerDSN, sourceDSN string, policy ...string) string {
	c.t.Helper()
	text := fmt.Sprintf("queue: {url: %q}\ncache: {url: %q}\nledger: {dsn: %q}\nsources: {main: {dsn: %q}}\n",
		c.queueServer.URL, c.cacheServer.URL, ledgerDSN, sourceDSN)
	text += undisturbed
	text += "width: {min: 4, max: 8, max_per_pod: 4}\nhttp: {listen: \"127.0.0.1:0\"}\npolicy:\n  pod_dead: 5s\n"
	for _, line := range policy {
		text += "  " + line + "\n"
	}
	path := filepath.Join(c.t.TempDir(), "prewarm.yaml")
	require.NoError(c.t, os.WriteFile(path, []byte(text+datasets), 0o600))
	return path
}

func openRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	require.NoError(t, err)
	opts.ContextTimeoutEnabled = true
	c := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func openMySQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// pod is where a pod answers and what the ledger calls it.
type pod struct {
	url string
	id  string
	cmd *exec.Cmd // nil: in this process
	app *app.App
	log *output
	end chan error // the process' end
}

// output is what a running process has written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// inProcess starts a pod in this process, under the race detector if the tests are.
func (c *cluster) inProcess() *pod {
	c.t.Helper()
	return c.logging(slog.DiscardHandler)
}

// logging is inProcess with a log.
func (c *cluster) logging(log slog.Handler) *pod {
	c.t.Helper()
	cfg, err := config.Load(c.config, nil)
	require.NoError(c.t, err)
	a, err := app.New(cfg, app.Options{Version: "test", Log: slog.New(log)})
	require.NoError(c.t, err)
	require.NoError(c.t, a.Start(c.t.Context()))
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		require.NoError(c.t, a.Stop(ctx))
	})
	return &pod{app: a, url: "http://" + a.Addr(), id: c.newestPod()}
}

// serve starts `prewarm serve` as a process and waits until it serves.
func (c *cluster) serve() *pod {
	c.t.Helper()
	return c.start(testenv.Program(c.t, "github.com/prewarm-go/prewarm/cmd/prewarm"))
}

// start starts a program as a pod.
func (c *cluster) start(program string) *pod {
	c.t.Helper()
	p := &pod{log: &output{}, end: make(chan error, 1)}
	p.cmd = exec.Command(program, "serve", "--config", c.config)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, p.cmd.Start())
	c.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.end
		if c.t.Failed() {
			c.t.Logf("pod %s:\n%s", p.id, p.log)
		}
	})
	board := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if at, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "board"); ok {
				board <- strings.TrimSuffix(strings.TrimSpace(at), "/")
			}
		}
		close(board)
		p.end <- p.cmd.Wait()
		close(p.end)
	}()
	select {
	case p.url = <-board:
	case <-time.After(soon):
	}
	if p.url == "" {
		c.t.Fatal("the pod does not serve")
	}
	p.id = c.newestPod()
	return p
}

// newestPod is the pod that started last: pods are started one after the other.
func (c *cluster) newestPod() (id string) {
	c.t.Helper()
	require.NoError(c.t, c.ledger.QueryRowContext(c.t.Context(), "SELECT pod FROM pods ORDER BY started_us DESC LIMIT 1").Scan(&id))
	return id
}

// kill ends the pod as a crash would.
func (p *pod) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGKILL))
	<-p.end
}

// post sends a JSON document and wants a 2xx answer.
func (p *pod) post(t *testing.T, path string, body any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, bytes.NewReader(text))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, 2, res.StatusCode/100, "%s: %s", res.Status, answer)
	doc := map[string]any{}
	if len(answer) > 0 {
		require.NoError(t, json.Unmarshal(answer, &doc), string(answer))
	}
	return doc
}

// broadcast is an announcement as an upstream team writes it, without prewarm's types.
type broadcast map[string]any

// ka announces a shop's broadcast that lasts two hours.
func ka(shop int, starts time.Time) broadcast {
	starts = starts.UTC().Truncate(time.Second)
	return broadcast{"broadcast_id": "b-1", "shop_id": fmt.Sprint(shop), "starts_at": starts, "ends_at": starts.Add(2 * time.Hour), "tier": "ka"}
}

func (b broadcast) ends() time.Time { return b["ends_at"].(time.Time) }

func request(broadcasts ...broadcast) map[string]any {
	return map[string]any{"request_id": "r-1", "broadcasts": broadcasts}
}

// announce sends broadcasts with a plain asynq client.
func (c *cluster) announce(broadcasts ...broadcast) {
	c.t.Helper()
	payload, err := json.Marshal(request(broadcasts...))
	require.NoError(c.t, err)
	_, err = c.client.EnqueueContext(c.t.Context(), asynq.NewTask("warm:request", payload), asynq.Queue("intake"))
	require.NoError(c.t, err)
}

// number is the one number that a query of the ledger gives.
func (c *cluster) number(query string, args ...any) (n int) {
	c.t.Helper()
	require.NoError(c.t, c.ledger.QueryRowContext(c.t.Context(), query, args...).Scan(&n))
	return n
}

func (c *cluster) run(shop int) (id, state, lastError string) {
	c.t.Helper()
	err := c.ledger.QueryRowContext(c.t.Context(), "SELECT run_id, state, last_error FROM runs WHERE shop_id = ?", fmt.Sprint(shop)).Scan(&id, &state, &lastError)
	if err != sql.ErrNoRows {
		require.NoError(c.t, err)
	}
	return id, state, lastError
}

// until polls; what says in a failure's message how things stand.
func (c *cluster) until(limit time.Duration, what string, holds func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			c.dump()
			c.t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// becomes waits for the state of a shop's run.
func (c *cluster) becomes(limit time.Duration, shop int, state string) {
	c.t.Helper()
	c.until(limit, fmt.Sprintf("shop %d %s", shop, state), func() bool { _, now, _ := c.run(shop); return now == state })
}

// midway waits until a pod ("": any) has loaded so many users of a unit, and has at least half of the unit before it.
func (c *cluster) midway(pod string, rows int) {
	c.t.Helper()
	c.until(soon, "in the middle of a unit", func() bool {
		return c.number("SELECT COUNT(*) FROM units WHERE dataset = 'users' AND state = 'running' AND rows_done BETWEEN ? AND 5000 AND (? = '' OR owner = ?)", rows, pod, pod) > 0
	})
}

// dump shows the ledger when a test fails.
func (c *cluster) dump() {
	width, _ := c.queue.Get(c.t.Context(), redisconn.WidthKey).Result()
	c.t.Log("width", width)
	for _, query := range []string{
		"SELECT CONCAT_WS(' ', 'run', run_id, shop_id, state, 'epoch', epoch, last_error, reason) FROM runs",
		"SELECT CONCAT_WS(' ', 'unit', run_id, epoch, unit, dataset, state, rows_done, 'attempts', attempts, 'claim', claim, 'seq', task_seq, owner, last_error) FROM units WHERE state <> 'done' LIMIT 20",
		"SELECT CONCAT_WS(' ', 'pod', pod, started_at, beat_at) FROM pods",
		"SELECT CONCAT_WS(' ', 'slow', FROM_UNIXTIME(from_us / 1e6), FROM_UNIXTIME(to_us / 1e6), reason) FROM throttles ORDER BY from_us",
		"SELECT CONCAT_WS(' ', 'pending', shop_id, dataset, row_key) FROM pending LIMIT 20",
	} {
		rows, err := c.ledger.QueryContext(c.t.Context(), query)
		if err != nil {
			continue
		}
		for rows.Next() {
			var line string
			_ = rows.Scan(&line)
			c.t.Log(line)
		}
		_ = rows.Close()
	}
}
