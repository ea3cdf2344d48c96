package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// stand is the servers of a run, their data, and the way to them.
type stand struct {
	o       options
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
	s = &stand{o: o}
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
		d, err := newDistance(ctx, near, 500*time.Microsecond)
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

const schema = `CREATE TABLE shop_users (
	shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, nickname VARCHAR(64) NOT NULL, avatar VARCHAR(255) NULL,
	level INT NOT NULL, balance DECIMAL(12,2) NOT NULL, city VARCHAR(32) NULL, tags VARCHAR(128) NOT NULL,
	score DOUBLE NOT NULL, vip TINYINT NOT NULL, joined DATE NOT NULL, updated_at DATETIME(3) NOT NULL,
	PRIMARY KEY (shop_id, user_id)) CHARACTER SET utf8mb4`

// columns of a row, in the order of its JSON.
var columns = []string{"shop_id", "user_id", "nickname", "avatar", "level", "balance", "city", "tags", "score", "vip", "joined", "updated_at"}

var cities = []string{"上海", "São Paulo", "Berlin", "New York", "Zürich", "København"}

// fill makes the rows: shops of very different sizes, values of mixed types and lengths, some of them NULL.
func (s *stand) fill(ctx context.Context) error {
	db, err := sql.Open("mysql", s.near.dsn(sourceSchema))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same data every time
	left := s.o.rows
	for shop := 1; shop <= shopCount && left > 0; shop++ {
		n := max(left/6, 1)
		if shop == shopCount {
			n = left
		}
		left -= n
		s.rows = append(s.rows, n)
		if err := fillShop(ctx, db, r, shop, n); err != nil {
			return fmt.Errorf("generate shop %d: %w", shop, err)
		}
	}
	_, err = db.ExecContext(ctx, "ANALYZE TABLE shop_users")
	return err
}

func fillShop(ctx context.Context, db *sql.DB, r *rand.Rand, shop, n int) error {
	const atOnce = 2000
	var b strings.Builder
	id := 0
	for done := 0; done < n; done += atOnce {
		b.Reset()
		b.WriteString("INSERT INTO shop_users VALUES ")
		for i := range min(atOnce, n-done) {
			if i > 0 {
				b.WriteByte(',')
			}
			id += 1 + r.IntN(3)
			avatar, city := fmt.Sprintf("'https://img.example.com/avatars/%08x/%d.jpg'", r.Uint32(), id), "'"+cities[r.IntN(len(cities))]+"'"
			if r.IntN(10) == 0 {
				avatar = "NULL"
			}
			if r.IntN(5) == 0 {
				city = "NULL"
			}
			fmt.Fprintf(&b, "(%d,%d,'user %x of the shop',%s,%d,%d.%02d,%s,'tag%d,tag%d,regular customer',%.4f,%d,'20%02d-%02d-%02d','2026-%02d-%02d %02d:00:00.%03d')",
				shop, id, r.Uint32(), avatar, r.IntN(100), r.IntN(100_000), r.IntN(100), city, r.IntN(50), r.IntN(50), r.Float64()*1000, r.IntN(2),
				10+r.IntN(16), 1+r.IntN(12), 1+r.IntN(28), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(1000))
		}
		if _, err := db.ExecContext(ctx, b.String()); err != nil {
			return err
		}
	}
	return nil
}
