// Package redisconn owns the connections to Redis: it opens a client from its configuration, says in plain words why
// that fails, checks that a server is fit for its task, and names the keys on the queue's side. What is written over a
// connection is its callers' business.
package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Defaults of a client. The URL's query may name others, in go-redis' words: redis://host:6379/0?pool_size=300.
const (
	// DialTimeout, ReadTimeout and WriteTimeout bound one step of one command. They also bound asynq's own calls, which
	// have no context: with go-redis' 5 s, stopping an asynq server beside a frozen Redis took 17 s. A pipeline of 1 MiB
	// needs 0.5 MB/s to be written in time.
	DialTimeout  = 2 * time.Second
	ReadTimeout  = 2 * time.Second
	WriteTimeout = 2 * time.Second
	// PoolSize is the most connections of one client, opened as they are needed. A slot uses at most two at once (its
	// asynq server and its work), so this serves 64 slots a pod.
	PoolSize = 128
	// MaxRetries is how often a command is sent again after a broken connection or a timeout. All that is sent may be
	// sent twice: writes set absolute values, task ids and lock tokens are fixed.
	MaxRetries = 1

	// openTime bounds Open as a whole; a Redis Cluster is asked node by node.
	openTime = 10 * time.Second
)

// Open connects and makes sure that the server answers. name is the configuration's field, "queue" or "cache": errors
// name it with the remedy, and never hold a secret. The caller closes the client.
func Open(ctx context.Context, name string, cfg config.Redis) (redis.UniversalClient, error) {
	opts, err := options(name, cfg)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(quiet{})
	var client redis.UniversalClient
	if cfg.Cluster {
		client = redis.NewClusterClient(clusterOptions(opts, cfg))
	} else {
		client = redis.NewClient(opts)
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if err := greet(ctx, client, cfg); err != nil {
		_ = client.Close() // it never connected, or what went wrong is reported already
		return nil, explain(name, opts, err)
	}
	return client, nil
}

// errClusterNode: the server belongs to a Redis Cluster and the configuration does not say so.
var errClusterNode = errors.New("the server is a node of a Redis Cluster")

func greet(ctx context.Context, client redis.UniversalClient, cfg config.Redis) error {
	if err := client.Ping(ctx).Err(); err != nil {
		return err
	}
	if cfg.Cluster {
		return nil
	}
	facts, err := Info(ctx, client)
	if err == nil && facts["cluster_enabled"] == "1" {
		err = errClusterNode
	}
	return err
}

// options reads the configuration. The parsers' errors are not passed on: they quote the URL, and in a URL that is
// wrong the password may stand anywhere.
func options(name string, cfg config.Redis) (*redis.Options, error) {
	opts, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("%s.url cannot be read: write redis://host:6379/0, "+
			"and put a password with special characters into %s.password or password_file", name, name)
	}
	password := cfg.Password
	if password == "" && cfg.PasswordFile != "" {
		text, err := os.ReadFile(cfg.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("%s.password_file: %w", name, err)
		}
		password = strings.TrimSpace(string(text))
	}
	opts.Username = cmp.Or(cfg.Username, opts.Username)
	opts.Password = cmp.Or(password, opts.Password)
	if opts.TLSConfig, err = tlsConfig(name, opts.TLSConfig, cfg); err != nil {
		return nil, err
	}
	tune(opts)
	return opts, nil
}

// tune fills what the URL left open.
func tune(o *redis.Options) {
	o.DialTimeout = cmp.Or(o.DialTimeout, DialTimeout)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, ReadTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, WriteTimeout)
	o.PoolSize = cmp.Or(o.PoolSize, PoolSize)
	o.MaxRetries = cmp.Or(o.MaxRetries, MaxRetries)
	o.DialerRetries = 1            // MaxRetries covers dialling; five more make an unreachable server take 10 s
	o.ContextTimeoutEnabled = true // or a context's deadline is ignored and ReadTimeout alone counts
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func clusterOptions(o *redis.Options, cfg config.Redis) *redis.ClusterOptions {
	return &redis.ClusterOptions{
		Addrs:      append([]string{o.Addr}, cfg.Addrs...),
		ClientName: o.ClientName, Protocol: o.Protocol, Username: o.Username, Password: o.Password,
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		DialerRetries: o.DialerRetries, ContextTimeoutEnabled: o.ContextTimeoutEnabled,
		PoolFIFO: o.PoolFIFO, PoolSize: o.PoolSize, PoolTimeout: o.PoolTimeout,
		MinIdleConns: o.MinIdleConns, MaxIdleConns: o.MaxIdleConns, MaxActiveConns: o.MaxActiveConns,
		MaxConcurrentDials: o.MaxConcurrentDials, PipelinePoolSize: o.PipelinePoolSize,
		PipelineReadBufferSize: o.PipelineReadBufferSize, PipelineWriteBufferSize: o.PipelineWriteBufferSize,
		ConnMaxIdleTime: o.ConnMaxIdleTime, ConnMaxLifetime: o.ConnMaxLifetime,
		ConnMaxLifetimeJitter: o.ConnMaxLifetimeJitter,
		TLSConfig:             o.TLSConfig, MaintNotificationsConfig: o.MaintNotificationsConfig,
	}
}

// quiet keeps go-redis off stderr: it prints a line for every failed dial, hundreds while a server is down. Commands
// return their errors in any case.
type quiet struct{}

func (quiet) Printf(ctx context.Context, format string, v ...any) {
	if slog.Default().Enabled(ctx, slog.LevelDebug) {
		slog.DebugContext(ctx, "redis client", "says", fmt.Sprintf(format, v...))
	}
}
