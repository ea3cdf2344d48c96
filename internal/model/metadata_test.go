//go:build !race

package model

import (
	"context"
	"fmt"
	"io"
	"log"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
)

// maxSeq bounds how many tasks one unit can get in a world.
const maxSeq = 200

// metadata are contexts that asynq itself made, by the task number that their task's id ends with. A handler reads the
// id from there, and only asynq can put it there.
var metadata [maxSeq]context.Context

var capture sync.Once

// captureMetadata lets asynq run one task of each number.
func captureMetadata(t *testing.T) {
	t.Helper()
	capture.Do(func() {
		redis := miniredis.RunT(t)
		opt := asynq.RedisClientOpt{Addr: redis.Addr()}
		client := asynq.NewClient(opt)
		for seq := range maxSeq {
			_, err := client.Enqueue(asynq.NewTask("model", nil), asynq.TaskID(fmt.Sprintf("model.%d", seq)))
			require.NoError(t, err)
		}
		require.NoError(t, client.Close())
		var all sync.WaitGroup
		all.Add(maxSeq)
		quiet := log.New(io.Discard, "", 0)
		server := asynq.NewServer(opt, asynq.Config{Concurrency: 8, LogLevel: asynq.FatalLevel, ShutdownTimeout: time.Second, Logger: silent{quiet}})
		require.NoError(t, server.Start(asynq.HandlerFunc(func(ctx context.Context, _ *asynq.Task) error {
			defer all.Done()
			var seq int
			id, _ := asynq.GetTaskID(ctx)
			if _, err := fmt.Sscanf(id, "model.%d", &seq); err != nil {
				return err
			}
			metadata[seq] = ctx //nolint:fatcontext // it is kept on purpose
			return nil
		})))
		all.Wait()
		server.Shutdown()
	})
}

type silent struct{ *log.Logger }

func (s silent) Debug(...any) {}
func (s silent) Info(...any)  {}
func (s silent) Warn(...any)  {}
func (s silent) Error(...any) {}

// taskContext is a context that asynq would have made.
type taskContext struct {
	context.Context
	asynq context.Context
}

func (c taskContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	if _, ok := key.(*int); ok { // of package context: whether it can be cancelled, and asynq's has been
		return nil
	}
	return c.asynq.Value(key)
}
