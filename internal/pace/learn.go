package pace

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Learner collects what a pod's slots measure, and merges it into what the cluster knows now and then. It is safe for
// concurrent use.
type Learner struct {
	Store Rates

	mu      sync.Mutex
	learned map[string]Rate
}

// Rates is where the cluster keeps what it has learned.
type Rates interface {
	MergeRate(ctx context.Context, dataset string, merge func(state []byte) (any, error)) error
}

// Learn adds a sample.
func (l *Learner) Learn(dataset string, s Sample, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.learned == nil {
		l.learned = map[string]Rate{}
	}
	l.learned[dataset] = l.learned[dataset].Learn(s, now)
}

// Flush merges what was learned since the last time. What cannot be written is kept for the next time.
func (l *Learner) Flush(ctx context.Context) error {
	l.mu.Lock()
	learned := l.learned
	l.learned = nil
	l.mu.Unlock()
	for dataset, mine := range learned {
		err := l.Store.MergeRate(ctx, dataset, func(state []byte) (any, error) {
			var r Rate
			if state != nil {
				if err := json.Unmarshal(state, &r); err != nil {
					r = Rate{} // what cannot be read is learned again
				}
			}
			return r.Merge(mine), nil
		})
		if err != nil {
			l.keep(learned)
			return err
		}
		delete(learned, dataset)
	}
	return nil
}

func (l *Learner) keep(learned map[string]Rate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.learned == nil {
		l.learned = map[string]Rate{}
	}
	for dataset, r := range learned {
		l.learned[dataset] = l.learned[dataset].Merge(r)
	}
}
