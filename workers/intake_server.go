package workers

import (
	"context"
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
	server *asynq.Server
	cancel context.CancelFunc
}

// StartIntake starts the server.
func StartIntake(client redis.UniversalClient, handler asynq.Handler, log *slog.Logger) (*IntakeServer, error) {
	root, cancel := context.WithCancel(context.Background())
	cfg := serverConfig(root, log)
	cfg.Concurrency = intakeWidth
	cfg.Queues = map[string]int{tasks.QueueIntake: 1}
	cfg.ShutdownTimeout = time.Minute
	s := &IntakeServer{server: asynq.NewServerFromRedisClient(client, cfg), cancel: cancel}
	if err := s.server.Start(handler); err != nil {
		cancel()
		return nil, err
	}
	return s, nil
}

// Stop lets the tasks in hand finish for grace and then cancels them; what is cancelled is tried again elsewhere.
func (s *IntakeServer) Stop(grace time.Duration) {
	s.server.Stop()
	timer := time.AfterFunc(grace, s.cancel)
	s.server.Shutdown()
	timer.Stop()
	s.cancel()
}
