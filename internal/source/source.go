// Package source owns reading from the databases that hold what is warmed: connections that can only read, the check of
// a dataset against the live database, and index range scans in pages. Nothing here writes, and no read is longer than a
// page, an index hop or a small dataset.
//
// A Source is one database. Bind resolves one dataset against it: whatever is wrong with a declaration is found there,
// with its remedy, and not in the middle of an evening. What differs between databases is behind Dialect.
//
// All SQL that is put together from a declaration is put together here. Identifiers are looked up in the database's
// catalogue and quoted; ids and cursors are arguments. `query` and `where` are the operator's own SQL.
package source

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Source is one database to read from. It may be used by many goroutines.
type Source struct {
	name    string
	db      *sql.DB
	dialect Dialect
	reads   *atomic.Int64         // statements that were sent
	reading atomic.Pointer[int64] // rows that a reading of the counters counts of its own; nil: not known yet
	schema  string                // the connection's own; "": not known
	dsn     *mysql.Config         // nil: it is no server
}

// OpenDB is a source on a database that the caller has opened, such as the embedded one.
func OpenDB(name string, db *sql.DB, d Dialect) *Source {
	return &Source{name: name, db: db, dialect: d}
}

// Name is the source's name under `sources`.
func (s *Source) Name() string { return s.name }

// DB is the source's connections, for those who ask the server how it is.
func (s *Source) DB() *sql.DB { return s.db }

// Stats are the connections in use.
func (s *Source) Stats() sql.DBStats { return s.db.Stats() }

// Ping says whether the database answers.
func (s *Source) Ping(ctx context.Context) error {
	if err := s.db.PingContext(ctx); err != nil {
		return fmt.Errorf("ping source %s: %w", s.name, err)
	}
	return nil
}

// tripTries: of several round trips the shortest is the network's; the others waited for a processor, as most do on a busy machine.
const tripTries = 20

// tripTime is how long it is tried: the way to a source that is far away takes no twenty of them.
const tripTime = time.Second

// RoundTrip is how long the way to the database and back takes, without anything being done there.
func (s *Source) RoundTrip(ctx context.Context) (time.Duration, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return 0, fmt.Errorf("measure the way to source %s: %w", s.name, err)
	}
	defer conn.Close()
	shortest, first := time.Duration(math.MaxInt64), time.Now()
	for n := 0; n < tripTries && (n == 0 || time.Since(first) < tripTime); n++ {
		began := time.Now()
		if err := conn.PingContext(ctx); err != nil {
			return 0, fmt.Errorf("measure the way to source %s: %w", s.name, err)
		}
		shortest = min(shortest, time.Since(began))
	}
	return shortest, nil
}

// Now is the database's clock.
func (s *Source) Now(ctx context.Context) (time.Time, error) {
	var micros int64
	if err := s.db.QueryRowContext(ctx, "SELECT "+s.dialect.Now()).Scan(&micros); err != nil {
		return time.Time{}, fmt.Errorf("read the clock of source %s: %w", s.name, err)
	}
	return time.UnixMicro(micros).UTC(), nil
}

// Close closes all connections.
func (s *Source) Close() error { return s.db.Close() }
