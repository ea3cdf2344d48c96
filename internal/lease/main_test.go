package lease

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bsm/redislock"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	runA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	runB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	ttl  = 5 * time.Minute
)

func open(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisconn.Open(t.Context(), "queue", config.Redis{URL: url})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// fakeLocks is one Redis that knows one lock and can fail. Its time is that of the test's bubble.
type fakeLocks struct {
	mu sync.Mutex
	fakeState
}

type fakeState struct {
	holder  string
	until   time.Time
	fail    error
	hang    bool // calls last until their context ends, and change nothing
	calls   int
	metas   []string
	refused int
}

var errDown = errors.New("redis is down")

func (f *fakeLocks) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeLocks) now() fakeState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fakeState
}

func (f *fakeLocks) call(ctx context.Context, act func() error) error {
	f.mu.Lock()
	f.calls++
	if f.hang {
		f.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !time.Now().Before(f.until) {
		f.holder = ""
	}
	return act()
}

func (f *fakeLocks) obtain(ctx context.Context, _, token, metadata string, ttl time.Duration) (lock, error) {
	err := f.call(ctx, func() error {
		if f.holder != "" && f.holder != token {
			f.refused++
			return redislock.ErrNotObtained
		}
		f.holder, f.until, f.metas = token, time.Now().Add(ttl), append(f.metas, metadata)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &fakeLock{f, token}, nil
}

type fakeLock struct {
	*fakeLocks
	token string
}

func (l *fakeLock) Refresh(ctx context.Context, ttl time.Duration, _ *redislock.Options) error {
	return l.call(ctx, func() error {
		if l.holder != l.token {
			return redislock.ErrNotObtained
		}
		l.until = time.Now().Add(ttl)
		return nil
	})
}

func (l *fakeLock) Release(ctx context.Context) error {
	return l.call(ctx, func() error {
		if l.holder != l.token {
			return redislock.ErrLockNotHeld
		}
		l.holder = ""
		return nil
	})
}
