// Package replica owns at which server the pages of units are read, where a source has replicas for that
// (`sources.*.read_from: replica`).
//
// A replica is read only while it has all that the primary had committed: before a unit's first page, and again for pages
// that come later, the primary is asked for its position, and a session of the replica must reach it (source.Reached). So a
// unit's as_of means the same wherever its pages are read. Pages, the wait and nothing else run on that one session, so that
// an address behind which there are several servers does no harm.
//
// A replica that is behind, away or not what it should be is left alone for a while, and pages are read at the next one or at
// the primary; no unit fails for it. A loop of each pod looks when it is well again.
//
// Whatever corrects what pages have brought (changes, refreshes, audits) reads the primary, and is not here.
package replica

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/source"
)

const (
	// reachWithin is how long a page waits for a replica to have what the primary has: that is milliseconds if it keeps up.
	reachWithin = 500 * time.Millisecond
	// lookEvery is the time between two looks at the replicas.
	lookEvery = 5 * time.Second
	// lookWithin bounds one look at one of them.
	lookWithin = 4 * time.Second
)

// Config is what a Set is made of.
type Config struct {
	Name     string // of the source
	Source   config.Source
	Width    int // slots of this pod
	Primary  *source.Source
	Datasets map[string]*source.Bound // of the primary; those in the table form are read at replicas
	Metrics  *Metrics
	Log      *slog.Logger
}

// Set is a source's replicas. It is safe for concurrent use.
type Set struct {
	cfg  Config
	all  []*member
	turn atomic.Uint32
}

// New is a set that nothing is read from before Run has looked at it. Close it after its last reader.
func New(cfg Config) *Set {
	s := &Set{cfg: cfg}
	for i := range cfg.Source.Replicas {
		m := &member{set: s, i: i, name: source.ReplicaName(cfg.Name, i), out: reasonUnread}
		s.all = append(s.all, m)
		cfg.Metrics.begin(cfg.Name, m.name)
	}
	return s
}

// member is one replica.
type member struct {
	set  *Set
	i    int
	name string

	mu    sync.Mutex
	src   *source.Source // nil: it was never reached
	bound map[string]*source.Bound
	out   reason // why it is not read; "" if it is
}

// reason is why a replica is not read.
type reason string

const (
	reasonUnread reason = "new"    // nobody has looked at it yet
	reasonAway   reason = "away"   // it does not answer, or a statement failed
	reasonBehind reason = "behind" // it has not reached what the primary has
	reasonUnfit  reason = "unfit"  // it is no replica of this source, does not replicate, or has other tables
)

// Servers are the replicas that were reached, by name.
func (s *Set) Servers() map[string]*source.Source {
	all := map[string]*source.Source{}
	for _, m := range s.all {
		m.mu.Lock()
		if m.src != nil {
			all[m.name] = m.src
		}
		m.mu.Unlock()
	}
	return all
}

// Has says whether a replica is one of them.
func (s *Set) Has(replica string) bool {
	return slices.ContainsFunc(s.all, func(m *member) bool { return m.name == replica })
}

// Bound is a dataset as it is read at a replica; nil: it was not reached.
func (s *Set) Bound(replica, dataset string) *source.Bound {
	for _, m := range s.all {
		if m.name == replica {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.bound[dataset]
		}
	}
	return nil
}

// Close closes the connections.
func (s *Set) Close() error {
	var errs []error
	for _, src := range s.Servers() {
		errs = append(errs, src.Close())
	}
	return errors.Join(errs...)
}

func (m *member) isOut() reason {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out
}

// put takes a replica out, or in again, and tells it once.
func (m *member) put(ctx context.Context, out reason, why error) {
	m.mu.Lock()
	was := m.out
	m.out = out
	m.mu.Unlock()
	if was == out {
		return
	}
	c := m.set.cfg
	c.Metrics.moved(m.name, out)
	if out == "" {
		c.Log.InfoContext(ctx, "pages are read at a replica", "replica", m.name)
		return
	}
	c.Log.WarnContext(ctx, "a replica is not read; pages are read at another one or at the primary", "replica", m.name, "reason", out, "error", why)
}

// next are the replicas that can be read, beginning with another one each time.
func (s *Set) next() []*member {
	var in []*member
	for _, m := range s.all {
		if m.isOut() == "" {
			in = append(in, m)
		}
	}
	if len(in) > 1 {
		first := int(s.turn.Add(1)) % len(in)
		in = slices.Concat(in[first:], in[:first])
	}
	return in
}
