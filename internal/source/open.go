package source

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/mysqlconn"
)

// Limits of what the DSN and the configuration leave open.
const (
	defaultStatementTime = 10 * time.Second
	defaultDial          = 5 * time.Second
	socketSlack          = 10 * time.Second // a frozen server is given up this long after the statement limit
	extraConnections     = 4                // beside one per slot: planning, doctor, health
	idleTime             = 5 * time.Minute
)

// Open connects to a MySQL or MariaDB, of which only reading is asked: every session is READ ONLY, in UTC, and has a
// limit for the time of a statement. What reads rows runs in cfg.ResourceGroup. width is the greatest number of slots of
// this pod. A server that cannot be used is an error that says what to do.
func Open(ctx context.Context, name string, cfg config.Source, width int) (*Source, error) {
	return open(ctx, place{name: name, of: "sources." + name, field: "sources." + name + ".dsn"}, cfg, width)
}

// place is where in the configuration a server stands.
type place struct {
	name  string // the source's
	of    string // the field of what is said beside the DSN
	field string // of the DSN
}

func open(ctx context.Context, at place, cfg config.Source, width int) (*Source, error) {
	dsn, err := parseDSN(at, cfg)
	if err != nil {
		return nil, err
	}
	mysqlconn.Buffered(dsn)
	connector, err := mysql.NewConnector(dsn)
	if err != nil {
		return nil, dsnError(at, err)
	}
	mariadb, err := isMariaDB(ctx, connector)
	if err != nil {
		return nil, loginError(at, dsn, err)
	}
	dialect := mysqlDialect{mariadb: mariadb, group: cfg.ResourceGroup}
	if err := dialect.checkGroup(ctx, at, connector); err != nil {
		return nil, err
	}
	reads := &atomic.Int64{}
	db := sql.OpenDB(&readOnly{Connector: &mysqlconn.Counting{Connector: connector, Reads: reads}, setUp: sessionSettings(mariadb, statementTime(cfg))})
	pool := cfg.Pool
	if pool == 0 {
		pool = width + extraConnections
	}
	db.SetMaxOpenConns(pool)
	db.SetMaxIdleConns(pool)
	db.SetConnMaxIdleTime(idleTime)
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close()
		return nil, loginError(at, dsn, err)
	}
	src := OpenDB(at.name, db, dialect)
	src.reads, src.schema, src.dsn = reads, dsn.DBName, dsn
	return src, nil
}

// Reads is how many statements that return rows this process has sent to the source, so that those of others can be told
// from the server's count.
func (s *Source) Reads() int64 {
	if s.reads == nil {
		return 0 // a source that was opened by the caller
	}
	return s.reads.Load()
}

func statementTime(cfg config.Source) time.Duration {
	if cfg.StatementTime > 0 {
		return cfg.StatementTime
	}
	return defaultStatementTime
}

// parseDSN reads the DSN and sets what the encoding relies on. Statements are text, but for those that come again and again (mysqlconn.Again): the
// driver makes the same values of either.
func parseDSN(at place, cfg config.Source) (*mysql.Config, error) {
	dsn, err := mysql.ParseDSN(cfg.DSN)
	if err != nil {
		return nil, dsnError(at, err)
	}
	if err := mysqlconn.Secure(at.of, dsn, cfg.TLS); err != nil {
		return nil, fmt.Errorf("source %s: %w", at.name, err)
	}
	if err := dsn.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, fmt.Errorf("source %s: %w", at.name, err)
	}
	if dsn.Params == nil {
		dsn.Params = map[string]string{}
	}
	dsn.Params["time_zone"] = "'+00:00'"
	dsn.InterpolateParams = true
	dsn.ParseTime = false
	dsn.MultiStatements = false
	dsn.ColumnsWithAlias = false
	dsn.AllowAllFiles = false
	dsn.Logger = &mysql.NopLogger{} // what it logs comes back as errors too
	if dsn.Timeout == 0 {
		dsn.Timeout = defaultDial
	}
	if dsn.ReadTimeout == 0 {
		dsn.ReadTimeout = statementTime(cfg) + socketSlack
	}
	if dsn.WriteTimeout == 0 {
		dsn.WriteTimeout = socketSlack
	}
	return dsn, nil
}

// dsnError repeats the driver's words only where they are fixed: of a DSN without @ it quotes the password.
func dsnError(at place, err error) error {
	reason := "cannot be read"
	if strings.HasPrefix(err.Error(), "invalid DSN: ") {
		reason = err.Error()
	}
	return fmt.Errorf("source %s: %s: %s; write user:password@tcp(host:3306)/database", at.name, at.field, reason)
}

func isMariaDB(ctx context.Context, connector driver.Connector) (bool, error) {
	db := sql.OpenDB(connector)
	defer db.Close()
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return false, err
	}
	return strings.Contains(version, "MariaDB"), nil
}

// sessionSettings are the statements that every new connection begins with.
func sessionSettings(mariadb bool, limit time.Duration) []string {
	set := fmt.Sprintf("SET SESSION max_execution_time = %d", max(limit.Milliseconds(), 1))
	if mariadb {
		set = fmt.Sprintf("SET SESSION max_statement_time = %.6f", limit.Seconds())
	}
	return []string{"SET SESSION TRANSACTION READ ONLY", set}
}

// readOnly sets up every connection before anything else runs on it.
type readOnly struct {
	driver.Connector
	setUp []string
}

func (c *readOnly) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range c.setUp {
		if err := exec(ctx, conn, statement); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("set up session: %w", err)
		}
	}
	return conn, nil
}

func exec(ctx context.Context, conn driver.Conn, statement string) error {
	e, ok := conn.(driver.ExecerContext)
	if !ok {
		return errors.New("the driver cannot execute statements")
	}
	_, err := e.ExecContext(ctx, statement, nil)
	return err
}
