package replica

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/source"
)

// Run looks at the replicas again and again until the context ends.
func (s *Set) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s.Look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Look looks at all replicas once, each within its time.
func (s *Set) Look(ctx context.Context) {
	var looks sync.WaitGroup
	for _, m := range s.all {
		looks.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lookWithin)
			defer cancel()
			out, err := m.look(ctx)
			if err == nil || ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
				m.put(ctx, out, err)
			}
		})
	}
	looks.Wait()
}

// look says whether a replica can be read now.
func (m *member) look(ctx context.Context) (reason, error) {
	src, err := m.open(ctx)
	if err != nil {
		return reasonAway, err
	}
	lacks, err := m.set.cfg.Primary.ReplicaLacks(ctx, src)
	if err != nil {
		return reasonAway, err
	}
	if len(lacks) > 0 {
		return reasonUnfit, fmt.Errorf("%s; %s", lacks[0].What, lacks[0].Remedy)
	}
	if m.isOut() == "" {
		return "", nil
	}
	if err := m.bind(ctx, src); err != nil {
		return reasonUnfit, err
	}
	session, err := src.DB().Conn(ctx)
	if err != nil {
		return reasonAway, err
	}
	defer session.Close()
	position, err := m.set.cfg.Primary.BinlogPosition(ctx)
	if err != nil {
		return reasonAway, err
	}
	return m.reached(ctx, src, session, position)
}

// reached is what a replica's having a position means.
func (m *member) reached(ctx context.Context, src *source.Source, session *sql.Conn, position string) (reason, error) {
	reached, err := src.Reached(ctx, session, position, reachWithin)
	switch {
	case err != nil:
		return reasonAway, err
	case !reached:
		return reasonBehind, fmt.Errorf("it does not have what the primary had %s ago", reachWithin)
	}
	return "", nil
}

// open is the replica's connections, which are made when it is first reached.
func (m *member) open(ctx context.Context) (*source.Source, error) {
	m.mu.Lock()
	src := m.src
	m.mu.Unlock()
	if src != nil {
		return src, nil
	}
	c := m.set.cfg
	src, err := source.OpenReplica(ctx, c.Name, m.i, c.Source, c.Width)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.src = src
	return src, nil
}

// bind binds the datasets at the replica; they must be there in the same form.
func (m *member) bind(ctx context.Context, src *source.Source) error {
	bound := map[string]*source.Bound{}
	for _, primary := range m.set.cfg.Datasets {
		if !primary.Spec().Paged() {
			continue
		}
		b, err := src.Bind(ctx, primary.Spec())
		if err != nil {
			return err
		}
		if err := primary.Alike(b); err != nil {
			return err
		}
		bound[b.Spec().Name] = b
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bound = bound
	return nil
}
