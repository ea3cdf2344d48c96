package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/tasks"
)

const (
	// forwardEvery is how often the pod's first slot moves due tasks to where slots pull from: a task's start and a retry
	// are late by at most this. The other slots do it at asynq's own 5 s, or Redis would be asked by each.
	forwardEvery = time.Second
	// pollEvery is how long an idle slot waits before it asks again, half to one and a half of it.
	pollEvery = 400 * time.Millisecond
	// shrinkWithin bounds how long a slot that is taken out may finish its task before asynq gives the task to others.
	shrinkWithin = 20 * time.Minute
)

// Pool is the slots of one pod. It is safe for concurrent use.
type Pool struct {
	client  redis.UniversalClient
	handler asynq.Handler
	log     *slog.Logger
	root    context.Context // of all handlers
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	slots   []*asynq.Server
	ending  sync.WaitGroup // slots that were taken out and finish their task
	stopped bool
}

// NewPool is a pool of no slots yet; Resize starts them.
func NewPool(client redis.UniversalClient, handler asynq.Handler, log *slog.Logger) *Pool {
	root, cancel := context.WithCancelCause(context.Background())
	return &Pool{client: client, handler: handler, log: log, root: root, cancel: cancel}
}

// Resize makes the pool n slots. Slots that go stop pulling at once and finish the task in hand.
func (p *Pool) Resize(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	for len(p.slots) < n {
		s := p.newSlot(len(p.slots) == 0)
		if err := s.Start(p.handler); err != nil {
			return err
		}
		p.slots = append(p.slots, s)
	}
	for len(p.slots) > max(n, 0) {
		last := len(p.slots) - 1
		p.retire(p.slots[last])
		p.slots = p.slots[:last]
	}
	return nil
}

// Size is the number of slots.
func (p *Pool) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.slots)
}

func (p *Pool) newSlot(first bool) *asynq.Server {
	cfg := serverConfig(p.root, p.log)
	cfg.Concurrency = 1
	cfg.Queues = map[string]int{tasks.QueueUrgent: 2, tasks.QueueWarm: 1}
	cfg.StrictPriority = true
	cfg.ShutdownTimeout = shrinkWithin
	if !first {
		cfg.DelayedTaskCheckInterval = 5 * time.Second
	}
	return asynq.NewServerFromRedisClient(p.client, cfg)
}

// retire ends a slot in the background.
func (p *Pool) retire(s *asynq.Server) {
	s.Stop()
	p.ending.Go(s.Shutdown)
}

// Stop ends all slots. Handlers should have been told to hand back before; those that still run after grace have their
// context cancelled, because asynq would otherwise give their task away while they work on it.
func (p *Pool) Stop(grace time.Duration) {
	p.mu.Lock()
	p.stopped = true
	for _, s := range p.slots {
		p.retire(s)
	}
	p.slots = nil
	p.mu.Unlock()
	timer := time.AfterFunc(grace, func() { p.cancel(load.ErrHandBack) })
	p.ending.Wait()
	timer.Stop()
	p.cancel(load.ErrHandBack)
}

// serverConfig is what all of a pod's asynq servers have in common.
func serverConfig(root context.Context, log *slog.Logger) asynq.Config {
	return asynq.Config{
		BaseContext:              func() context.Context { return root },
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		TaskCheckInterval:        pollEvery,
		DelayedTaskCheckInterval: forwardEvery,
		Logger:                   asynqLog{log},
		LogLevel:                 asynq.WarnLevel,
	}
}
