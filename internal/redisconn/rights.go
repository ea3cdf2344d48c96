package redisconn

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrRights: the user may not do what prewarm needs.
var ErrRights = errors.New("the user has too few rights")

// What asynq and prewarm send to the queue's Redis, tried on a key that is removed again; docs/grants.md lists all.
var queueTries = []string{
	"set K 1", "get K", "getrange K 0 1", "incr K", "expire K 60", "pexpire K 60000", "pttl K", "exists K", "del K",
	"lpush K 1", "rpush K 1", "llen K", "lrange K 0 1", "lrem K 1 1", "rpoplpush K K", "del K",
	"sadd K 1", "sismember K 1", "smembers K", "srem K 1", "hset K a 1", "hget K a", "hmget K a", "hgetall K", "hdel K a",
	"zadd K 1 a", "zcard K", "zcount K 0 1", "zscore K a", "zrange K 0 1", "zrevrange K 0 1", "zrangebyscore K 0 1", "zrem K a", "zremrangebyscore K 0 1", "zremrangebyrank K 0 1",
	"eval return(1) 1 K", "memory usage K", "publish K 1", "del K",
}

// What prewarm sends to the cache.
var cacheTries = []string{
	"set K 1", "get K", "exists K", "del K", "hset K a 1", "hget K a", "hgetall K", "hdel K a", "set K 1", "pexpire K 60000", "pexpireat K 4102444800000", "del K",
	"zadd K 1 a", "zincrby K 1 a", "zcard K", "zmscore K a", "zscore K a", "zrange K 0 1", "zremrangebyrank K 0 1",
	"eval return(1) 1 K", "scan 0 count 1", "unwatch", "unlink K",
}

// tryOwn tries commands on a key of its own, of which nothing is left.
func tryOwn(ctx context.Context, client redis.UniversalClient, tries []string, prefix string) error {
	key := prefix + "doctor:" + rand.Text()
	err := try(ctx, client, tries, key)
	if err != nil {
		_ = client.Del(ctx, key).Err() // what was made before the refusal
	}
	return err
}

// QueueRights tries what the queue's user must be able to do.
func QueueRights(ctx context.Context, client redis.UniversalClient) error {
	for _, prefix := range []string{"asynq:", "prewarm:"} {
		if err := tryOwn(ctx, client, queueTries, prefix); err != nil {
			return err
		}
	}
	return nil
}

// CacheRights tries what the cache's user must be able to do, and that it may read keys of these forms.
func CacheRights(ctx context.Context, client redis.UniversalClient, keys []string) error {
	if err := tryOwn(ctx, client, cacheTries, "prewarm:"); err != nil {
		return err
	}
	watched := client.Watch(ctx, func(*redis.Tx) error { return nil }, "prewarm:doctor:"+rand.Text()) // and unwatched, on the same connection
	if redis.IsPermissionError(watched) {
		return fmt.Errorf("%w: watch is refused; `prewarm help grants` lists what it needs", ErrRights)
	}
	if watched != nil {
		return fmt.Errorf("try watch: %w", watched)
	}
	for _, key := range keys {
		if err := try(ctx, client, []string{"exists K"}, key); err != nil {
			return err
		}
	}
	return nil
}

func try(ctx context.Context, client redis.UniversalClient, tries []string, key string) error {
	for _, line := range tries {
		var args []any
		for _, word := range strings.Fields(line) {
			if word == "K" {
				word = key
			}
			args = append(args, word)
		}
		err := client.Do(ctx, args...).Err()
		switch {
		case redis.IsPermissionError(err):
			return fmt.Errorf("%w: %s on keys such as %s is refused; `prewarm help grants` lists what it needs", ErrRights, args[0], key)
		case err != nil && !errors.Is(err, redis.Nil):
			return fmt.Errorf("try %s: %w", args[0], err)
		}
	}
	return nil
}

// probes are commands that change nothing, and that a user with the least rights is refused.
var probes = map[string][]any{
	"run CONFIG":                       {"config", "get", "maxmemory-policy"},
	"read the ACLs of others":          {"acl", "getuser", "default"},
	"see and end others' connections":  {"client", "list"},
	"read keys that are not prewarm's": {"get", "doctor:" + rand.Text()},
}

// Wider is what the user may do and need not; "" if there is nothing. A server that does not tell its user has none.
func Wider(ctx context.Context, client redis.UniversalClient) (user string, may []string, err error) {
	if user, err = client.Do(ctx, "acl", "whoami").Text(); err != nil && !redis.IsPermissionError(err) {
		return "", nil, nil // before Redis 6.0 there are no users to narrow
	}
	for what, args := range probes {
		err := client.Do(ctx, args...).Err()
		switch {
		case err == nil, errors.Is(err, redis.Nil):
			may = append(may, what)
		case !redis.IsPermissionError(err):
			return "", nil, fmt.Errorf("try %s: %w", args[0], err)
		}
	}
	return user, may, nil
}
