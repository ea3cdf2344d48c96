package memory

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestShareFallsFromWholeToLeastAndNeverRises(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 1, Share(74, 100), 0)
	require.InDelta(t, 0.125, Share(85, 100), 1e-9)
	require.InDelta(t, least, Share(95, 100), 1e-9)
	require.InDelta(t, least, Share(200, 100), 1e-9)
	require.InDelta(t, 1, Share(1<<40, 0), 0, "no limit")
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1<<40).Draw(t, "limit")
		a, b := rapid.Int64Range(0, limit*2).Draw(t, "a"), rapid.Int64Range(0, limit*2).Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		if Share(a, limit) < Share(b, limit) || Share(b, limit) < least || Share(a, limit) > 1 {
			t.Fatal("it rose, or left its bounds")
		}
	})
}

func TestTheLimitIsTheLowestOfTheControlGroups(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2":           {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1000\n"}, 1000},
		"its own namespace":   {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "2000\n"}, 2000},
		"version 1":           {map[string]string{"proc/self/cgroup": "5:cpu,memory:/x\n0::/\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "3000\n"}, 3000},
		"version 1 unlimited": {map[string]string{"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"none":                {map[string]string{}, 0},
		"garbage":             {map[string]string{"proc/self/cgroup": "0::/\n?\n", "sys/fs/cgroup/memory.max": "?\n"}, 0},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			file = filepath.Join(root, file)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		}
		require.Equal(t, c.want, container(root), name)
	}
}

func TestItIsSaidOnceWhenPagesBeginToShrink(t *testing.T) {
	t.Parallel()
	used, said := int64(10), 0
	w := &Watch{limit: 100, from: "the test", used: func() int64 { return used }, Log: slog.New(slog.DiscardHandler),
		Tight: func(context.Context, string) { said++ }}
	w.share.Store(0x3FF0000000000000) // 1
	w.look(t.Context())
	require.Zero(t, said)
	used = 90
	w.look(t.Context())
	w.look(t.Context())
	require.Equal(t, 1, said)
	require.Less(t, w.Share(), 0.1)
	used = 10
	w.look(t.Context())
	require.InDelta(t, 1, w.Share(), 0)
}

func TestGarbageGathersUpToItsRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live, limit int64
		want        int
	}{
		{16 << 20, 0, 400}, {16 << 20, 4 << 30, 400}, {16 << 20, 256 << 20, 200}, {16 << 20, 64 << 20, 100},
		{1 << 30, 0, 100}, {1 << 20, 0, 800}, {0, 0, 800},
	} {
		require.Equal(t, c.want, Percent(c.live, c.limit), "%d of %d", c.live, c.limit)
	}
}

func TestGoIsToldHowMuchGarbageMayGather(t *testing.T) { //nolint:paralleltest // it is the process' setting
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	w := New(slog.New(slog.DiscardHandler))
	runtime.GC()
	w.collect()
	live, goal := inSample("/gc/heap/live:bytes"), inSample("/gc/heap/goal:bytes")
	require.Equal(t, Percent(live, w.limit), debug.SetGCPercent(100))
	require.Greater(t, goal, live*4, "a test lives on little")

	t.Setenv("GOGC", "150")
	w = New(slog.New(slog.DiscardHandler))
	w.collect()
	require.Equal(t, 100, debug.SetGCPercent(100), "what the user has said stands")
}

func TestItLooksAgainAndAgain(t *testing.T) { //nolint:paralleltest // it is the process' setting
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	synctest.Test(t, func(t *testing.T) {
		var used atomic.Int64
		w := New(slog.New(slog.DiscardHandler))
		w.limit, w.used = 100<<20, used.Load
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go w.Run(ctx)
		time.Sleep(every + 1)
		synctest.Wait()
		require.InDelta(t, 1, w.Share(), 0)
		require.NotEqual(t, percentLeast, debug.SetGCPercent(100))
		used.Store(90 << 20)
		time.Sleep(every)
		synctest.Wait()
		require.Less(t, w.Share(), 0.1)
	})
}

func TestWithoutALimitPagesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	w := &Watch{used: func() int64 { return 1 << 40 }, Log: slog.New(slog.DiscardHandler)}
	w.look(t.Context())
	require.InDelta(t, 1, w.Share(), 0)
}
