package lease

import (
	"context"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
)

const (
	// callTime bounds one call to Redis: a frozen one must not hold a slot or a leader's renewal.
	callTime = 2 * time.Second
	// maxMargin is what is kept back of a lease for a late timer or a slow step after the check. It is a tenth of the
	// lease if that is less.
	maxMargin = 5 * time.Second
)

// locks is redislock, or a test's stand-in. Both methods of a lock and obtain fail with redislock.ErrNotObtained or
// ErrLockNotHeld if the lock is another's, and with anything else if it is not known whose it is.
type locks interface {
	obtain(ctx context.Context, key, token, metadata string, ttl time.Duration) (lock, error)
}

type lock interface {
	Refresh(ctx context.Context, ttl time.Duration, opt *redislock.Options) error
	Release(ctx context.Context) error
}

// redisLocks keeps locks in Redis. Tokens must all have one length: redislock compares them by prefix.
type redisLocks struct{ client *redislock.Client }

func newRedisLocks(client redis.UniversalClient) redisLocks { return redisLocks{redislock.New(client)} }

func (r redisLocks) obtain(ctx context.Context, key, token, metadata string, ttl time.Duration) (lock, error) {
	l, err := r.client.Obtain(ctx, key, ttl, &redislock.Options{Token: token, Metadata: metadata})
	if err != nil {
		return nil, err // a nil *redislock.Lock in an interface would not be nil
	}
	return l, nil
}

// trust is how long a lock may be relied on, counted from the start of the call that obtained or renewed it.
func trust(ttl time.Duration) time.Duration { return ttl - min(ttl/10, maxMargin) }
