//go:build !race

package model

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// world is one simulated evening: the servers, the pods, and all calls between them that are under way.
type world struct {
	began   time.Time
	mut     *mutation
	tracing bool

	db    *database
	store *ledger.Store
	queue *taskQueue
	redis *redisServer // of the queue: leases and flags
	cache *cacheServer
	ghost *ghost
	alert *alert.Dispatcher
	log   *slog.Logger

	pods   []*pod // all there ever were
	made   int    // actors made so far for calls from outside
	people sync.WaitGroup

	mu     sync.Mutex // guards what follows; the scheduler and one released call are the only ones that run at a time
	calls  []*call    // waiting to be let go, ordered by their keys
	late   []*call    // those whose callers have given up, though the server may still do what they ask
	lines  []string
	failed string
	resets int
	faults int // how many pages may be written again because of what was done so far
}

// actor is somebody who makes calls, one or (a loader) two at a time.
type actor struct {
	name   string
	pod    *pod
	task   *delivery // what a slot works on
	has    *claim    // what it has claimed
	direct bool      // its calls are served at once: the first of a pod, without which it does not start
}

// routine: what the loops of a pod do is left out of a trace unless it changes something or fails.
func (a *actor) routine() bool {
	_, loop, _ := strings.Cut(a.name, ".")
	return loop == "pulse" || loop == "lead" || loop == "watch"
}

type claim struct {
	unit unitID
	n    int64
}

type actorKey struct{}

func as(ctx context.Context, a *actor) context.Context { return context.WithValue(ctx, actorKey{}, a) }

func actorOf(ctx context.Context) *actor {
	a, ok := ctx.Value(actorKey{}).(*actor)
	if !ok {
		panic("a call by nobody")
	}
	return a
}

// Kinds of calls, and how long their clients wait for an answer.
type kind int

const (
	toLedger kind = iota
	toRedis
	toCache
	toSource
	toQueue
)

var patience = [...]time.Duration{toLedger: 20 * time.Second, toRedis: 3 * time.Second, toCache: 3 * time.Second, toSource: 10 * time.Second, toQueue: 3 * time.Second}

// call is one request to a server that waits to be let go by the scheduler.
type call struct {
	key   string // orders calls, the same way in every repetition
	who   *actor
	kind  kind
	what  string
	at    time.Time
	apply func() // does what is asked at the server; nil: the caller does it when it is let go
	done  bool   // it was applied
	reply chan error
}

var (
	errReset = errors.New("no such luck") // which the work is blamed for
	errAway  = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errDead  = errors.New("the process is dead")
	// errLost: do it, and then say that it failed; for calls that the caller applies.
	errLost = errors.New("reply lost")
)

// gate makes a call and waits until the scheduler has decided what becomes of it. With nil, apply has been done, or is the
// caller's to be done now.
func (w *world) gate(ctx context.Context, k kind, what string, apply func()) error {
	a := actorOf(ctx)
	if a.direct {
		w.mu.Lock()
		defer w.mu.Unlock()
		if apply != nil {
			apply()
		}
		return nil
	}
	c := &call{who: a, kind: k, what: what, at: time.Now(), apply: apply, reply: make(chan error, 1)}
	c.key = fmt.Sprintf("%s/%d", a.name, k)
	w.mu.Lock()
	if a.pod.dead {
		w.mu.Unlock()
		return errDead
	}
	if w.tracing && k == toLedger {
		c.what = storeMethod() + what
	}
	w.calls = insert(w.calls, c)
	w.mu.Unlock()
	timer := time.NewTimer(patience[k])
	defer timer.Stop()
	var err error
	select {
	case err = <-c.reply:
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = os.ErrDeadlineExceeded
	}
	w.mu.Lock()
	at := slices.Index(w.calls, c)
	if at < 0 || a.pod.frozen { // it is let go this very moment, or the process does not see its timers
		w.mu.Unlock()
		return <-c.reply
	}
	w.calls = slices.Delete(w.calls, at, at+1)
	if c.apply != nil && !c.done {
		w.late = insert(w.late, c)
	}
	w.blame(a)
	w.note(a, "gives up on %s: %v", c.what, err)
	w.mu.Unlock()
	return err
}

// blame counts what a call that failed can have written again: its loader's page, or, if it was a heartbeat, the pages of a
// pod that looks dead now.
func (w *world) blame(a *actor) {
	if a.task != nil {
		w.faults++
	} else if strings.HasSuffix(a.name, ".pulse") {
		w.faults += a.pod.busy()
	}
}

// insert keeps calls in the order of their keys, whichever of two comes first.
func insert(calls []*call, c *call) []*call {
	at, _ := slices.BinarySearchFunc(calls, c, func(a, b *call) int { return strings.Compare(a.key, b.key) })
	return slices.Insert(calls, at, c)
}

// settle waits until everybody waits for the scheduler or for time to pass.
func (w *world) settle() { synctest.Wait() }

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	w.settle()
}

// open are the calls that can be let go: those of frozen pods cannot.
func (w *world) open() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := make([]*call, 0, len(w.calls))
	for _, c := range w.calls {
		if !c.who.pod.frozen {
			calls = append(calls, c)
		}
	}
	return calls
}

// Outcomes of a call.
type outcome int

const (
	answered  outcome = iota
	refused           // nothing was done
	replyLost         // it was done, and the caller is told that it failed
)

// tick is what each step takes: no two calls begin, and run out of patience, at the same moment, where chance would decide
// which is first.
const tick = time.Microsecond

// let lets a call go, unless its caller gives up just then.
func (w *world) let(c *call, o outcome) {
	w.pass(tick)
	w.mu.Lock()
	at := slices.Index(w.calls, c)
	if at < 0 {
		w.mu.Unlock()
		return
	}
	w.calls = slices.Delete(w.calls, at, at+1)
	var err error
	suffix := ""
	switch o {
	case answered:
	case refused:
		err, suffix = w.reset(), " ✗ refused"
	case replyLost:
		err, suffix = w.reset(), " ✗ done, but the reply is lost"
		if c.apply == nil {
			err = errLost
		}
	}
	if err != nil || !c.who.routine() {
		w.note(c.who, "%s%s", c.what, suffix)
	}
	if c.apply != nil && !c.done && o != refused {
		c.done = true
		c.apply()
	}
	w.mu.Unlock()
	c.reply <- err
	w.settle()
}

// reset is the error of a call that failed: every third is of a kind that counts as an attempt.
func (w *world) reset() error {
	if w.resets++; w.resets%3 == 0 {
		return errReset
	}
	return errAway
}

// note adds a line to the trace; mu is held, or nobody else runs.
func (w *world) note(a *actor, format string, args ...any) {
	if !w.tracing {
		return
	}
	name := "—"
	if a != nil {
		name = a.name
		if a.task != nil {
			name += " (" + a.task.short() + ")"
		}
	}
	w.lines = append(w.lines, fmt.Sprintf("%7.2fs  %-24s %s", time.Since(w.began).Seconds(), name, fmt.Sprintf(format, args...)))
}

// fail records what must not be; the first counts.
func (w *world) fail(format string, args ...any) {
	if w.failed == "" {
		w.failed = fmt.Sprintf(format, args...)
		w.note(nil, "VIOLATION %s", w.failed)
	}
}

// storeMethod is the ledger's method that the present statement is part of.
func storeMethod() string {
	pcs := make([]uintptr, 40)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	name := "?"
	for {
		f, more := frames.Next()
		if _, method, ok := strings.Cut(f.Function, "ledger.(*Store)."); ok && !strings.Contains(method, ".") {
			name = method
		}
		if !more {
			return "ledger." + name
		}
	}
}
