package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/mysqlconn"
)

// Store is the ledger on one database. It is safe for concurrent use.
type Store struct {
	db      *sql.DB
	dialect Dialect
	reads   *atomic.Int64 // nil: the caller has opened the database
}

// Reads is how many statements that return rows this process has sent to the ledger's server.
func (s *Store) Reads() int64 {
	if s.reads == nil {
		return 0
	}
	return s.reads.Load()
}

// On says whether the ledger is on the server of another database. Of one that is not MySQL's nobody asks.
func (s *Store) On(ctx context.Context, other *sql.DB) (bool, error) {
	if s.reads == nil {
		return false, nil
	}
	ours, err := mysqlconn.Server(ctx, s.db)
	if err != nil {
		return false, err
	}
	theirs, err := mysqlconn.Server(ctx, other)
	return err == nil && ours == theirs, err
}

// answerWithin is how long a statement may go unanswered: a server that is frozen or cut off must not hold a slot for
// longer. The slowest statements, writing a plan of a thousand units, took well under a second.
const answerWithin = 20 * time.Second

// A process can be frozen between two statements of a transaction, with a run's row locked. The server ends a connection
// that says nothing for idleTransaction, and its locks with it; those that wait for the lock try again after lockWait. In
// between, nobody can move that run: the other pods' take-over waits for it.
const (
	idleTransaction = 10 * time.Second
	lockWait        = 3 * time.Second
)

// Open connects to the MySQL or MariaDB schema that the configuration names.
func Open(ctx context.Context, c config.Ledger) (*Store, error) {
	cfg, err := mysql.ParseDSN(c.DSN)
	if err != nil {
		return nil, fmt.Errorf("ledger.dsn is not of the form user:password@tcp(host:port)/schema")
	}
	if cfg.DBName == "" {
		return nil, errors.New("ledger.dsn names no schema; end it with /prewarm, say")
	}
	if err := mysqlconn.Secure("ledger", cfg, c.TLS); err != nil {
		return nil, err
	}
	// Affected rows must mean matched rows, or a compare-and-set that changes nothing would look lost.
	cfg.ClientFoundRows = true
	cfg.InterpolateParams = true
	cfg.ParseTime = true // for the migrations' lock; the ledger's own times are integers
	cfg.Loc = time.UTC
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = answerWithin
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = answerWithin
	}
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["time_zone"] = "'+00:00'"
	// The ledger's statements mean the same whatever the server's own mode is, and a value that does not fit is an error.
	cfg.Params["sql_mode"] = "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"
	cfg.Params["wait_timeout"] = strconv.Itoa(int(idleTransaction / time.Second))
	cfg.Params["innodb_lock_wait_timeout"] = strconv.Itoa(int(lockWait / time.Second))
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("ledger.dsn: %w", err)
	}
	reads := &atomic.Int64{}
	db := sql.OpenDB(&mysqlconn.Counting{Connector: repeatable{connector}, Reads: reads})
	db.SetMaxOpenConns(c.Pool)
	db.SetMaxIdleConns(c.Pool)
	db.SetConnMaxIdleTime(idleTransaction / 2) // before the server does it
	db.SetConnMaxLifetime(10 * time.Minute)    // so that a failed-over address is let go of
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("reach the ledger at %s, schema %s, as %s: %w; %s", cfg.Addr, cfg.DBName, cfg.User, err, remedy(cfg, err))
	}
	s := New(db, MySQL)
	s.reads = reads
	return s, nil
}

// remedy is what to do when the ledger cannot be opened.
func remedy(cfg *mysql.Config, err error) string {
	if what, remedy := mysqlconn.Explain("ledger", cfg, err); what != "" {
		return "the server " + what + ": " + remedy
	}
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		switch my.Number {
		case 1698:
			return "check the user and the password in ledger.dsn"
		case 1044:
			return "grant the user of ledger.dsn its rights on the schema"
		case 1049:
			return "create the schema, or name another one in ledger.dsn"
		case 1040, 1203:
			return "the server has no connection left; lower ledger.pool or raise its max_connections"
		}
	}
	return "check that the server runs and that ledger.dsn has its address"
}

// New is a Store on a database that is already open.
func New(db *sql.DB, dialect Dialect) *Store { return &Store{db: db, dialect: dialect} }

// Close lets go of the connections.
func (s *Store) Close() error { return s.db.Close() }

// DB is the store's connections, for those who ask the server about itself.
func (s *Store) DB() *sql.DB { return s.db }

// Ping says whether the ledger can be reached.
func (s *Store) Ping(ctx context.Context) error { return s.db.PingContext(ctx) }

// Migrate brings the schema up to date. Any number of pods may call it at once: a table lock admits one.
func (s *Store) Migrate(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the ledger: %w", err)
	}
	return nil
}

// Version is the schema's version in the database and the one that this binary needs.
func (s *Store) Version(ctx context.Context) (have, want int64, err error) {
	p, err := s.provider()
	if err != nil {
		return 0, 0, err
	}
	have, want, err = p.GetVersions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("read the ledger's version: %w", err)
	}
	return have, want, nil
}

func (s *Store) provider() (*goose.Provider, error) {
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if s.dialect.goose == goose.DialectMySQL {
		locker, err := lock.NewMySQLTableLocker(lock.WithTableLockTimeout(200*time.Millisecond, 600))
		if err != nil {
			return nil, fmt.Errorf("build migration lock: %w", err)
		}
		opts = append(opts, goose.WithLocker(locker))
	}
	p, err := goose.NewProvider(s.dialect.goose, s.db, s.dialect.migrations(), opts...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// txTries bounds how often a transaction that lost a deadlock is tried again.
const txTries = 6

// tx runs fn in a transaction and repeats it when it met others in a way that the engine does not sort out.
func (s *Store) tx(ctx context.Context, fn func(*sql.Tx) error) error {
	for try := 1; ; try++ {
		err := s.once(ctx, fn)
		if err == nil || try == txTries || !contended(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(try) * time.Duration(5+rand.IntN(10)) * time.Millisecond):
		}
	}
}

func (s *Store) once(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// contended says whether the same transaction may well succeed if it is simply tried again.
func contended(err error) bool {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		// Deadlock, lock wait timeout, and a row that has changed since the transaction read its first (MariaDB from 11.6.2 on, with
		// innodb_snapshot_isolation).
		return my.Number == 1213 || my.Number == 1205 || my.Number == 1020
	}
	return err != nil && strings.Contains(err.Error(), "database is locked") // SQLite
}

// execer is what *sql.DB and *sql.Tx have in common.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// exec runs a statement and returns how many rows it matched. `:now` in it stands for the database's clock.
func (s *Store) exec(ctx context.Context, on execer, query string, args ...any) (int64, error) {
	res, err := on.ExecContext(ctx, s.text(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *Store) text(query string) string { return strings.ReplaceAll(query, ":now", s.dialect.now) }

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// clip keeps messages within what a person wants to read in a table.
func clip(msg string) string {
	const most = 2000
	if len(msg) > most {
		return strings.ToValidUTF8(msg[:most], "") + "…"
	}
	return msg
}
