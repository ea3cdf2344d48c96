package faults

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/servers"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// Schemas of an evening's MariaDB.
const (
	ledgerSchema = "prewarm"
	sourceSchema = "shops"
	logSchema    = "evening"
)

// backend is the servers of one evening and the ways around all that breaks: the test's own connections.
type backend struct {
	queue, cache, db *servers.Server

	queueClient, cacheClient *redis.Client
	ledger, source           *sql.DB // over the port that has connections left when the others are used up
	sparePort                string
}

// newBackend starts servers that keep what they have acknowledged when they are killed.
func newBackend(t *testing.T, dir string) *backend {
	t.Helper()
	b := &backend{sparePort: freePort(t)}
	aof := []string{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}
	for _, s := range []**servers.Server{&b.queue, &b.cache} {
		started, err := servers.StartRedis(t.Context(), servers.RedisConfig{Dir: dir, Args: aof})
		testenv.Need(t, err)
		*s = started
		t.Cleanup(func() { _ = started.Close() })
	}
	db, err := servers.StartMySQL(t.Context(), servers.MySQLConfig{
		Dir: dir, Schemas: []string{ledgerSchema, sourceSchema, logSchema},
		Args:  []string{"--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=1"}, // a killed process loses nothing
		Spare: b.sparePort,
	})
	testenv.Need(t, err)
	b.db = db
	t.Cleanup(func() { _ = db.Close() })
	settle(t, db)
	b.queueClient, b.cacheClient = b.redis(t, b.queue), b.redis(t, b.cache)
	b.ledger, b.source = b.mysql(t, ledgerSchema), b.mysql(t, sourceSchema)
	return b
}

// settle ends a server in order and starts it again, so that all of its new data directory is on disk: one that is killed
// before does not always start again ("ibdata1 has the wrong space ID"), and no evening could be judged.
func settle(t *testing.T, s *servers.Server) {
	t.Helper()
	s.Stop()
	require.NoError(t, s.Restart(t.Context()))
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := servers.FreeAddr()
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	return port
}

func (b *backend) redis(t *testing.T, s *servers.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, ContextTimeoutEnabled: true, DialTimeout: time.Second, ReadTimeout: 2 * time.Second})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (b *backend) mysql(t *testing.T, schema string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", fmt.Sprintf("evening@tcp(127.0.0.1:%s)/%s?timeout=2s&readTimeout=15s&writeTimeout=5s", b.sparePort, schema))
	require.NoError(t, err)
	db.SetMaxOpenConns(12)
	db.SetMaxIdleConns(4)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// restart brings a killed server back; it is tried again, since the machine may be busy.
func restart(s *servers.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := s.Restart(ctx)
	for try := 1; err != nil && try < 3; try++ {
		err = s.Restart(ctx)
	}
	return err
}
