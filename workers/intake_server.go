package workers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/tasks"
)

// intakeWidth is how many requests and plans a pod works on at a time: each is a handful of short reads.
const intakeWidth = 4

// IntakeServer works on requests and plans, apart from the slots, so that neither waits for loading.
type IntakeServer struct {
	server  *asynq.Server
	handler asynq.Handler
	started bool
	cancel  context.CancelFunc
}

// NewIntakeServer is a server that has not started.
func NewIntakeServer(client redis.UniversalClient, handler asynq.Handler, log *slog.Logger) *IntakeServer {
	root, cancel := context.WithCancel(context.Background())
	cfg := serverConfig(root, log)
	cfg.Concurrency = intakeWidth
	cfg.Queues = map[string]int{tasks.QueueIntake: 1}
	cfg.ShutdownTimeout = time.Minute
	return &IntakeServer{server: asynq.NewServerFromRedisClient(client, cfg), handler: handler, cancel: cancel}
}

// Start begins to work.
func (s *IntakeServer) Start() error {
	if err := s.server.Start(s.handler); err != nil {
		return fmt.Errorf("start intake: %w", err)
	}
	s.started = true
	return nil
}

// Stop lets the tasks in hand finish for grace and then cancels them; what is cancelled is tried again elsewhere.
func (s *IntakeServer) Stop(grace time.Duration) {
	defer s.cancel()
	if !s.started {
		return
	}
	s.server.Stop()
	timer := time.AfterFunc(grace, s.cancel)
	s.server.Shutdown()
	timer.Stop()
}
