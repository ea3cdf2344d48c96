//go:build !race

package model

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	planned "github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/upkeep"
	"github.com/prewarm-go/prewarm/tasks"
	"github.com/prewarm-go/prewarm/workers"
)

// What a pod is configured with; times are short so that they matter within a world's minutes.
const (
	slotsOfPod = 2
	attempts   = 3
	leaseTime  = 10 * time.Second
	podDead    = 10 * time.Second
	beatEvery  = 2 * time.Second  // as internal/app has it
	straysEach = 5                // beats
	leadEvery  = 10 * time.Second // as internal/upkeep has it
)

var actions = sync.OnceValue(func() *prometheus.CounterVec { return upkeep.NewActions(prometheus.NewRegistry()) })

// pod is one process: the real handler, leases, reconciler and intake, and loops as internal/app has them.
type pod struct {
	w      *world
	id     string
	ctx    context.Context
	cancel context.CancelFunc
	drain  chan struct{}

	handler    *workers.LoadHandler
	reconciler *upkeep.Reconciler
	intake     *intake.Intake
	slots      []*actor
	leads      bool

	dead, frozen, leaving bool
	woke                  time.Time
}

// thawed: the process has just been continued, and its timers may not have fired yet.
func (p *pod) thawed(now time.Time) bool { return p.frozen || p.woke.Equal(now) }

func (w *world) newPod() *pod {
	p := &pod{w: w, id: fmt.Sprintf("pod%d", len(w.pods)+1), drain: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	queueClient := newClient(w.redis.serve)
	leases, flags := lease.New(queueClient, leaseTime), cache.NewFlags(queueClient)
	writer := cache.New(newClient(w.cache.serve))
	settler := &load.Settler{Ledger: w.store, Flags: flags, Leases: leases, Alerts: w.alert, Log: w.log}
	expire := config.Expire{AfterEnd: afterEnd}
	backoff := config.Backoff{First: 5 * time.Second, Max: time.Minute}
	p.handler = &workers.LoadHandler{
		Pod: p.id, Ledger: w.store, Leases: leases, Settler: settler, Expire: expire, Drain: p.drain, Alerts: w.alert, Log: w.log,
		Loader: &load.Loader{Ledger: w.store, Cache: struct{ load.Cache }{writer}, // without streams: the model has no connections

			Limits: load.Limits{PageRows: pageRows, PageBytes: 1 << 20, MaxRejects: 1}},
		Datasets: map[string]load.Dataset{spec.Name: w.ghost.src},
		Retry:    workers.RetryPolicy{Retry: config.Retry{Attempts: attempts, Backoff: backoff}, Definitive: load.Definitive},
	}
	p.reconciler = &upkeep.Reconciler{
		Ledger: w.store, Queue: w.queue, Tasks: w.queue, Settler: settler, TaskID: planned.TaskID, PlanID: planned.IDOf, Flags: flags, Caches: map[string]upkeep.Cache{config.MainCache: {Stamps: writer, Nodes: cacheNodes}}, Alerts: w.alert, PodDead: podDead,
		Attempts: attempts, BackoffMax: backoff.Max, Watch: config.Defaults().Policy.Watch, Log: w.log, Actions: actions(),
	}
	policy := config.Defaults().Policy
	policy.Expire, policy.Lease, policy.PodDead = expire, leaseTime, podDead
	p.intake = intake.New(intake.Config{
		Ledger: w.store, Shops: w.ghost.src, Flags: flags, Leases: leases, Tasks: w.queue, Alerts: w.alert, Policy: policy,
		Log: w.log, Count: func(string) {},
	})
	for i := range slotsOfPod {
		p.slots = append(p.slots, &actor{name: fmt.Sprintf("%s.slot%d", p.id, i+1), pod: p})
	}
	w.pods = append(w.pods, p)
	// As in internal/app, a pod that could not say that it lives does not start.
	if err := w.store.Beat(as(p.ctx, &actor{name: p.id + ".start", pod: p, direct: true}), ledger.Pod{ID: p.id, Version: "model", Slots: slotsOfPod}); err != nil {
		panic(err)
	}
	signals := &workers.Signals{Look: p.handler.Look, Log: w.log}
	for i, loop := range []func(){p.pulse, p.lead, func() { signals.Watch(as(p.ctx, &actor{name: p.id + ".watch", pod: p})) }} {
		after := time.Duration(len(w.pods)*10+i) * time.Millisecond // not all at the same moment; see tick
		go func() {
			time.Sleep(after)
			loop()
		}()
	}
	return p
}

// cacheNodes are the cache's servers, which evict nothing.
func cacheNodes(context.Context) ([]redisconn.Node, error) {
	return []redisconn.Node{{Addr: "cache", Start: "first"}}, nil
}

// pulse is internal/app's: heartbeats, and a look for strays now and then.
func (p *pod) pulse() {
	ctx := as(p.ctx, &actor{name: p.id + ".pulse", pod: p})
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		bounded, cancel := context.WithTimeout(ctx, beatEvery)
		_ = p.w.store.Beat(bounded, ledger.Pod{ID: p.id, Version: "model", Slots: slotsOfPod})
		cancel()
		if n%straysEach == straysEach-1 && !p.w.mut.noStrays {
			bounded, cancel := context.WithTimeout(ctx, straysEach*beatEvery)
			_ = p.handler.Strays(bounded)
			cancel()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lead reconciles while this pod leads.
func (p *pod) lead() {
	ctx := as(p.ctx, &actor{name: p.id + ".lead", pod: p})
	tick := time.NewTicker(leadEvery)
	defer tick.Stop()
	for {
		if p.leads {
			_ = p.reconciler.Once(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// alive are the pods that work, frozen ones included.
func (w *world) alive() []*pod {
	var pods []*pod
	for _, p := range w.pods {
		if !p.dead {
			pods = append(pods, p)
		}
	}
	return pods
}

// elect gives the lead to the first pod that can take it, if nobody has it.
func (w *world) elect() {
	for _, p := range w.alive() {
		if !p.frozen {
			p.leads = true
			return
		}
	}
}

// busy is how many slots have a task: the most pages that a fault of the whole pod can have written again.
func (p *pod) busy() (n int) {
	for _, s := range p.slots {
		if s.task != nil {
			n++
		}
	}
	return n
}

// die ends a process at once. Calls that are under way may still be served.
func (p *pod) die(served bool) {
	w := p.w
	w.mu.Lock()
	w.faults += p.busy()
	p.dead, p.frozen, p.leads = true, false, false
	var mine []*call
	for _, c := range w.calls {
		if c.who.pod == p {
			mine = append(mine, c)
		}
	}
	w.mu.Unlock()
	for _, c := range mine {
		if served && c.apply != nil {
			w.let(c, replyLost)
		} else {
			w.let(c, refused)
		}
	}
	p.cancel()
	w.settle()
	w.elect()
}

// freeze stops a process. What its loaders have sent is served all the same.
func (p *pod) freeze() {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults += p.busy()
	p.frozen, p.leads = true, false
	for _, c := range w.calls {
		if c.who.pod == p && (c.kind == toCache || c.kind == toSource) {
			c.done = true
			w.note(c.who, "%s (its reply waits)", c.what)
			c.apply()
		}
	}
	w.elect()
}

func (p *pod) thaw() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.frozen, p.woke = false, time.Now()
	p.w.elect()
}

// stop drains a pod as SIGTERM does; another takes its place when it has gone.
func (p *pod) stop() {
	if p.leaving {
		return
	}
	p.leaving = true
	close(p.drain)
	p.w.people.Go(func() {
		p.handler.Wait()
		ctx := as(context.WithoutCancel(p.ctx), &actor{name: p.id + ".stop", pod: p})
		_ = p.w.store.Leave(ctx, p.id)
	})
}

// idle are the slots that could take a task.
func (w *world) idle() []*actor {
	var slots []*actor
	for _, p := range w.alive() {
		if p.frozen || p.leaving {
			continue
		}
		for _, s := range p.slots {
			if s.task == nil {
				slots = append(slots, s)
			}
		}
	}
	return slots
}

// deliver hands a task to a slot.
func (w *world) deliver(t *task, s *actor, echo bool) {
	w.pass(tick)
	d := &delivery{task: t, echo: echo}
	if !t.isPlan {
		seq, err := tasks.SeqOf(t.id)
		if err != nil {
			panic(err)
		}
		d.seq = seq
	}
	if d.seq >= maxSeq {
		w.fail("%s has got %d tasks: nothing comes of them", d.short(), d.seq)
		return
	}
	s.task = d
	if echo {
		w.note(s, "gets a task once more")
	} else {
		t.state, t.by, t.due = queue.Active, s, time.Now().Add(recoverAfter)
		w.note(s, "gets its task")
	}
	go func() {
		base := as(s.pod.ctx, s)
		ctx, cancel := context.WithTimeout(taskContext{base, metadata[d.seq]}, 15*time.Minute)
		defer cancel()
		var err error
		if t.isPlan {
			err = s.pod.plan(ctx, d.load)
		} else {
			err = s.pod.handler.ProcessTask(ctx, asynq.NewTask(tasks.LoadPrefix+spec.Name, d.payload()))
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if !s.pod.dead {
			w.note(s, "handler ends: %v", err)
			w.queue.finish(d, err)
		}
		s.task, s.has = nil, nil
	}()
	w.settle()
}

// plan is plan.Planner's.
func (p *pod) plan(ctx context.Context, l tasks.Load) error {
	run, err := p.w.store.Run(ctx, l.Run)
	if err != nil {
		return err
	}
	if run.Epoch != l.Epoch || run.State != ledger.RunPlanned {
		return nil
	}
	if paused, err := p.w.store.Paused(ctx, run, ""); err != nil || paused != nil {
		return err
	}
	if run.PlannedAt.IsZero() {
		if err := p.w.store.WritePlan(ctx, run.ID, run.Epoch, ledger.Kept{}, unitsOf()); err != nil && !strings.Contains(err.Error(), ledger.ErrState.Error()) {
			return err
		}
		if run, err = p.w.store.Run(ctx, l.Run); err != nil {
			return err
		}
	}
	due, err := p.w.store.WaitingOf(ctx, run)
	if err != nil {
		return err
	}
	return p.w.queue.Units(ctx, due)
}
