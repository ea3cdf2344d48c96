package source

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// ReplicaName is what a source's i-th replica is called, the first being 1.
func ReplicaName(source string, i int) string { return fmt.Sprintf("%s/%d", source, i+1) }

// OpenReplica connects to the i-th replica of a source as Open does to the source.
func OpenReplica(ctx context.Context, name string, i int, cfg config.Source, width int) (*Source, error) {
	cfg.DSN = cfg.Replicas[i]
	return open(ctx, place{
		name: ReplicaName(name, i), of: "sources." + name, field: fmt.Sprintf("sources.%s.replicas[%d]", name, i),
	}, cfg, width)
}

// errNoPosition: without a binlog nobody can tell how far a replica is.
var errNoPosition = errors.New("the server's binlog has no position")

// Reached waits on a session of a replica until reads there see all that a primary's BinlogPosition holds, or the time is up.
func (s *Source) Reached(ctx context.Context, session *sql.Conn, position string, within time.Duration) (bool, error) {
	mariadb, err := s.mariadb()
	if err != nil {
		return false, err
	}
	if position == "" { // both functions take nothing for reached
		return false, fmt.Errorf("source %s: %w", s.name, errNoPosition)
	}
	query := "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)"
	if mariadb {
		query = "SELECT MASTER_GTID_WAIT(?, ?)"
	}
	var missed sql.NullInt64 // NULL: the server cannot say
	if err := session.QueryRowContext(ctx, query, position, within.Seconds()).Scan(&missed); err != nil {
		return false, fmt.Errorf("source %s: wait for a position: %w", s.name, err)
	}
	return missed.Valid && missed.Int64 == 0, nil
}

// On is the dataset read on one session only.
func (b *Bound) On(session *sql.Conn) *Bound {
	on := *b
	on.session = session
	return &on
}

// Alike says whether two bindings of one declaration, to a server and its replica, read rows of the same form.
func (b *Bound) Alike(other *Bound) error {
	if b.table == nil || other.table == nil {
		return nil // the encoders' columns are all that is known of a query's
	}
	for _, names := range [][]string{{b.spec.Shop}, b.spec.By, b.spec.Columns} {
		for _, name := range names {
			mine, _ := b.table.column(name)
			if theirs, _ := other.table.column(name); mine != theirs {
				return b.spec.Err("columns", "wait until the definition has reached the replica", "column %s is %s at %s and %s at %s",
					name, mine.Type, b.src.name, theirs.Type, other.src.name)
			}
		}
	}
	return nil
}
