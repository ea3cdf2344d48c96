package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/config"
)

// later sends a task back to its queue without counting it as failed: its time has not come, or its pod is going.
type later struct {
	in   time.Duration
	why  string
	shop bool // another run has the shop
}

func (l *later) Error() string { return l.why }

// failed is an attempt that failed and is to be repeated after a while.
type failed struct {
	in  time.Duration
	err error
}

func (f *failed) Error() string { return f.err.Error() }
func (f *failed) Unwrap() error { return f.err }

// retryDelay is how long asynq keeps a task back.
func retryDelay(n int, err error, t *asynq.Task) time.Duration {
	var l *later
	var f *failed
	switch {
	case errors.As(err, &l):
		return l.in
	case errors.As(err, &f):
		return f.in
	case interrupted(err):
		return time.Second
	}
	return asynq.DefaultRetryDelayFunc(n, err, t)
}

// isFailure says what asynq counts as an attempt.
func isFailure(err error) bool {
	var l *later
	return !errors.As(err, &l) && !interrupted(err)
}

// interrupted: the worker died or was stopped; nothing says that the task is at fault.
func interrupted(err error) bool {
	return errors.Is(err, asynq.ErrLeaseExpired) || errors.Is(err, context.Canceled)
}

// backoff is the wait before attempt+1: it doubles from First to Max, a fifth either way by chance, so that units that
// failed together do not come back together.
func backoff(b config.Backoff, attempt int) time.Duration {
	wait := b.First
	for i := 1; i < attempt && wait < b.Max; i++ {
		wait *= 2
	}
	wait = min(wait, b.Max)
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}

// asynqLog passes asynq's own messages on.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.say(slog.LevelDebug, args) }
func (l asynqLog) Info(args ...any)  { l.say(slog.LevelInfo, args) }
func (l asynqLog) Warn(args ...any)  { l.say(slog.LevelWarn, args) }
func (l asynqLog) Error(args ...any) { l.say(slog.LevelError, args) }

// Fatal only logs: a library does not end the process.
func (l asynqLog) Fatal(args ...any) { l.say(slog.LevelError, args) }

func (l asynqLog) say(level slog.Level, args []any) {
	l.log.Log(context.Background(), level, "asynq", "message", fmt.Sprint(args...))
}
