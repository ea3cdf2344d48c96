// Package servers owns private servers: it starts redis-server, mariadbd or mysqld, prometheus or alertmanager from PATH as
// children of this process, in a temporary directory of their own, on a free loopback port or a socket in that directory,
// and ends them. Tests and the demo's local stack use it; it needs nothing but the standard library. The servers ask for no
// password and keep nothing safe across a power cut: never point it at data that matters.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// ErrMissing: the server's program is not installed; the message says what to install.
var ErrMissing = errors.New("server program not found")

const (
	// startTime bounds the wait for a server's first answer: 0.1 s is usual, 1 s was seen, and a loaded CI machine
	// may be ten times slower.
	startTime = 30 * time.Second
	// stopTime bounds a clean shutdown before the process is killed; mariadbd needs about 10 ms when idle.
	stopTime = 10 * time.Second
	// startTries: the free port that was found may be taken before the server binds it.
	startTries = 3
)

// Server is one private server. Its address stays the same over Stop, Kill and Restart. Its methods must not be called
// at the same time as each other.
type Server struct {
	Network string // "tcp" or "unix"
	Addr    string // host:port, or the socket's path

	dir     string
	prepare func(ctx context.Context, dir string) error // once, before the first start; nil: nothing to do
	start   func(s *Server) *exec.Cmd
	ready   func(c net.Conn) error // speaks enough of the protocol to know that the server serves

	proc *process // nil while the server is down
}

// process is one life of a server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and was waited for
}

// newServer makes the directory and starts the server.
func newServer(ctx context.Context, s *Server, name, parent string, socket bool) (*Server, error) {
	dir, err := os.MkdirTemp(parent, "prewarm-"+name+"-") // mode 0700: only this user reaches the socket
	if err != nil {
		return nil, fmt.Errorf("make directory for %s: %w", name, err)
	}
	s.dir = dir
	if s.prepare != nil {
		if err := s.prepare(ctx, dir); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %s: %w", name, err), s.Close())
		}
	}
	for try := 1; ; try++ {
		if err = s.pickAddr(socket); err == nil {
			err = s.Restart(ctx)
		}
		if err == nil {
			return s, nil
		}
		if try == startTries || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), s.Close())
		}
	}
}

func (s *Server) pickAddr(socket bool) error {
	if socket {
		s.Network, s.Addr = "unix", filepath.Join(s.dir, "sock")
		return nil
	}
	addr, err := FreeAddr()
	s.Network, s.Addr = "tcp", addr
	return err
}

// Ports that systems give neither to clients nor to those who ask for any. Each process takes a block of them for itself, by listening
// on its first, and gives each away once before it gives one again: a server that is down for a moment finds its port free when it is
// started again.
const firstPort, ports, blockPorts = 20_000, 12_000, 400

var ownBlock = sync.OnceValues(claimBlock)

func claimBlock() (*block, error) {
	var err error
	for range 1000 {
		b := &block{first: firstPort + rand.IntN(ports/blockPorts)*blockPorts}
		if b.claim, err = net.Listen("tcp", loopback(b.first)); err == nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("find a block of free ports: %w", err)
}

// block is the ports of this process.
type block struct {
	claim net.Listener // on the first, as long as the process lives
	first int
	given atomic.Int64
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// FreeAddr is a loopback address that nobody listens on now, and that no other process gives away.
func FreeAddr() (string, error) {
	own, err := ownBlock()
	if err != nil {
		return "", err
	}
	return own.free()
}

func (b *block) free() (string, error) {
	var err error
	for range blockPorts - 1 {
		port := b.first + 1 + int(b.given.Add(1)%(blockPorts-1))
		var l net.Listener
		if l, err = net.Listen("tcp", loopback(port)); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}

// PID is the server's process; 0 while it is down.
func (s *Server) PID() int {
	if s.proc == nil {
		return 0
	}
	return s.proc.cmd.Process.Pid
}

// Restart starts the server again on the same address and directory; it kills it first if it still runs.
func (s *Server) Restart(ctx context.Context) error {
	s.Kill()
	logFile, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open server log: %w", err)
	}
	defer logFile.Close()
	cmd := s.start(s)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = dieWithParent()
	if s.proc, err = launch(cmd); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Kill()
		return fmt.Errorf("%w; its log ends with: %s", err, s.logTail())
	}
	return nil
}

// launch starts cmd from a goroutine that keeps its thread until the child has ended: the kernel sends the parent-death
// signal when the starting *thread* ends, not the process.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is no news: it is ended by signals
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return p, nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.Ping()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("server gave no answer in time: %w", err)
		case <-s.proc.done:
			return errors.New("server ended before it answered")
		case <-tick.C:
		}
	}
}

// Ping connects and asks whether the server serves, within one second.
func (s *Server) Ping() error {
	conn, err := net.DialTimeout(s.Network, s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	return s.ready(conn)
}

// Kill ends the server as a crash would, and waits until it is gone.
func (s *Server) Kill() {
	if s.proc == nil {
		return
	}
	_ = s.proc.cmd.Process.Kill() // the only error is that it has ended already
	<-s.proc.done
	s.proc = nil
}

// Stop shuts the server down cleanly and waits until it is gone. It can be started again by Restart.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	_ = terminate(s.proc.cmd.Process)
	select {
	case <-s.proc.done:
	case <-time.After(stopTime):
	}
	s.Kill()
}

// Close ends the server and removes its directory.
func (s *Server) Close() error {
	s.Stop()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove server directory: %w", err)
	}
	return nil
}

// Freeze stops the process without ending it: connections stay open and get no answer.
func (s *Server) Freeze() error { return s.signal(freeze) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() error { return s.signal(thaw) }

func (s *Server) signal(send func(*os.Process) error) error {
	if s.proc == nil {
		return errors.New("server does not run")
	}
	return send(s.proc.cmd.Process)
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "log") }

func (s *Server) logTail() string {
	text, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	const enough = 2000
	return string(bytes.TrimSpace(text[max(0, len(text)-enough):]))
}
