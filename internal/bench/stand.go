package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	_ "github.com/go-sql-driver/mysql" // the database's driver
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/servers"
)

const (
	sourceSchema = "shops"
	ledgerSchema = "prewarm"
	shopCount    = 40
	seed         = 20_240_601
)

// farDelay is what makes a round trip of 1 ms each way: the way itself takes 0.2 ms of it. What it is in truth is measured
// (rtt_ms).
const farDelay = 400 * time.Microsecond

// stand is the servers of a run, their data, and the way to them.
type stand struct {
	o       options
	shape   shape
	dir     string
	program string
	db      *servers.Server
	queue   *servers.Server
	cache   *servers.Server
	near    ways // straight
	far     ways // with a round trip of 1 ms
	rows    []int
	mysql   *sql.DB
	redis   *redis.Client
	queueDB *redis.Client
	closers []func() error
	ledgers int
}

// ways are the addresses of the servers.
type ways struct{ db, queue, cache string }

func start(ctx context.Context, o options) (s *stand, err error) {
	s = &stand{o: o, shape: shapes[o.shape]}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "prewarm-bench-"); err != nil {
		return s, err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(s.dir) })
	if err := s.build(ctx); err != nil {
		return s, err
	}
	if err := s.servers(ctx); err != nil {
		return s, err
	}
	return s, s.fill(ctx)
}

func (s *stand) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// build builds the prewarm to measure.
func (s *stand) build(ctx context.Context) error {
	if s.program = s.o.program; s.program != "" {
		return nil
	}
	s.program = filepath.Join(s.dir, "prewarm")
	out, err := exec.CommandContext(ctx, "go", "build", "-tags", "noembed", "-o", s.program, "./cmd/prewarm").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build prewarm: %w: %s", err, out)
	}
	return nil
}

func (s *stand) servers(ctx context.Context) (err error) {
	s.db, err = servers.StartMySQL(ctx, servers.MySQLConfig{
		Dir: s.dir, Schemas: []string{sourceSchema}, Args: []string{"--innodb-buffer-pool-size=1G"},
	})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, s.db.Close)
	for _, one := range []**servers.Server{&s.queue, &s.cache} {
		if *one, err = servers.StartRedis(ctx, servers.RedisConfig{Dir: s.dir, Args: []string{"--maxmemory-policy", "noeviction"}}); err != nil {
			return err
		}
		s.closers = append(s.closers, (*one).Close)
	}
	s.near = ways{db: s.db.Addr, queue: s.queue.Addr, cache: s.cache.Addr}
	for near, far := range map[string]*string{s.near.db: &s.far.db, s.near.queue: &s.far.queue, s.near.cache: &s.far.cache} {
		d, err := newDistance(ctx, near, farDelay)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, d.close)
		*far = d.addr()
	}
	if s.mysql, err = sql.Open("mysql", s.near.dsn("")); err != nil {
		return err
	}
	s.redis, s.queueDB = redis.NewClient(&redis.Options{Addr: s.near.cache}), redis.NewClient(&redis.Options{Addr: s.near.queue})
	s.closers = append(s.closers, s.mysql.Close, s.redis.Close, s.queueDB.Close)
	return nil
}

func (w ways) dsn(schema string) string {
	return fmt.Sprintf("root@tcp(%s)/%s?interpolateParams=true", w.db, schema)
}
