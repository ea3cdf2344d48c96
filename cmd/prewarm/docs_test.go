package main

import (
	"cmp"
	"context"
	"database/sql"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/docs"
	"github.com/prewarm-go/prewarm/internal/servers"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// block is a fenced block of a page: its language, what is said about it, and its text.
type block struct{ language, about, text string }

var fenced = regexp.MustCompile("(?ms)^```([a-z]+) *([a-z-]*)\n(.*?)^```$")

func blocks(text string) []block {
	var all []block
	for _, m := range fenced.FindAllStringSubmatch(text, -1) {
		all = append(all, block{m[1], m[2], m[3]})
	}
	return all
}

// of says whether a block of SQL is for a server of this kind.
func (b block) of(server *testenv.MySQLServer) bool {
	return b.about == "" || b.about == "mariadb" == server.MariaDB()
}

// reader is a private stack in which the pages' commands are run, one page after the other, as a reader would.
type reader struct {
	t       *testing.T
	dir     string
	mysql   *testenv.MySQLServer
	redis   string
	http    string
	environ []string
	exports []string // of one block for those after it
	run     string   // the newest run
}

const stackTime = 30 * time.Second // for the pod to be ready, and for a run

func newReader(t *testing.T) *reader {
	t.Helper()
	for _, program := range []string{"bash", "curl", "redis-cli"} {
		_, err := servers.Find(program, program)
		testenv.Need(t, err)
	}
	db, redis := testenv.GrantsMySQL(t), testenv.OwnRedis(t)
	listen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listen.Addr().String()
	require.NoError(t, listen.Close())
	m := &reader{t: t, dir: t.TempDir(), mysql: db, redis: redis.Addr, http: addr}
	program := testenv.Program(t, "github.com/prewarm-go/prewarm/cmd/prewarm")
	m.environ = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "PREWARM_QUEUE_URL=redis://"+redis.Addr+"/0",
		"PREWARM_CACHE_URL=redis://"+redis.Addr+"/1", "PREWARM_HTTP_LISTEN="+addr, "PREWARM_SERVER=http://"+addr)
	sample, err := os.ReadFile("../../deploy/mysql/sample.sql")
	require.NoError(t, err)
	m.sql("CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; " + string(sample))
	return m
}

// sql runs statements as root.
func (m *reader) sql(text string) {
	m.t.Helper()
	db, err := sql.Open("mysql", "root@tcp("+m.mysql.Addr+")/?multiStatements=true")
	require.NoError(m.t, err)
	defer func() { require.NoError(m.t, db.Close()) }()
	_, err = db.ExecContext(m.t.Context(), text)
	require.NoError(m.t, err, text)
}

// command is a script as it is run here: on this stack's addresses, and about the newest run.
func (m *reader) command(ctx context.Context, script string) *exec.Cmd {
	_, redisPort, _ := net.SplitHostPort(m.redis)
	script = strings.NewReplacer("localhost:3306", m.mysql.Addr, "127.0.0.1:8080", m.http, "-p 6379", "-p "+redisPort).Replace(script)
	script = regexp.MustCompile(`\bID\b`).ReplaceAllString(script, cmp.Or(m.run, "none"))
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	c.Dir, c.Env = m.dir, slices.Concat(m.environ, m.exports)
	return c
}

var export = regexp.MustCompile(`(?m)^export (.*)$`)

func (m *reader) block(page string, b block) {
	m.t.Helper()
	switch {
	case b.language == "sql":
		if b.of(m.mysql) {
			m.sql(b.text)
		}
		return
	case b.language != "sh" || b.about == "not-run":
		return
	case strings.HasPrefix(b.text, "prewarm serve"):
		m.serve(b.text)
		return
	}
	scripts := []string{b.text}
	if b.about == "may-fail" {
		scripts = strings.Split(strings.TrimSpace(b.text), "\n")
	}
	for _, script := range scripts {
		c := m.command(m.t.Context(), script)
		out, err := c.CombinedOutput()
		code := c.ProcessState.ExitCode()
		require.True(m.t, err == nil || b.about == "may-fail" && code == exitFailed, "%s: %s: %d %s", page, script, code, out)
	}
	for _, line := range export.FindAllStringSubmatch(b.text, -1) {
		m.exports = append(m.exports, strings.Fields(line[1])...)
	}
	if strings.Contains(b.text, "prewarm request request.json") && m.run == "" {
		m.ready()
	}
}

// serve starts a pod that works until the test ends, and waits until it is ready.
func (m *reader) serve(script string) {
	m.t.Helper()
	log, err := os.Create(filepath.Join(m.dir, "serve.log"))
	require.NoError(m.t, err)
	c := m.command(context.WithoutCancel(m.t.Context()), "exec "+script)
	c.Stdout, c.Stderr = log, log
	require.NoError(m.t, c.Start())
	m.t.Cleanup(func() {
		require.NoError(m.t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(m.t, c.Wait(), "it drains")
		require.NoError(m.t, log.Close())
	})
	m.until("prewarm healthcheck --ready", "200 OK")
}

// ready waits for the announced run.
func (m *reader) ready() {
	m.t.Helper()
	out := m.until("prewarm runs --state ready", " b-1 ")
	m.run = strings.Fields(strings.Split(out, "\n")[1])[0]
}

func (m *reader) until(script, want string) string {
	m.t.Helper()
	var out []byte
	require.Eventually(m.t, func() bool {
		var err error
		out, err = m.command(m.t.Context(), script).CombinedOutput()
		return err == nil && strings.Contains(string(out), want)
	}, stackTime, 100*time.Millisecond, "%s", script)
	return string(out)
}

// readAs is when a page is read: the one that sets up what the others work with, and those that end runs last.
func readAs(p docs.Page) int {
	switch {
	case p.Name == "first-shop":
		return 0
	case strings.Contains(p.Text, "\nprewarm cancel"):
		return 2
	}
	return 1
}

func TestEveryCommandOfTheManualWorks(t *testing.T) {
	t.Parallel()
	m := newReader(t)
	pages := docs.Pages()
	slices.SortStableFunc(pages, func(a, b docs.Page) int { return cmp.Compare(readAs(a), readAs(b)) })
	ran, left := 0, 0
	for _, p := range pages {
		for _, b := range blocks(p.Text) {
			m.block(p.Name, b)
			if b.language == "sh" {
				ran++
				left += btoi(b.about == "not-run")
			}
		}
	}
	require.Greater(t, ran, 20, "the blocks were not found")
	require.LessOrEqual(t, left, 6, "commands that are not run rot")
	out, err := m.command(t.Context(), "curl -sS http://127.0.0.1:8080/metrics").Output()
	require.NoError(t, err)
	requireMetrics(t, string(out))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// requireMetrics wants every metric that a pod shows on its page, and no other there.
func requireMetrics(t *testing.T, scraped string) {
	t.Helper()
	page := pageText(t, "metrics")
	var shown []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (prewarm_\w+) `).FindAllStringSubmatch(scraped, -1) {
		require.Contains(t, page, "`"+m[1]+"`", "docs/metrics.md lacks it")
		shown = append(shown, m[1])
	}
	require.Greater(t, len(shown), 20)
}

func pageText(t *testing.T, name string) string {
	t.Helper()
	for _, p := range docs.Pages() {
		if p.Name == name {
			return p.Text
		}
	}
	t.Fatalf("there is no page %s", name)
	return ""
}

func TestLinksOfTheManualLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	texts := map[string]string{"docs": ""}
	for _, p := range docs.Pages() {
		texts["docs/"+p.Name] = p.Text
	}
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	texts["README"] = string(readme)
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "://") {
				require.FileExists(t, filepath.Join("../..", filepath.Dir(name), m[1]), name)
			}
		}
	}
}

func TestHelpPrintsPagesAndVerbs(t *testing.T) {
	t.Parallel()
	list := prewarm(t, "", "help")
	require.Zero(t, list.code)
	require.Regexp(t, `(?m)^late +It is late, or will be$`, list.out)
	require.Equal(t, pageText(t, "late"), prewarm(t, "", "docs", "late").out)
	require.Equal(t, pageText(t, "late"), document(t, prewarm(t, "", "help", "late", "--json").out)["text"])
	require.Contains(t, prewarm(t, "", "help", "doctor").out, "Usage: prewarm doctor")
	r := prewarm(t, "", "help", "canary")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "configuration, glossary")
	require.Contains(t, prewarm(t, "", "help", "qwertz").err, "`prewarm help`")
}

// The README's five minutes are those of the page that is run.
func TestTheReadmeSaysWhatTheFirstShopSays(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	page := pageText(t, "first-shop")
	lines := 0
	for _, b := range blocks(string(readme)) {
		for line := range strings.Lines(b.text) {
			command, _, _ := strings.Cut(line, " #")
			if command = strings.TrimSpace(command); b.language == "sql" || strings.HasPrefix(command, "prewarm ") {
				lines++
				require.Contains(t, page, command)
			}
		}
	}
	require.Greater(t, lines, 8)
}
