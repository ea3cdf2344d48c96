//go:build !race

package model

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/tasks"
)

// step is one thing that happens. a and b select among what there is then; a step that does not apply does nothing, so
// any list of steps is an evening, and so is what is left of one when steps are taken out.
type step struct {
	op   op
	a, b uint8
}

type op uint8

const (
	goOn      op = iota // a call is let go, b+1 of them
	deliver             // a slot gets a task
	wait                // time passes
	refuse              // a call fails and nothing was done
	loseReply           // a call fails and was done
	lateCall            // a call that its caller has given up is served
	echo                // a task comes twice, late, or from an older epoch
	loseTask            // a task is lost
	crash
	freeze
	thaw
	stall // frozen until everybody has given the pod up, while the others go on
	terminate
	usurp // a second pod leads
	flushQueue
	flushCache
	edit // a row of a source changes
	cancelRun
	restartRun
	retryRun
	moveRun
	announce
	pause
	resume
	ops
)

var opNames = [ops]string{"go on", "deliver", "wait", "refuse", "lose reply", "late call", "echo", "lose task", "crash", "freeze", "thaw", "stall",
	"terminate", "usurp", "flush queue", "flush cache", "edit", "cancel", "restart", "retry", "move", "announce", "pause", "resume"}

func (s step) String() string { return fmt.Sprintf("%s %d %d", opNames[s.op], s.a, s.b) }

// weights are how often each step comes, relative to the others.
var weights = [ops]int{goOn: 60, deliver: 14, wait: 10, refuse: 4, loseReply: 4, lateCall: 2, echo: 3, loseTask: 1, crash: 2, freeze: 2, thaw: 2, stall: 2,
	terminate: 1, usurp: 1, flushQueue: 1, flushCache: 1, edit: 4, cancelRun: 1, restartRun: 2, retryRun: 1, moveRun: 2, announce: 2, pause: 1, resume: 1}

var waits = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 7 * time.Second,
	11 * time.Second, 16 * time.Second, 22 * time.Second}

const (
	leastSteps = 20
	mostSteps  = 80
)

// moods make some evenings slow and some busy, by how much more often such steps come.
var moods = []map[op]int{
	{},
	{wait: 4, announce: 5, deliver: 2, crash: 0, freeze: 0, stall: 0, flushQueue: 0, flushCache: 0, cancelRun: 0, pause: 0}, // runs of one shop meet
	{stall: 6, freeze: 3, thaw: 3, flushCache: 0},
	{announce: 3, cancelRun: 4, restartRun: 3, retryRun: 4, moveRun: 3, pause: 3, resume: 3},
	{refuse: 4, loseReply: 4, lateCall: 3},
}

// generate are the steps of a seed.
func generate(seed uint64) []step {
	r := rand.New(rand.NewPCG(seed, 0))
	weights, total := weights, 0
	for o, times := range moods[r.IntN(len(moods))] {
		weights[o] *= times
	}
	for _, w := range weights {
		total += w
	}
	steps := make([]step, leastSteps+r.IntN(mostSteps-leastSteps))
	for i := range steps {
		at, n := op(0), r.IntN(total)
		for n >= weights[at] {
			n -= weights[at]
			at++
		}
		steps[i] = step{at, uint8(r.UintN(256)), uint8(r.UintN(256))}
	}
	return steps
}

func pick[T any](from []T, by uint8) (t T, ok bool) {
	if len(from) == 0 {
		return t, false
	}
	return from[int(by)%len(from)], true
}

// take does a step.
func (w *world) take(s step) {
	switch s.op { //nolint:exhaustive // ops is their number
	case goOn:
		for i := range s.b%8 + 1 {
			w.goOn(s.a + i*37)
		}
	case deliver:
		w.deliverOne(s.a, s.b)
	case wait:
		d := waits[int(s.a)%len(waits)]
		w.say("%s pass", d)
		w.pass(d)
	case refuse, loseReply:
		if c, ok := pick(w.open(), s.a); ok {
			w.blame(c.who)
			w.let(c, map[op]outcome{refuse: refused, loseReply: replyLost}[s.op])
		}
	case lateCall:
		w.serveLate(s.a)
	case echo:
		t, ok := pick(w.queue.order, s.a)
		if slot, free := pick(w.idle(), s.b); ok && free {
			w.deliver(t, slot, true)
		}
	case loseTask:
		if t, ok := pick(w.queue.order, s.a); ok && !t.lost {
			w.say("task %s is lost", t.id)
			w.queue.drop(t)
		}
	case flushQueue:
		w.flushQueue()
	case flushCache:
		w.say("the cache is flushed")
		w.cache.flush()
	case edit:
		shop, _ := pick(shops, s.a)
		row := int(s.b) % shopRows
		w.ghost.src.edit(shop, row)
		w.say("row %s becomes version %d", keyOf(shop, row+1), w.ghost.src.rows[shop][row].version)
	case crash, freeze, thaw, stall, terminate, usurp:
		w.toPod(s)
	case cancelRun, restartRun, retryRun, moveRun, announce, pause, resume:
		w.ask(s)
	}
}

func (w *world) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(nil, format, args...)
}

// goOn lets one call go; without any, a task is delivered or time passes.
func (w *world) goOn(by uint8) {
	if c, ok := pick(w.open(), by); ok {
		w.let(c, answered)
	} else if !w.deliverOne(0, by) {
		w.pass(500 * time.Millisecond)
	}
}

func (w *world) deliverOne(a, b uint8) bool {
	t, ok := pick(w.queue.ready(), a)
	slot, free := pick(w.idle(), b)
	if ok && free {
		w.deliver(t, slot, false)
	}
	return ok && free
}

// serveLate serves a call whose caller has gone. A page is not much later than its caller's patience.
func (w *world) serveLate(by uint8) {
	c, ok := pick(w.late, by)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, x := range w.late {
		if x == c {
			w.late = append(w.late[:i:i], w.late[i+1:]...)
		}
	}
	if c.kind == toCache && time.Since(c.at) > patience[toCache]+2*time.Second {
		return
	}
	w.faults++
	w.note(c.who, "%s (late)", c.what)
	c.apply()
}

func (w *world) flushQueue() {
	w.say("the queue's Redis is flushed")
	for _, p := range w.alive() {
		w.faults += p.busy()
	}
	w.queue.drop(nil)
	clear(w.redis.keys)
	clear(w.ghost.trust)
	w.ghost.flushed = true
}

func (w *world) toPod(s step) {
	p, ok := pick(w.alive(), s.a)
	if !ok {
		return
	}
	switch s.op { //nolint:exhaustive // what is done to a pod
	case crash:
		w.say("%s dies; another takes its place", p.id)
		p.die(s.b%2 == 0)
		w.newPod()
		w.settle()
		w.elect()
	case freeze:
		if !p.frozen {
			w.say("%s is frozen", p.id)
			p.freeze()
		}
	case thaw:
		if p.frozen {
			w.say("%s goes on", p.id)
			p.thaw()
		}
	case stall:
		if p.frozen || len(w.alive()) < 2 {
			return
		}
		w.say("%s is frozen", p.id)
		p.freeze()
		for until := time.Now().Add(waits[int(s.b)%len(waits)] + podDead); time.Now().Before(until) && w.failed == ""; {
			w.goOn(0)
		}
		w.say("%s goes on", p.id)
		p.thaw()
	case terminate:
		if len(w.alive()) < 4 && !p.leaving {
			w.say("%s is told to stop; another takes its place", p.id)
			p.stop()
			w.newPod()
			w.settle()
		}
	case usurp:
		w.say("%s leads as well", p.id)
		p.leads = !p.frozen
	}
}

// broadcast is what upstream announces: times in minutes from the beginning.
type broadcast struct {
	shop, id     string
	starts, ends int
}

var broadcasts = []broadcast{
	{shops[0], "b1", 1, 240},
	{shops[0], "b2", 2, 180},
	{shops[1], "b3", 1, 240},
	{shops[0], "b4", 0, 1}, // over within the minute
}

// ask has somebody ask for something from outside.
func (w *world) ask(s step) {
	p, ok := pick(w.alive(), s.b)
	if !ok || p.frozen {
		return
	}
	if s.op == announce || s.op == moveRun {
		b, _ := pick(broadcasts, s.a)
		if s.op == moveRun {
			b.starts, b.ends = b.starts+int(s.b)%3, b.ends+int(s.b)/3%5*10-10
		}
		w.announce(p, b, s.b > 230)
		return
	}
	var ids []string
	for _, b := range broadcasts {
		for id, r := range w.ghost.runs {
			if r.broadcast == b.id {
				ids = append(ids, id)
			}
		}
	}
	id, ok := pick(ids, s.a)
	if !ok {
		return
	}
	for _, pod := range w.alive() {
		w.faults += pod.busy()
	}
	on, _ := pick([]ledger.Scope{{Kind: ledger.ScopeRun, ID: id}, {Kind: ledger.ScopeShop, ID: w.ghost.runs[id].shop}, {Kind: ledger.ScopeAll}, {Kind: ledger.ScopeDataset, ID: "users"}}, s.b)
	what := shortRun(id)
	if s.op == pause || s.op == resume {
		what = on.Kind
	}
	who := w.person(p, opNames[s.op]+" "+what)
	ctx := as(p.ctx, who)
	w.people.Go(func() {
		var err error
		switch s.op { //nolint:exhaustive // what is asked about a run
		case cancelRun:
			err = p.intake.Cancel(ctx, id, somebody)
		case restartRun:
			err = p.intake.Restart(ctx, id, somebody)
		case retryRun:
			err = p.intake.Retry(ctx, id, somebody)
		case pause:
			err = p.intake.Pause(ctx, on, somebody)
		case resume:
			err = p.intake.Resume(ctx, on, somebody)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.note(who, "answered: %v", err)
	})
	w.settle()
}

var somebody = ledger.By{Who: "somebody", Why: "by hand"}

func (w *world) person(p *pod, wants string) *actor {
	w.pass(tick)
	w.made++
	a := &actor{name: fmt.Sprintf("%s.request%d", p.id, w.made), pod: p}
	w.say("somebody asks %s: %s", a.name, wants)
	return a
}

func (w *world) announce(p *pod, b broadcast, cancelled bool) {
	for _, pod := range w.alive() {
		w.faults += pod.busy()
	}
	body, err := json.Marshal(tasks.Request{RequestID: "r", Broadcasts: []tasks.Broadcast{{
		BroadcastID: b.id, ShopID: b.shop, StartsAt: w.began.Add(time.Duration(b.starts) * time.Minute),
		EndsAt: w.began.Add(time.Duration(b.ends) * time.Minute), Tier: tasks.TierKA, Cancelled: cancelled,
	}}})
	if err != nil {
		panic(err)
	}
	who := w.person(p, fmt.Sprintf("broadcast %s of %s from minute %d to %d, cancelled %v", b.id, b.shop, b.starts, b.ends, cancelled))
	ctx := as(p.ctx, who)
	w.people.Go(func() {
		answer, err := p.intake.Accept(ctx, body, "model")
		w.mu.Lock()
		defer w.mu.Unlock()
		w.note(who, "answered: %v %v", answer.Outcomes, err)
	})
	w.settle()
}
