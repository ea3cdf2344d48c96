package redisconn

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors of the checks; Open's own are not for branching.
var (
	// ErrEvicts: the queue's Redis may throw keys away. Measured under allkeys-lru: 12,542 of 40,000 tasks silently lost
	// their body.
	ErrEvicts = errors.New("the queue's redis may evict keys")
	// ErrTooOld: the cache's Redis cannot set a value and its absolute expiry in one command.
	ErrTooOld = errors.New("the cache's redis is older than 6.2")
	// ErrReplica: writes go to another server.
	ErrReplica = errors.New("the server is a read-only replica")
)

// CheckQueue refuses a queue that evicts, on any of its nodes. A server that does not tell its policy passes.
func CheckQueue(ctx context.Context, client redis.UniversalClient, allowEviction bool) error {
	return EachMaster(ctx, client, func(ctx context.Context, node redis.UniversalClient) error {
		facts, err := Info(ctx, node)
		if err != nil {
			return fmt.Errorf("check the queue's redis: %w", err)
		}
		if isReplica(facts) {
			return fmt.Errorf("%w: point queue.url at its master", ErrReplica)
		}
		policy := facts["maxmemory_policy"]
		if policy == "" || policy == "noeviction" || allowEviction {
			return nil
		}
		return fmt.Errorf("%w: its maxmemory-policy is %s, and tasks, leases and flags would be lost silently; "+
			"run CONFIG SET maxmemory-policy noeviction (and CONFIG REWRITE), or accept it with queue.allow_eviction: true",
			ErrEvicts, policy)
	})
}

// CheckCache makes sure that SET … PXAT works on every node: by the server's version, or else by writing a key that
// expires after a second.
func CheckCache(ctx context.Context, client redis.UniversalClient) error {
	return EachMaster(ctx, client, func(ctx context.Context, node redis.UniversalClient) error {
		facts, err := Info(ctx, node)
		if err != nil {
			return fmt.Errorf("check the cache's redis: %w", err)
		}
		if isReplica(facts) {
			return fmt.Errorf("%w: point its url at the master", ErrReplica)
		}
		major, minor, ok := version(facts["redis_version"])
		switch {
		case !ok:
			return probe(ctx, client)
		case major < 6 || major == 6 && minor < 2:
			return fmt.Errorf("%w: it is %s and does not know SET … PXAT; upgrade it", ErrTooOld, facts["redis_version"])
		}
		return nil
	})
}

// probe writes through the client, not the node: in a cluster the key belongs to some node.
func probe(ctx context.Context, client redis.UniversalClient) error {
	key := "prewarm:probe:" + rand.Text()
	err := client.Do(ctx, "set", key, "1", "pxat", time.Now().Add(time.Second).UnixMilli()).Err()
	switch {
	case err == nil, redis.IsPermissionError(err): // its rights may end at the datasets' keys
		return nil
	case redis.HasErrorPrefix(err, "syntax error"):
		return fmt.Errorf("%w: it does not know SET … PXAT (%w); upgrade it", ErrTooOld, err)
	}
	return fmt.Errorf("check the cache's redis: %w", err)
}

// EachMaster calls check with each master of a cluster, or with the one server there is.
func EachMaster(ctx context.Context, client redis.UniversalClient,
	check func(context.Context, redis.UniversalClient) error,
) error {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return check(ctx, node) })
	}
	return check(ctx, client)
}

// Info is what the server tells about itself, or a section of it; empty if it does not know INFO or does not allow it.
func Info(ctx context.Context, client redis.UniversalClient, section ...string) (map[string]string, error) {
	text, err := client.Info(ctx, section...).Result()
	var answer redis.Error
	switch {
	case redis.IsAuthError(err):
		return nil, err
	case errors.As(err, &answer):
		return map[string]string{}, nil
	case err != nil:
		return nil, err
	}
	facts := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[key] = value
		}
	}
	return facts, nil
}

func isReplica(facts map[string]string) bool {
	return facts["role"] == "slave" && facts["slave_read_only"] != "0"
}

// version reads "7.0.15".
func version(text string) (major, minor int, ok bool) {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 2 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return major, minor, err1 == nil && err2 == nil
}

// Node is one master and what it says of evictions.
type Node struct {
	Addr    string
	Start   string // new with each start of the server
	Evicted int64  // keys since it started
}

// Nodes are the masters behind a client. What a server does not tell is empty.
func Nodes(ctx context.Context, client redis.UniversalClient) ([]Node, error) {
	var mu sync.Mutex
	var nodes []Node
	err := EachMaster(ctx, client, func(ctx context.Context, node redis.UniversalClient) error {
		facts, err := Info(ctx, node)
		if err != nil {
			return fmt.Errorf("ask a redis how it is: %w", err)
		}
		n := Node{Start: facts["run_id"]}
		n.Evicted, _ = strconv.ParseInt(facts["evicted_keys"], 10, 64)
		if c, ok := node.(*redis.Client); ok {
			n.Addr = c.Options().Addr
		}
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, n)
		return nil
	})
	return nodes, err
}
