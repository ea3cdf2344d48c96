// Package testenv gives tests real servers: a private mariadbd (or mysqld) and redis-server from PATH, one of each per
// test process, started when a test first asks and ended by Main. Tests share them without meeting: each has a schema
// and a numbered Redis database of its own. OwnMySQL and OwnRedis start a server for one test alone, which may then
// kill, freeze and restart it.
//
// A server that is not installed skips the test, or fails it if PREWARM_REQUIRE_SERVERS=1.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/prewarm-go/prewarm/internal/servers"
	"go.uber.org/goleak"
)

// Environment variables.
const (
	// EnvMySQL is the go-sql-driver DSN, without a schema, of a server to make the tests' schemas on instead of on a
	// private one, such as "root@tcp(127.0.0.1:3306)/". Its user needs the right to create and drop schemas.
	EnvMySQL = "PREWARM_TEST_MYSQL"
	// EnvRequire, set to 1, makes whatever a test lacks a failure: a server, a program, the repository's history.
	EnvRequire = "PREWARM_REQUIRE_SERVERS"
	// EnvSkipped names a file to which a test that misses a server adds a line.
	EnvSkipped = "PREWARM_SKIPPED"
)

// Main is for TestMain: it runs the tests, ends the servers and fails if goroutines are left over.
func Main(m *testing.M, leaks ...goleak.Option) {
	code := m.Run()
	if err := errors.Join(sharedMySQL.close(), sharedRedis.close(), removePrograms()); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(leaks...); err != nil {
			fmt.Fprintln(os.Stderr, "testenv:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// shared is a server that all tests of the process use.
type shared struct {
	once   sync.Once
	server *servers.Server
	err    error
}

func (s *shared) get(t testing.TB, start func() (*servers.Server, error)) *servers.Server {
	t.Helper()
	s.once.Do(func() { s.server, s.err = start() })
	Need(t, s.err)
	return s.server
}

func (s *shared) close() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// Need is for tests that start servers by other means: it skips the test if err says that a server is not installed, and
// fails it on any other error.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, servers.ErrMissing):
		Skip(t, err)
	default:
		t.Fatal(err)
	}
}

// Skip skips a test that lacks something, and says so at the end of the run; where nothing may lack it fails the test.
func Skip(t testing.TB, why error) {
	t.Helper()
	if os.Getenv(EnvRequire) == "1" {
		t.Fatal(why)
	}
	note(t, why)
	t.Skip(why)
}

// note keeps the skip for the end of a run: `go test` shows it with -v only.
func note(t testing.TB, reason error) {
	t.Helper()
	name := os.Getenv(EnvSkipped)
	if name == "" {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s: %v\n", t.Name(), reason); err != nil {
		t.Fatal(err)
	}
}

// own is a server that belongs to one test; without a server, a shared one.
type own struct {
	t      testing.TB
	server *servers.Server
}

func newOwn(t testing.TB, server *servers.Server, err error) own {
	t.Helper()
	Need(t, err)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return own{t, server}
}

func (o own) mine() *servers.Server {
	o.t.Helper()
	if o.server == nil {
		o.t.Fatal("testenv: other tests use this server too; ask for OwnRedis or OwnMySQL")
	}
	return o.server
}

// Kill ends the server as a crash would.
func (o own) Kill() {
	o.t.Helper()
	o.mine().Kill()
}

// Stop shuts the server down cleanly.
func (o own) Stop() {
	o.t.Helper()
	o.mine().Stop()
}

// Restart starts the server on the same address with what it had kept; it kills it first if it still runs.
func (o own) Restart() {
	o.t.Helper()
	Need(o.t, o.mine().Restart(o.t.Context()))
}

// Freeze stops the process: connections stay open and get no answer.
func (o own) Freeze() {
	o.t.Helper()
	Need(o.t, o.mine().Freeze())
}

// Thaw lets a frozen server go on.
func (o own) Thaw() {
	o.t.Helper()
	Need(o.t, o.mine().Thaw())
}
