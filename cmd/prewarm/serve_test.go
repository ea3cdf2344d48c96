package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
)

// fakePod starts and stops as it is told.
type fakePod struct {
	start, stop func(context.Context) error
	started     chan struct{}
}

func (p *fakePod) Start(ctx context.Context) error {
	close(p.started)
	return p.start(ctx)
}
func (p *fakePod) Stop(ctx context.Context) error { return p.stop(ctx) }
func (p *fakePod) Addr() string                   { return "0.0.0.0:8080" }

func fine(context.Context) error { return nil }

// untilDone does not return before its context ends.
func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func serveWith(t *testing.T, p *fakePod, signals ...os.Signal) (string, error) {
	t.Helper()
	p.started = make(chan struct{})
	var out, stderr bytes.Buffer
	given := make(chan os.Signal)
	ended := make(chan struct{})
	go func() {
		<-p.started
		for _, s := range signals {
			select {
			case given <- s:
			case <-ended:
			}
		}
	}()
	defer close(ended)
	c := &serveCmd{Drain: 50 * time.Millisecond}
	err := c.serve(&terminal{out: &out, err: &stderr}, p, slog.New(slog.DiscardHandler), given, config.HTTP{})
	return out.String() + stderr.String(), err
}

func TestServeDrainsOnTheFirstSignal(t *testing.T) {
	t.Parallel()
	said, err := serveWith(t, &fakePod{start: fine, stop: fine}, syscall.SIGTERM)
	require.NoError(t, err)
	for _, url := range []string{"http://localhost:8080/\n", "/v1", "/asynqmon/", "/metrics", "no tokens are configured"} {
		require.Contains(t, said, url)
	}
}

func TestServeEndsAtOnceOnTheSecondSignal(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	p := &fakePod{start: fine, stop: func(context.Context) error { <-stopping; return nil }}
	_, err := serveWith(t, p, syscall.SIGTERM, syscall.SIGINT)
	require.Equal(t, exitError(exitFailed), err)
	close(stopping)
}

func TestServeDoesNotDrainForever(t *testing.T) {
	t.Parallel()
	_, err := serveWith(t, &fakePod{start: fine, stop: untilDone}, syscall.SIGTERM)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestServeThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	broken := errors.New("the queue's redis may evict keys")
	_, err := serveWith(t, &fakePod{start: func(context.Context) error { return broken }, stop: fine})
	require.ErrorIs(t, err, broken)
}

func TestASignalWhileStartingStops(t *testing.T) {
	t.Parallel()
	said, err := serveWith(t, &fakePod{start: untilDone, stop: fine}, syscall.SIGTERM)
	require.NoError(t, err)
	require.Empty(t, said, "nothing is announced that is not served")
}
