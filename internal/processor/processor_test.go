package processor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

func TestAProcessIsLookedAtUntilItsEndOrItsSystemTellsNothing(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	mute := New()
	mute.dir = t.TempDir()
	mute.Register(reg)
	mute.Run(t.Context()) // it ends by itself
	require.False(t, mute.Full())
	seen, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, seen, 2)

	task := filepath.Join(mute.dir, "7")
	require.NoError(t, os.Mkdir(task, 0o755))
	write := func(seconds int) { // which it waited for a processor; it ran for a tenth of that
		is := fmt.Sprintf("%d %d 7\n", seconds*100_000_000, seconds*1_000_000_000)
		require.NoError(t, os.WriteFile(filepath.Join(task, "schedstat.new"), []byte(is), 0o600))
		require.NoError(t, os.Rename(filepath.Join(task, "schedstat.new"), filepath.Join(task, "schedstat")))
	}
	write(1)
	ctx, stop := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looking.Go(func() { mute.Run(ctx) })
	waited := 1
	require.Eventually(t, func() bool { waited++; write(waited); return mute.Full() }, time.Minute, 100*time.Millisecond)
	stop()
	looking.Wait()

	if is, err := threads(New().dir); err == nil {
		require.Positive(t, is.ran, "of this very process")
	} else {
		require.ErrorIs(t, err, os.ErrNotExist, "this system does not tell")
	}
}
