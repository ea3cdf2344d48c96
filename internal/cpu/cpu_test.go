package cpu

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// machine is a file system with what the kernel says, and what it says later.
type machine struct {
	allowed      []int
	before, then map[string]string
	passed       time.Duration
	want         float64
}

const (
	idle  = "cpu  0 0 0 200 0 0 0 0 0 0\ncpu0 100 0 0 100 0 0 0 0 0 0\ncpu1 0 0 0 100 0 0 0 0 0 0\n"
	later = "cpu  0 0 0 200 0 0 0 0 0 0\ncpu0 140 10 20 110 10 0 0 10 0 0\ncpu1 10 0 0 190 0 0 0 0 0 0\n" // 80 of 100, and 10 of 100
)

func TestHowMuchOfTheProcessorsIsUsed(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]machine{
		"both":            {allowed: []int{0, 1}, want: 0.45},
		"one":             {allowed: []int{0}, want: 0.8},
		"the other":       {allowed: []int{1}, want: 0.1},
		"one that is new": {allowed: []int{1, 2}, want: 0.1},
		"none":            {want: 0},
		"a quota": {
			allowed: []int{0, 1}, passed: 2 * time.Second, want: 0.75,
			before: map[string]string{"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n", "sys/fs/cgroup/a/cpu.stat": "usage_usec 1000000\nuser_usec 7\n"},
			then:   map[string]string{"sys/fs/cgroup/a/cpu.stat": "usage_usec 1750000\nuser_usec 7\n"},
		},
		"a quota above": {
			allowed: []int{1}, passed: time.Second, want: 0.5,
			before: map[string]string{
				"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/b/cpu.stat": "usage_usec 0\n",
				"sys/fs/cgroup/a/cpu.max": "200000 100000\n", "sys/fs/cgroup/a/cpu.stat": "usage_usec 0\n",
			},
			then: map[string]string{"sys/fs/cgroup/a/b/cpu.stat": "usage_usec 900000\n", "sys/fs/cgroup/a/cpu.stat": "usage_usec 1000000\n"},
		},
		"a quota of which little is used": {
			allowed: []int{0}, passed: time.Second, want: 0.8,
			before: map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 0\n"},
			then:   map[string]string{"sys/fs/cgroup/cpu.stat": "usage_usec 100000\n"},
		},
		"more than the quota, by our clock": {
			allowed: []int{1}, passed: time.Second, want: 1,
			before: map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n", "sys/fs/cgroup/cpu.stat": "usage_usec 0\n"},
			then:   map[string]string{"sys/fs/cgroup/cpu.stat": "usage_usec 1100000\n"},
		},
		"version 1": {
			allowed: []int{1}, want: 0.1,
			before: map[string]string{"proc/self/cgroup": "1:cpu,cpuacct:/\n", "sys/fs/cgroup/cpu/cpu.max": "1000 100000\n", "sys/fs/cgroup/cpu/cpu.stat": "usage_usec 0\n"},
			then:   map[string]string{"sys/fs/cgroup/cpu/cpu.stat": "usage_usec 1000000\n"},
		},
		"garbage": {
			allowed: []int{1}, want: 0.1,
			before: map[string]string{"proc/self/cgroup": "0::/a/b/c\n?\n", "sys/fs/cgroup/a/b/c/cpu.max": "?\n", "sys/fs/cgroup/a/b/cpu.max": "1 0\n", "sys/fs/cgroup/a/cpu.max": "1 1000\n"},
		},
		"nothing is read": {allowed: []int{0, 1}, then: map[string]string{"proc/stat": "?"}, want: 0},
	} {
		root := t.TempDir()
		write := func(files map[string]string) {
			for file, text := range files {
				file = filepath.Join(root, file)
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o750))
				require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			}
		}
		u := &Use{root: root, allowed: func() []int { return m.allowed }}
		require.Zero(t, u.Share(), "%s: there is no /proc", name)
		write(map[string]string{"proc/stat": idle})
		write(m.before)
		began := time.Now()
		require.Zero(t, u.Share(), "%s: since when?", name)
		u.last.at = u.last.at.Add(-m.passed)
		write(map[string]string{"proc/stat": later})
		write(m.then)
		share, least := u.Share(), m.want
		if m.passed > 0 { // what a quota allows grows while files are written
			least *= m.passed.Seconds() / (m.passed + time.Since(began)).Seconds()
		}
		require.LessOrEqual(t, share, m.want+0.01, name)
		require.GreaterOrEqual(t, share, least-0.01, name)
	}
}

func TestABusyProcessIsSeen(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("nothing is known here")
		return
	}
	u := New()
	require.Zero(t, u.Share())
	require.NotEmpty(t, affinity())
	for began := time.Now(); time.Since(began) < 200*time.Millisecond; {
		_ = runtime.NumGoroutine()
	}
	require.Greater(t, u.Share(), 0.5/float64(len(affinity())), "one of them was ours")
	require.LessOrEqual(t, u.Share(), 1.0)
}
