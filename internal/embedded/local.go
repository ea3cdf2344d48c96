//go:build !noembed

package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/servers"
)

// LocalStack makes a stack of private redis-server and mariadbd (or mysqld) processes from PATH. Their files and the
// sockets that they listen on are in directories of their own in dir, and they end with this process. ctx bounds the start only; a program that is not
// installed gives servers.ErrMissing with what to install.
func LocalStack(ctx context.Context, dir string) (*Stack, error) {
	s := &Stack{Name: NameLocal}
	if err := s.startLocal(ctx, dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) startLocal(ctx context.Context, dir string) error {
	queue, err := servers.StartRedis(ctx, servers.RedisConfig{Dir: dir, Socket: true})
	if err != nil {
		return err
	}
	s.onClose(queue.Close)
	cache, err := servers.StartRedis(ctx, servers.RedisConfig{Dir: dir, Socket: true})
	if err != nil {
		return err
	}
	s.onClose(cache.Close)
	s.QueueURL, s.CacheURL = queue.RedisURL(0), cache.RedisURL(0)
	mysql, err := servers.StartMySQL(ctx, servers.MySQLConfig{
		Dir: dir, Socket: true, Schemas: []string{"prewarm", "shops"},
	})
	if err != nil {
		return err
	}
	s.onClose(mysql.Close)
	s.LedgerDSN, s.SourceDSN = mysql.MySQLDSN("prewarm"), mysql.MySQLDSN("shops")
	// The ledger and the source have registered the driver.
	if s.SourceDB, err = sql.Open("mysql", s.SourceDSN); err != nil {
		return fmt.Errorf("open the private source: %w", err)
	}
	s.onClose(s.SourceDB.Close)
	return nil
}
