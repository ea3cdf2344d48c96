package workers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
)

func TestBackoffDoublesToItsMaximumAFifthEitherWay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(time.Minute)).Draw(t, "first"))
		most := time.Duration(rapid.Int64Range(int64(first), int64(time.Hour)).Draw(t, "max"))
		attempt := rapid.IntRange(0, 1000).Draw(t, "attempt")
		want := first
		for range max(attempt-1, 0) {
			if want = 2 * want; want >= most {
				want = most
				break
			}
		}
		got := backoff(config.Backoff{First: first, Max: most}, attempt)
		require.GreaterOrEqual(t, got, want*8/10-1)
		require.LessOrEqual(t, got, want*12/10+1)
	})
}

func TestWaitingIsNoFailureAndHasItsOwnDelay(t *testing.T) {
	t.Parallel()
	task := asynq.NewTask("load:users", nil)
	for name, c := range map[string]struct {
		err     error
		delay   time.Duration // 0: asynq's own
		failure bool
	}{
		"later":            {&later{in: 3 * time.Second, why: "busy"}, 3 * time.Second, false},
		"later, wrapped":   {fmt.Errorf("handler: %w", &later{in: 3 * time.Second}), 3 * time.Second, false},
		"failed":           {&failed{in: 9 * time.Second, err: errors.New("boom")}, 9 * time.Second, true},
		"a worker died":    {asynq.ErrLeaseExpired, time.Second, false},
		"a pod stops":      {context.Canceled, time.Second, false},
		"any other reason": {errors.New("boom"), 0, true},
	} {
		delay := retryDelay(1, c.err, task)
		if c.delay == 0 {
			require.Greater(t, delay, time.Second, name)
		} else {
			require.Equal(t, c.delay, delay, name)
		}
		require.Equal(t, c.failure, isFailure(c.err), name)
	}
}

func TestTheLastAttemptAndADefinitiveErrorAreTheEnd(t *testing.T) {
	t.Parallel()
	hopeless := errors.New("hopeless")
	r := RetryPolicy{Retry: config.Retry{Attempts: 3}, Definitive: func(err error) bool { return errors.Is(err, hopeless) }}
	require.False(t, r.over(errors.New("boom"), 2))
	require.True(t, r.over(errors.New("boom"), 3))
	require.True(t, r.over(hopeless, 1))
}

func TestOutcomeOfAnAttempt(t *testing.T) {
	t.Parallel()
	for want, errs := range map[string][]error{
		attemptDone:     {nil},
		attemptHandBack: {load.ErrHandBack, fmt.Errorf("write: %w", lease.ErrLost), fmt.Errorf("%w: %w", lease.ErrLost, context.Canceled)},
		attemptFenced:   {ledger.ErrFenced, ledger.ErrNotClaimable},
		attemptFailed:   {errors.New("boom"), context.DeadlineExceeded},
	} {
		for _, err := range errs {
			require.Equal(t, want, outcomeOf(err), "%v", err)
		}
	}
}

func TestPointless(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		change func(*ledger.Run, *ledger.Unit)
		want   string
	}{
		{"waiting", func(*ledger.Run, *ledger.Unit) {}, ""},
		{"first of its run", func(r *ledger.Run, _ *ledger.Unit) { r.State = ledger.RunPlanned }, ""},
		{"failed and run by hand", func(r *ledger.Run, u *ledger.Unit) { r.State, u.State = ledger.RunFailed, ledger.UnitFailed }, ""},
		{"ready and to be touched", func(r *ledger.Run, _ *ledger.Unit) { r.State = ledger.RunReady }, ""},
		{"restarted", func(r *ledger.Run, _ *ledger.Unit) { r.Epoch = 4 }, overEpoch},
		{"cancelled run", func(r *ledger.Run, _ *ledger.Unit) { r.State = ledger.RunCancelled }, overState},
		{"skipped run", func(r *ledger.Run, _ *ledger.Unit) { r.State = ledger.RunSkipped }, overState},
		{"done", func(_ *ledger.Run, u *ledger.Unit) { u.State = ledger.UnitDone }, overState},
		{"running elsewhere", func(_ *ledger.Run, u *ledger.Unit) { u.State = ledger.UnitRunning }, overState},
		{"cancelled", func(_ *ledger.Run, u *ledger.Unit) { u.State = ledger.UnitCancelled }, overState},
		{"older task", func(_ *ledger.Run, u *ledger.Unit) { u.TaskSeq = 8 }, overSuperseded},
		{"ends now", func(r *ledger.Run, _ *ledger.Unit) { r.EndsAt = now }, overEnded},
	} {
		task := &ledger.Task{
			Run:  ledger.Run{Epoch: 3, State: ledger.RunWarming, EndsAt: now.Add(time.Nanosecond)},
			Unit: ledger.Unit{State: ledger.UnitWaiting, TaskSeq: 7}, Now: now,
		}
		c.change(&task.Run, &task.Unit)
		require.Equal(t, c.want, pointless(task, 3, 7), c.name)
		task.Paused = &ledger.Switch{}
		if c.want == "" {
			require.Equal(t, overPaused, pointless(task, 3, 7), c.name)
			task.Paused.Kind = ledger.ScopeAll
			require.Equal(t, overHeld, pointless(task, 3, 7), c.name)
		}
	}
	require.Equal(t, overUnknown, pointless(nil, 3, 7))
}
