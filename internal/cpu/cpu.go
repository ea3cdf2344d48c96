// Package cpu tells how much of the processors that this process may use is used.
package cpu

import (
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"github.com/prewarm-go/prewarm/internal/cgroup"
)

// Use looks at the processors. It is for one goroutine.
type Use struct {
	root    string       // of the file system
	allowed func() []int // processors that the process may run on
	last    look
}

// look is what had been used at a time.
type look struct {
	at     time.Time
	cpus   map[int64]procfs.CPUStat
	groups map[string]float64 // seconds that a control group had used, by its directory
}

// New is the use of the processors that the process may run on, as its affinity says, and of its control groups' quotas (cpu.max, version 2 only).
func New() *Use { return &Use{root: "/", allowed: affinity} }

// Share is the part of them that was used since it was last asked, by whomever, in (0, 1]; of several quotas, and the processors themselves, what is
// nearest to its end. 0: it is not known, as at first, and where there is no /proc.
func (u *Use) Share() float64 {
	now := look{at: time.Now(), groups: map[string]float64{}}
	was := u.last
	u.last = look{}
	fs, err := procfs.NewFS(path.Join(u.root, "proc"))
	if err != nil {
		return 0
	}
	stat, err := fs.Stat()
	if err != nil {
		return 0
	}
	now.cpus = stat.CPU
	quotas := map[string]float64{}
	for _, g := range cgroup.Of(u.root, "cpu") {
		if cores, spent, ok := quota(g); ok {
			quotas[g.Dir], now.groups[g.Dir] = cores, spent
		}
	}
	u.last = now
	if was.at.IsZero() {
		return 0
	}
	return min(max(processors(was.cpus, now.cpus, u.allowed()), groups(was, now, quotas)), 1)
}

// processors is what was used of some of them.
func processors(was, now map[int64]procfs.CPUStat, allowed []int) float64 {
	var idle, all float64
	for _, n := range allowed {
		a, known := was[int64(n)]
		b, is := now[int64(n)]
		if known && is {
			idle += b.Idle + b.Iowait - a.Idle - a.Iowait
			all += total(b) - total(a)
		}
	}
	if all <= 0 {
		return 0
	}
	return max(1-idle/all, 0)
}

// total leaves out what guests have: it is in the users' already.
func total(s procfs.CPUStat) float64 {
	return s.User + s.Nice + s.System + s.Idle + s.Iowait + s.IRQ + s.SoftIRQ + s.Steal
}

// groups is what was used of the quota of which most was.
func groups(was, now look, quotas map[string]float64) (most float64) {
	passed := now.at.Sub(was.at).Seconds()
	for dir, cores := range quotas {
		if before, known := was.groups[dir]; known && passed > 0 {
			most = max(most, (now.groups[dir]-before)/passed/cores)
		}
	}
	return most
}

// quota is how many processors' time a group has, and how many seconds of it were spent.
func quota(g cgroup.Group) (cores, spent float64, ok bool) {
	if g.V1 {
		return 0, 0, false
	}
	text, err := os.ReadFile(path.Join(g.Dir, "cpu.max"))
	if err != nil {
		return 0, 0, false
	}
	fields := strings.Fields(string(text)) // "max 100000", or microseconds of a period of microseconds
	if len(fields) != 2 {
		return 0, 0, false
	}
	most, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0, 0, false
	}
	period, err := strconv.ParseFloat(fields[1], 64)
	if err != nil || !(most > 0 && period > 0) {
		return 0, 0, false
	}
	text, err = os.ReadFile(path.Join(g.Dir, "cpu.stat"))
	if err != nil {
		return 0, 0, false
	}
	for line := range strings.Lines(string(text)) {
		if used, found := strings.CutPrefix(line, "usage_usec "); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(used), 64)
			return most / period, n / 1e6, err == nil
		}
	}
	return 0, 0, false
}
