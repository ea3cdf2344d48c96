package lease

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bsm/redislock"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/redis/go-redis/v9"
)

// TokenLength is the length of every run's id.
const TokenLength = 32

// renewEvery is the least time between two renewals of a run's lease by one process.
const renewEvery = time.Second

var (
	// ErrHeld: another run warms the shop. Try again later; a *HeldError says which.
	ErrHeld = errors.New("the shop is being warmed by another run")
	// ErrLost: the lease may be another run's by now. Stop at once and write nothing more.
	ErrLost = errors.New("the lease of the shop is lost")
)

// HeldError is ErrHeld with the holder; Run is empty if it let go meanwhile.
type HeldError struct{ Shop, Run, Broadcast string }

func (e *HeldError) Error() string {
	if e.Run == "" {
		return fmt.Sprintf("shop %q: %v", e.Shop, ErrHeld)
	}
	return fmt.Sprintf("shop %q: %v: %s, for broadcast %q", e.Shop, ErrHeld, e.Run, e.Broadcast)
}

// Is makes it ErrHeld.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Manager holds the leases of one process. It starts no goroutines.
type Manager struct {
	client redis.UniversalClient
	locks  locks
	ttl    time.Duration

	mu     sync.Mutex
	shared map[string]*share // by lock key and run; those with holds only
}

// New is a Manager whose leases last ttl without renewal. The client's owner closes it.
func New(client redis.UniversalClient, ttl time.Duration) *Manager {
	return &Manager{client: client, locks: newRedisLocks(client), ttl: ttl, shared: map[string]*share{}}
}

// Join takes part in a run's lease of a shop, or obtains it: a *HeldError (ErrHeld) if another run has it. broadcast is
// stored for people to read and must be the same for all of a run. The Hold's context comes from ctx. Every Hold must
// be left.
func (m *Manager) Join(ctx context.Context, shop, run, broadcast string) (*Hold, error) {
	if len(run) != TokenLength {
		return nil, fmt.Errorf("join lease: run id %q has %d characters, not %d", run, len(run), TokenLength)
	}
	key := redisconn.LeaseKey(shop)
	if h := m.joinShared(ctx, key+run); h != nil {
		return h, nil
	}
	start := time.Now()
	call, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	l, err := m.locks.obtain(call, key, run, broadcast, m.ttl)
	if errors.Is(err, redislock.ErrNotObtained) {
		return nil, m.held(call, shop)
	}
	if err != nil {
		return nil, fmt.Errorf("obtain lease of shop %q: %w", shop, err)
	}
	return m.joinObtained(ctx, &share{
		m: m, id: key + run, key: key, run: run, broadcast: broadcast, lock: l, tried: start,
	}), nil
}

// joinShared is another hold of a lease that this process has and trusts; nil without one.
func (m *Manager) joinShared(ctx context.Context, id string) *Hold {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.shared[id]; s != nil && s.err() == nil {
		return s.hold(ctx)
	}
	return nil
}

// joinObtained is a hold of a lease that was obtained at fresh.tried. Two slots that obtained it side by side share it:
// to Redis it is the same lock.
func (m *Manager) joinObtained(ctx context.Context, fresh *share) *Hold {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shared[fresh.id]
	if s == nil || s.err() != nil {
		fresh.begin()
		m.shared[fresh.id], s = fresh, fresh
	}
	return s.hold(ctx)
}

func (m *Manager) held(ctx context.Context, shop string) error {
	run, broadcast, err := m.Holder(ctx, shop)
	if err != nil {
		return errors.Join(&HeldError{Shop: shop}, err)
	}
	return &HeldError{Shop: shop, Run: run, Broadcast: broadcast}
}

// Holder is the run that has a shop's lease, and its broadcast; both are empty if nobody has it.
func (m *Manager) Holder(ctx context.Context, shop string) (run, broadcast string, err error) {
	value, err := m.client.Get(ctx, redisconn.LeaseKey(shop)).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", "", nil
	case err != nil:
		return "", "", fmt.Errorf("read lease of shop %q: %w", shop, err)
	}
	at := min(TokenLength, len(value))
	return value[:at], value[at:], nil
}

//go:embed release.lua
var releaseLua string

var releaseScript = redis.NewScript(releaseLua)

// Release ends a run's lease of a shop, with or without a Hold of it; a lease of another run stays. Holds of the run
// that are still at work take it again at their next renewal, if it is still free.
func (m *Manager) Release(ctx context.Context, shop, run string) error {
	key := redisconn.LeaseKey(shop)
	if err := releaseScript.Run(ctx, m.client, []string{key}, run).Err(); err != nil {
		return fmt.Errorf("release lease of shop %q: %w", shop, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.shared[key+run]; s != nil {
		s.renewSoon()
	}
	return nil
}
