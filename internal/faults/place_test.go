package faults

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/faults/proxy"
)

// servers that a pod reaches, each over a proxy of its own.
var routes = []string{"queue", "cache", "ledger", "source"}

// lag is the network's usual delay in each direction: with none, an evening's work would be done before a fault comes.
const lag = 6 * time.Millisecond

var usual = proxy.Mode{Up: proxy.Rule{Delay: lag}, Down: proxy.Rule{Delay: lag}}

// place is where a pod runs. When the pod ends, a new one is started, as an orchestrator would.
type place struct {
	e      *evening
	number int
	links  map[string]*proxy.Proxy
	clock  string // the file that shifts its pods' clock

	mu     sync.Mutex
	held   bool // no pod is to run here now
	ending bool // for good
	pods   int  // how many have run here
	now    *pod
	wake   chan struct{}
	done   chan struct{}
}

// pod is one process.
type pod struct {
	name string // its database user
	cmd  *exec.Cmd
	url  string // once it serves
	end  chan struct{}
	err  error
	told bool // somebody ended it
}

func newPlace(t *testing.T, e *evening, number int) *place {
	t.Helper()
	p := &place{e: e, number: number, links: map[string]*proxy.Proxy{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	p.clock = filepath.Join(e.dir, fmt.Sprintf("clock-%d", number))
	require.NoError(t, os.WriteFile(p.clock, make([]byte, 8), 0o600))
	for route, addr := range map[string]string{"queue": e.queue.Addr, "cache": e.cache.Addr, "ledger": e.db.Addr, "source": e.db.Addr} {
		var tap func(int64, []byte)
		if route == "cache" {
			tap = e.taps[number].see
		}
		link, err := proxy.New(t.Context(), addr, tap)
		require.NoError(t, err)
		link.Set(usual)
		p.links[route] = link
	}
	go p.keep()
	return p
}

func (p *place) String() string { return fmt.Sprintf("pod %d", p.number) }

// keep has a pod running here whenever one should.
func (p *place) keep() {
	runtime.LockOSThread() // the kernel ends a child when the thread that started it ends
	defer runtime.UnlockOSThread()
	defer close(p.done)
	for {
		p.mu.Lock()
		held, ending := p.held, p.ending
		p.mu.Unlock()
		if ending {
			return
		}
		if held {
			<-p.wake
			continue
		}
		began := time.Now()
		served, err := p.once()
		p.mu.Lock()
		told := p.now == nil || p.now.told
		p.mu.Unlock()
		if served && !told {
			p.e.problem("pod ended by itself", fmt.Sprintf("%s after %s: %v", p, time.Since(began).Round(time.Second), err))
		}
		select {
		case <-p.wake:
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// once runs one pod to its end.
func (p *place) once() (served bool, err error) {
	p.mu.Lock()
	p.pods++
	name := fmt.Sprintf("p%dn%d", p.number, p.pods)
	pd := &pod{name: name, end: make(chan struct{})}
	p.mu.Unlock()
	config := filepath.Join(p.e.dir, name+".yaml")
	if err := os.WriteFile(config, []byte(p.e.config(p, name)), 0o600); err != nil {
		return false, err
	}
	log, err := os.Create(filepath.Join(p.e.dir, name+".log"))
	if err != nil {
		return false, err
	}
	defer log.Close()
	pd.cmd = exec.Command(p.e.program, "serve", "--config", config, "--drain", "6s")
	pd.cmd.Env = append(os.Environ(), clockEnv+"="+p.clock, "GOMAXPROCS=2")
	pd.cmd.Stderr = log
	pd.cmd.SysProcAttr = dieWithParent()
	out, err := pd.cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := pd.cmd.Start(); err != nil {
		return false, err
	}
	p.mu.Lock()
	p.now = pd
	stop := p.held || p.ending
	p.mu.Unlock()
	if stop { // it was told to while this pod was started
		p.kill()
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if at, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "board"); ok {
			served = true
			p.mu.Lock()
			pd.url = strings.TrimSuffix(strings.TrimSpace(at), "/")
			p.mu.Unlock()
		}
	}
	pd.err = pd.cmd.Wait()
	close(pd.end)
	p.mu.Lock()
	pd.url = ""
	p.mu.Unlock()
	return served, pd.err
}

// url is where the place's pod answers; "" while none does.
func (p *place) url() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return ""
	}
	return p.now.url
}

// user is the database user of the place's newest pod.
func (p *place) user() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return ""
	}
	return p.now.name
}

// signal sends the pod a signal; told says that it may end of it.
func (p *place) signal(s syscall.Signal, told bool) *pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return nil
	}
	select {
	case <-p.now.end:
		return nil
	default:
	}
	p.now.told = p.now.told || told
	_ = p.now.cmd.Process.Signal(s)
	return p.now
}

// hold keeps new pods from being started.
func (p *place) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = true
}

// release lets a new pod start.
func (p *place) release() {
	p.mu.Lock()
	p.held = false
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *place) kill() {
	if pd := p.signal(syscall.SIGKILL, true); pd != nil {
		<-pd.end
	}
}

// drainTime is well beyond the pod's --drain.
const drainTime = 12 * time.Second

// stop asks the pod to end; it has to be killed if it does not.
func (p *place) stop() error {
	pd := p.signal(syscall.SIGTERM, true)
	if pd == nil {
		return nil
	}
	select {
	case <-pd.end:
		return nil
	case <-time.After(drainTime):
		_ = pd.cmd.Process.Signal(syscall.SIGQUIT) // its goroutines go to its log
		select {
		case <-pd.end:
		case <-time.After(2 * time.Second):
			p.kill()
		}
		return errors.New("did not stop in time after SIGTERM")
	}
}

// close ends the place for good.
func (p *place) close() {
	p.mu.Lock()
	p.ending, p.held = true, true
	p.mu.Unlock()
	p.signal(syscall.SIGCONT, true)
	p.kill()
	p.release()
	<-p.done
	for _, l := range p.links {
		_ = l.Close()
	}
}

// shift moves the clock of the place's pods.
func (p *place) shift(by time.Duration) error {
	f, err := os.OpenFile(p.clock, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var word [8]byte
	for i, seconds := 0, uint64(by/time.Second); i < 8; i++ {
		word[i] = byte(seconds >> (8 * i))
	}
	_, err = f.WriteAt(word[:], 0)
	return err
}
