package readthrough

import (
	"context"
	"fmt"
	"sync"
)

// flight is a load that is on its way.
type flight struct {
	landed chan struct{}
	value  []byte
	err    error
}

// flights has one load per key at a time; who asks meanwhile gets the same answer.
type flights struct {
	mu   sync.Mutex
	open map[string]*flight
}

func (f *flights) do(ctx context.Context, key string, load func() ([]byte, error)) ([]byte, error) {
	f.mu.Lock()
	fl, joined := f.open[key]
	if !joined {
		fl = &flight{landed: make(chan struct{})}
		f.open[key] = fl
		go f.fly(key, fl, load)
	}
	f.mu.Unlock()
	select {
	case <-fl.landed:
		return fl.value, fl.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fly loads. A panic of the loader becomes an error of all who wait.
func (f *flights) fly(key string, fl *flight, load func() ([]byte, error)) {
	defer func() {
		if p := recover(); p != nil {
			fl.err = fmt.Errorf("readthrough: load %q: panic: %v", key, p)
		}
		f.mu.Lock()
		delete(f.open, key)
		f.mu.Unlock()
		close(fl.landed)
	}()
	fl.value, fl.err = load()
}
