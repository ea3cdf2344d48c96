//go:build !noembed

package embedded

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Names of the stacks.
const (
	NameEmbedded = "embedded"
	NameLocal    = "local"
)

// Stack is a set of running servers and databases. It belongs to this process and goes with it.
type Stack struct {
	Name     string // NameEmbedded or NameLocal; tell the user which
	QueueURL string
	CacheURL string

	LedgerDSN string // NameLocal: go-sql-driver DSNs of two empty schemas
	SourceDSN string

	LedgerDB *sql.DB // NameEmbedded: an empty SQLite database; nil otherwise
	SourceDB *sql.DB // where Seed puts the shops

	slack func() time.Duration
	close []func() error // in the order of their start
}

// Start makes an embedded stack whose files are in dir. ctx bounds the start only.
func Start(ctx context.Context, dir string) (*Stack, error) {
	s := &Stack{Name: NameEmbedded}
	if err := s.startEmbedded(ctx, dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) startEmbedded(ctx context.Context, dir string) error {
	queue, err := startRedis()
	if err != nil {
		return err
	}
	s.onClose(func() error { queue.close(); return nil })
	cache, err := startRedis() // of its own: the more keys, the slower the clock, and leases need a quick one
	if err != nil {
		return err
	}
	s.onClose(func() error { cache.close(); return nil })
	s.QueueURL, s.CacheURL = queue.url(), cache.url()
	s.slack = cache.behind
	if s.LedgerDB, err = openSQLite(ctx, dir, "ledger.db"); err != nil {
		return err
	}
	s.onClose(s.LedgerDB.Close)
	if s.SourceDB, err = openSQLite(ctx, dir, "source.db"); err != nil {
		return err
	}
	s.onClose(s.SourceDB.Close)
	return nil
}

// Seed makes the shops of the demo in the source.
func (s *Stack) Seed(ctx context.Context, opts Options) ([]Shop, error) {
	opts.Dialect = MySQL
	if s.Name == NameEmbedded {
		opts.Dialect = SQLite
	}
	return Seed(ctx, s.SourceDB, opts)
}

// ExpirySlack is by how much the expiry that the cache reports may differ from the one that was set, as far as the
// cache's clock has been observed: 0 on real servers.
func (s *Stack) ExpirySlack() time.Duration {
	if s.slack == nil {
		return 0
	}
	return s.slack()
}

func (s *Stack) onClose(f func() error) { s.close = append(s.close, f) }

// Close ends the servers, the last first. What works on them must have stopped.
func (s *Stack) Close() error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	return errors.Join(errs...)
}
