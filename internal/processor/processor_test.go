package processor

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestAProcessIsFullThatWaitsLongerThanItRuns(t *testing.T) {
	t.Parallel()
	var l load
	run := func(ran, waited float64, n int) {
		for range n {
			l = l.next(usage{l.last.ran + ran, l.last.waited + waited})
		}
	}
	run(0.5, 0.1, 1)
	require.False(t, l.full(), "one reading says nothing")
	run(0.5, 0.4, 20)
	require.False(t, l.full())
	run(0.5, 0.9, 20)
	require.True(t, l.full())
	run(0.5, 0.1, 6)
	require.False(t, l.full(), "it is over")
	run(0.001, 0.02, 60)
	require.False(t, l.full(), "it hardly runs")
	run(0.2, 1.5, 60)
	require.True(t, l.full())
	l = l.next(usage{1, 1})
	require.True(t, l.full(), "threads have ended: nothing is learned")
	run(0.5, 0.1, 10)
	require.False(t, l.full())
}

func TestThreadsAreAddedUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := threads(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	for i, text := range []string{"1500000000 250000000 7\n", "500000000 750000000 9\n"} {
		task := filepath.Join(dir, strconv.Itoa(i))
		require.NoError(t, os.Mkdir(task, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(task, "schedstat"), []byte(text), 0o600))
	}
	all, err := threads(dir)
	require.NoError(t, err)
	require.InDelta(t, 2, all.ran, 1e-9)
	require.InDelta(t, 1, all.waited, 1e-9)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "0", "schedstat"), []byte("what"), 0o600))
	_, err = threads(dir)
	require.Error(t, err)
}

// Four times as many threads as processors wait three times as long as they run.
func TestAFullMachineIsSeen(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var spinning, looking sync.WaitGroup
	defer looking.Wait()
	w := New()
	reg := prometheus.NewPedanticRegistry()
	w.Register(reg)
	if _, err := threads(w.dir); err != nil { // the system does not tell
		w.Run(ctx)
		require.NoError(t, ctx.Err(), "it ends by itself")
		require.False(t, w.Full())
		return
	}
	looking.Go(func() { w.Run(ctx) })
	for range 4 * runtime.NumCPU() {
		spinning.Go(func() {
			runtime.LockOSThread()
			for ctx.Err() == nil && !w.Full() {
				continue
			}
		})
	}
	spinning.Wait()
	require.NoError(t, ctx.Err(), "not within a minute")
	seen, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, seen, 2)
	stop()
}
