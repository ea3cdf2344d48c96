package workers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/tasks"
)

// enqueue puts n tasks into a queue.
func enqueue(t *testing.T, client redis.UniversalClient, name string, n int) {
	t.Helper()
	q := queue.New(client)
	for i := range n {
		require.NoError(t, q.EnqueueLoad(t.Context(), queue.LoadTask{
			Load: tasks.Load{Run: name, Unit: i, Epoch: 1, Dataset: "users"}, ID: fmt.Sprintf("%s.%03d.0", name, i),
			Queue: name, MaxRetry: 3, Timeout: time.Minute,
		}))
	}
}

// gate is a handler whose tasks say that they began and end when they are let.
type gate struct {
	began, let chan struct{}
	cause      chan error // of a task that was cancelled
	mu         sync.Mutex
	ended      []string
}

func newGate() *gate {
	return &gate{began: make(chan struct{}, 100), let: make(chan struct{}, 100), cause: make(chan error, 100)}
}

func (g *gate) ProcessTask(ctx context.Context, task *asynq.Task) error {
	g.began <- struct{}{}
	select {
	case <-ctx.Done():
		g.cause <- context.Cause(ctx)
		return context.Cause(ctx)
	case <-g.let:
	}
	p, err := tasks.ParseLoad(task.Payload())
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = append(g.ended, p.Run)
	return err
}

func (g *gate) waitBegan(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-g.began:
		case <-time.After(20 * time.Second):
			t.Fatal("no slot took the task")
		}
	}
}

func (g *gate) waitEnded(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.ended) == n
	}, 20*time.Second, 5*time.Millisecond)
}

func TestAPoolGrowsAndShrinksAndFinishesWhatItHasInHand(t *testing.T) {
	t.Parallel()
	client, g := openRedis(t), newGate()
	p := NewPool(client, g, silent)
	defer p.Stop(time.Second)
	enqueue(t, client, tasks.QueueWarm, 5)
	require.NoError(t, p.Resize(3))
	require.Equal(t, 3, p.Size())
	g.waitBegan(t, 3)

	require.NoError(t, p.Resize(1))
	require.Equal(t, 1, p.Size())
	for range 5 {
		g.let <- struct{}{}
	}
	g.waitEnded(t, 5)
	g.waitBegan(t, 2)

	require.NoError(t, p.Resize(2))
	enqueue(t, client, tasks.QueueUrgent, 2)
	g.waitBegan(t, 2)
	g.let <- struct{}{}
	g.let <- struct{}{}
	g.waitEnded(t, 7)
	require.NoError(t, p.Resize(-1))
	require.Zero(t, p.Size())
}

func TestUrgentWorkGoesFirst(t *testing.T) {
	t.Parallel()
	client, g := openRedis(t), newGate()
	p := NewPool(client, g, silent)
	defer p.Stop(time.Second)
	enqueue(t, client, tasks.QueueWarm, 3)
	enqueue(t, client, tasks.QueueUrgent, 3)
	for range 6 {
		g.let <- struct{}{}
	}
	require.NoError(t, p.Resize(1))
	g.waitEnded(t, 6)
	u, w := tasks.QueueUrgent, tasks.QueueWarm
	require.Equal(t, []string{u, u, u, w, w, w}, g.ended)
}

func TestAStoppedPoolGivesBackWhatIsNotDoneInTimeAndStaysStopped(t *testing.T) {
	t.Parallel()
	client, g := openRedis(t), newGate()
	p := NewPool(client, g, silent)
	enqueue(t, client, tasks.QueueWarm, 3)
	require.NoError(t, p.Resize(1))
	g.waitBegan(t, 1)
	began := time.Now()
	p.Stop(100 * time.Millisecond)
	require.Less(t, time.Since(began), 15*time.Second)
	require.NoError(t, p.Resize(2))
	require.Zero(t, p.Size())
	p.Stop(time.Second) // twice is harmless
	require.ErrorIs(t, <-g.cause, load.ErrHandBack)

	live, err := queue.New(client).LiveTasks(t.Context(), tasks.QueueWarm)
	require.NoError(t, err)
	require.Len(t, live, 3)
	for id, state := range live {
		require.NotEqual(t, queue.State("active"), state, id)
	}
}

func TestStoppingSoonerThanTheGraceWaitsForTheTaskOnly(t *testing.T) {
	t.Parallel()
	client, g := openRedis(t), newGate()
	p := NewPool(client, g, silent)
	enqueue(t, client, tasks.QueueWarm, 1)
	require.NoError(t, p.Resize(2))
	g.waitBegan(t, 1)
	g.let <- struct{}{}
	began := time.Now()
	p.Stop(time.Minute)
	require.Less(t, time.Since(began), 30*time.Second)
	g.waitEnded(t, 1)
}
