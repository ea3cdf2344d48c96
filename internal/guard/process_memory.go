package guard

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// ErrNoLimit: nothing bounds the process's memory, so there is no share of it; leave the signal out.
var ErrNoLimit = errors.New("no memory limit is set (GOMEMLIMIT or cgroup)")

// ProcessMemory is the share of its memory limit that this pod uses. A pod that is killed for its memory loses its pages
// in hand and ten seconds; a smaller width of the cluster gives it fewer buffers. Stale means hold.
func ProcessMemory(pod string) *Gauge {
	return &Gauge{Name: "process_memory{" + pod + "}", Above0: true, Limits: ProcessMemoryLimits(), Show: percent}
}

// ProcessMemoryLimits are the defaults. Go collects harder near GOMEMLIMIT, so a share close to it is normal for a moment.
func ProcessMemoryLimits() Limits { return Limits{Hold: 0.85, Shrink: 0.92, Stop: 0.98, Smooth: 0.3} }

// ReadProcessMemory reads what the Go runtime has mapped and not given back, by the lower of GOMEMLIMIT and the cgroup's
// limit.
func ReadProcessMemory() (float64, error) {
	limit := min(float64(debug.SetMemoryLimit(-1)), cgroupLimit(os.DirFS("/sys/fs/cgroup")))
	if limit <= 0 || limit >= math.MaxInt64 {
		return 0, ErrNoLimit
	}
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return (float64(samples[0].Value.Uint64()) - float64(samples[1].Value.Uint64())) / limit, nil
}

// cgroupLimit is the memory limit of the container, version 2 or 1; without one it is infinite.
func cgroupLimit(root fs.FS) float64 {
	for _, name := range []string{"memory.max", filepath.Join("memory", "memory.limit_in_bytes")} {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			continue
		}
		// Version 2 says "max" for none, version 1 a number beyond all memory.
		if n, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64); err == nil && n > 0 && n < 1<<60 {
			return n
		}
	}
	return math.Inf(1)
}
