package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTime bounds how long prewarm may take to serve, and to plan.
const startTime = time.Minute

const configuration = `queue: {url: "redis://%[1]s/0"}
cache: {url: "redis://%[2]s/0"}
ledger: {dsn: "root@tcp(%[3]s)/%[4]s"}
sources: {main: {dsn: "root@tcp(%[3]s)/%[5]s"}}
width: {min: %[6]d, max: %[6]d, max_per_pod: %[6]d}
http: {listen: "127.0.0.1:0"}
policy: {lead: 1h, ready_before: 1s%[7]s}
datasets:
  - name: users
    table: shop_users
    shop: shop_id
    by: [user_id]
    columns: [%[8]s]
    key: user:{shop}:{user_id}
`

// pod is one `prewarm serve`.
type pod struct {
	cmd *exec.Cmd
	url string
	log bytes.Buffer
	end chan error

	answer   []byte // to the last request
	answered time.Time
}

// product is prewarm as it is: `serve`, asked over HTTP. It is held until everything is planned, so that what is measured
// is the loading.
func (s *stand) product(ctx context.Context, width int, trip string) (f figures, err error) {
	if err := s.empty(ctx); err != nil {
		return f, err
	}
	p, ledger, err := s.serve(ctx, width, trip)
	if err != nil {
		return f, err
	}
	defer func() {
		err = errors.Join(err, p.stop())
		if err != nil {
			err = fmt.Errorf("%w; prewarm says: %s", err, p.log.String())
		}
	}()
	if err := p.ask(ctx, "PUT", "/v1/width", map[string]any{"pause": true, "for": "10m", "reason": "until all is planned"}); err != nil {
		return f, err
	}
	if err := s.announce(ctx, p, ledger); err != nil {
		return f, err
	}
	idle, err := p.settle(ctx)
	if err != nil {
		return f, err
	}
	allocated, err := p.allocated(ctx)
	if err != nil {
		return f, err
	}
	if err := p.ask(ctx, "DELETE", "/v1/width/override?reason=all+is+planned", nil); err != nil {
		return f, err
	}
	if f, err = s.watch(ctx, func() (float64, error) { return cpuOf(p.cmd.Process.Pid) }, s.o.rows+len(s.rows)); err != nil {
		return f, err
	}
	return f, s.finish(ctx, p, ledger, &f, idle, allocated)
}

// serve starts prewarm with a ledger of its own.
func (s *stand) serve(ctx context.Context, width int, trip string) (*pod, string, error) {
	s.ledgers++
	ledger := fmt.Sprintf("%s_%d", ledgerSchema, s.ledgers)
	if _, err := s.mysql.ExecContext(ctx, "CREATE DATABASE "+ledger); err != nil {
		return nil, "", err
	}
	w, policy := s.near, ""
	if trip != "" {
		w = s.far
	}
	if s.o.policy != "" {
		policy = ", " + s.o.policy
	}
	text := fmt.Sprintf(configuration, w.queue, w.cache, w.db, ledger, sourceSchema, width, policy, strings.Join(s.shape.columns, ", "))
	file := filepath.Join(s.dir, "prewarm.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	p := &pod{cmd: exec.CommandContext(ctx, s.program, "serve", "--config", file), end: make(chan error, 1)}
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, "", err
	}
	board := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if at, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "board"); ok {
				board <- strings.TrimSuffix(strings.TrimSpace(at), "/")
			}
		}
		p.end <- p.cmd.Wait()
	}()
	select {
	case p.url = <-board:
		return p, ledger, nil
	case err = <-p.end:
		p.end <- err
	case <-time.After(startTime):
	}
	_ = p.stop()
	return nil, "", fmt.Errorf("prewarm does not serve: %s", p.log.String())
}

func (p *pod) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.end:
		return err
	case <-time.After(startTime):
		return errors.Join(errors.New("prewarm does not end"), p.cmd.Process.Kill())
	}
}

func (p *pod) ask(ctx context.Context, method, path string, body any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	p.answer, p.answered = answer, time.Now()
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	return err
}

// request is a broadcast of each of the first shops.
func request(shops int) map[string]any {
	type broadcast struct {
		ID    string    `json:"broadcast_id"`
		Shop  string    `json:"shop_id"`
		Start time.Time `json:"starts_at"`
		End   time.Time `json:"ends_at"`
		Force bool      `json:"force"`
	}
	var list []broadcast
	starts := time.Now().Add(time.Minute)
	for shop := range shops {
		list = append(list, broadcast{fmt.Sprint("b-", shop+1), strconv.Itoa(shop + 1), starts, starts.Add(time.Hour), true})
	}
	return map[string]any{"request_id": "bench", "broadcasts": list}
}

// announce announces a broadcast of each shop and waits until all are planned.
func (s *stand) announce(ctx context.Context, p *pod, ledger string) error {
	if err := p.ask(ctx, "POST", "/v1/requests", request(len(s.rows))); err != nil {
		return err
	}
	return s.until(ctx, "everything is planned", "SELECT COUNT(*) FROM "+ledger+".runs WHERE planned_us > 0", len(s.rows))
}

func (s *stand) until(ctx context.Context, what, count string, want int) error {
	for limit := time.Now().Add(startTime); ; {
		var n int
		if err := s.mysql.QueryRowContext(ctx, count).Scan(&n); err != nil {
			return err
		}
		if n == want {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("waited for: %s; %d of %d are", what, n, want)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settle is the memory of the pod while it has nothing to do, in MiB; the peak is counted from there.
func (p *pod) settle(ctx context.Context) (float64, error) {
	if err := pause(ctx, time.Second); err != nil {
		return 0, err
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		return 0, err
	}
	return memoryOf(p.cmd.Process.Pid, "VmRSS")
}

// allocated is the number of allocations of the process.
func (p *pod) allocated(ctx context.Context) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "go_memstats_mallocs_total "); ok {
			return strconv.ParseFloat(rest, 64)
		}
	}
	return 0, errors.New("there is no go_memstats_mallocs_total")
}

// finish completes the figures, and wants all of it to be ready.
func (s *stand) finish(ctx context.Context, p *pod, ledger string, f *figures, idle, allocated float64) error {
	if err := s.until(ctx, "all shops are ready", "SELECT COUNT(*) FROM "+ledger+".runs WHERE state = 'ready'", len(s.rows)); err != nil {
		return err
	}
	peak, err := memoryOf(p.cmd.Process.Pid, "VmHWM")
	if err != nil {
		return err
	}
	now, err := p.allocated(ctx)
	f.Peak, f.Delta, f.Allocs = peak, peak-idle, (now-allocated)/float64(s.o.rows)
	return err
}
