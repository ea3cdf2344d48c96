// Package memory owns the pod's memory limit: where it comes from, that Go keeps to it, how much smaller pages must be
// before the kernel ends the process, and how often Go collects what is not used any more. Acting on the size of pages is the loader's.
package memory

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/cgroup"
)

const (
	// every is the time between two looks. A slot reads a page of 4 MiB in some 10 ms, so 32 slots could take 10 GB in a
	// second; but they reuse two pages each, and what grows is bounded by them.
	every = time.Second
	// softShare of the container's limit is what Go's collector works against; the rest is for what Go does not count:
	// the binary, stacks of threads, the kernel's buffers of the sockets.
	softShare = 0.9
	// From tightFrom of the limit on, pages shrink; at fullFrom they are as small as they can be.
	tightFrom, fullFrom = 0.75, 0.95
	// least is the smallest share of a page's size.
	least = 1.0 / 64
	// garbage is how much may gather between two collections at least, or an eighth of the limit: a pod lives on some 15 MiB, and makes as much
	// again with every 50,000 rows, so that Go's own rule, as much as is in use, had it collect three times a second.
	garbage = 64 << 20
	// Of Go's rule in percent of what is in use: its own, and the most, for what is in use a second later may be more.
	percentLeast, percentMost = 100, 800
)

// Share is pure: the part of their usual size that pages may have, 1 to 1/64, with used of limit bytes in use. It falls
// by a constant factor with each step towards the limit.
func Share(used, limit int64) float64 {
	if limit <= 0 {
		return 1
	}
	full := (float64(used)/float64(limit) - tightFrom) / (fullFrom - tightFrom)
	return math.Pow(least, min(max(full, 0), 1))
}

// Percent is pure: how much garbage may gather, as Go has it, in percent of the live bytes in use.
func Percent(live, limit int64) int {
	room := int64(garbage)
	if limit > 0 {
		room = min(room, limit/8)
	}
	return int(min(max(100*room/max(live, 1), percentLeast), percentMost))
}

// Watch looks at the process' memory. The zero limit means that there is none.
type Watch struct {
	limit int64
	from  string
	used  func() int64
	share atomic.Uint64 // a float64's bits

	percent int // that Go was told last; 0: none, as the user has said one in GOGC

	Tight func(ctx context.Context, summary string) // called when pages begin to shrink
	Log   *slog.Logger
}

// New reads the limit: GOMEMLIMIT, which Go keeps to by itself, or the container's, of which Go is told softShare. With GOGC in the environment
// Go collects as that says.
func New(log *slog.Logger) *Watch {
	w := &Watch{Log: log, used: inUse, Tight: func(context.Context, string) {}}
	w.share.Store(math.Float64bits(1))
	if os.Getenv("GOGC") == "" {
		w.percent = percentLeast
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
			w.limit, w.from = limit, "GOMEMLIMIT"
		}
		return w
	}
	if limit := container("/"); limit > 0 {
		w.limit, w.from = limit, "the container's limit"
		debug.SetMemoryLimit(int64(softShare * float64(limit)))
	}
	return w
}

// Share is the part of their usual size that pages may have now.
func (w *Watch) Share() float64 { return math.Float64frombits(w.share.Load()) }

// Run looks again and again until the context ends.
func (w *Watch) Run(ctx context.Context) {
	if w.limit > 0 {
		w.Log.InfoContext(ctx, "memory", "limit", w.limit, "from", w.from)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
			w.collect()
		}
	}
}

// collect tells Go how much garbage may gather, if that has changed by more than a tenth: it stops the process for a moment.
func (w *Watch) collect() {
	if w.percent == 0 {
		return
	}
	percent := Percent(inSample("/gc/heap/live:bytes"), w.limit)
	if change := percent - w.percent; max(change, -change) > w.percent/10 {
		debug.SetGCPercent(percent)
		w.percent = percent
	}
}

func (w *Watch) look(ctx context.Context) {
	used, was := w.used(), w.Share()
	now := Share(used, w.limit)
	w.share.Store(math.Float64bits(now))
	if was == 1 && now < 1 {
		w.Tight(ctx, fmt.Sprintf("%d MiB of %d MiB are in use (%s): pages are made smaller", used>>20, w.limit>>20, w.from))
	}
}

// Register makes limit, use and share visible.
func (w *Watch) Register(reg prometheus.Registerer) {
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("prewarm_memory_limit_bytes", "Memory limit of the pod; 0: none.", func() float64 { return float64(w.limit) })
	gauge("prewarm_memory_used_bytes", "Memory that the pod has from the system.", func() float64 { return float64(w.used()) })
	gauge("prewarm_memory_page_share_ratio", "Part of their usual size that pages have, for want of memory.", w.Share)
}

// inUse is the memory that Go has from the system and has not given back.
func inUse() int64 {
	return inSample("/memory/classes/total:bytes") - inSample("/memory/classes/heap/released:bytes")
}

func inSample(name string) int64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64()) //nolint:gosec // far below 2^63
}

// container is the memory limit of the process' control group, of version 2 or 1, in bytes; 0 without one. It is the
// lowest on the way up, as each of them holds.
func container(root string) int64 {
	lowest := int64(0)
	for _, g := range cgroup.Of(root, "memory") {
		file := "memory.max"
		if g.V1 {
			file = "memory.limit_in_bytes"
		}
		if n := readLimit(path.Join(g.Dir, file)); n > 0 && (lowest == 0 || n < lowest) {
			lowest = n
		}
	}
	return lowest
}

// unlimited is what version 1 writes for "no limit", or more.
const unlimited = math.MaxInt64 &^ (1<<20 - 1)

func readLimit(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= unlimited { // "max"
		return 0
	}
	return n
}
