package source

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/binlog"
)

// ErrNoBinlog: this kind of database has none.
var ErrNoBinlog = errors.New("this database has no binlog")

// mariadb says which of the two a server is.
func (s *Source) mariadb() (bool, error) {
	d, ok := s.dialect.(mysqlDialect)
	if !ok || s.dsn == nil {
		return false, fmt.Errorf("source %s: %w", s.name, ErrNoBinlog)
	}
	return d.mariadb, nil
}

// ReadBinlog reads the server's binlog behind a position.
func (s *Source) ReadBinlog(ctx context.Context, serverID uint32, position string) (*binlog.Stream, error) {
	mariadb, err := s.mariadb()
	if err != nil {
		return nil, err
	}
	stream, err := binlog.Open(ctx, binlog.Config{DSN: s.dsn, MariaDB: mariadb, ServerID: serverID, Position: position})
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.name, err)
	}
	return stream, nil
}

// BinlogPosition is what the server's binlog holds up to now.
func (s *Source) BinlogPosition(ctx context.Context) (position string, err error) {
	mariadb, err := s.mariadb()
	if err != nil {
		return "", err
	}
	query := "SELECT @@GLOBAL.gtid_executed"
	if mariadb {
		query = "SELECT @@GLOBAL.gtid_binlog_pos"
	}
	if err := s.db.QueryRowContext(ctx, query).Scan(&position); err != nil {
		return "", fmt.Errorf("source %s: read the binlog's position: %w", s.name, err)
	}
	return strings.Join(strings.Fields(position), ""), nil
}

const (
	visibleTime  = 10 * time.Second
	visibleFirst = time.Millisecond
	visibleMost  = 50 * time.Millisecond
)

// AwaitVisible waits until a read sees what the stream has told: servers hand out their binlog before they commit, so that a row that is read
// at once may be the old one. MySQL is asked for all of it, as it need not commit in the order of its binlog (binlog_order_commits).
func (s *Source) AwaitVisible(ctx context.Context, at *binlog.Stream) error {
	ctx, cancel := context.WithTimeout(ctx, visibleTime)
	defer cancel()
	mariadb, err := s.mariadb()
	if err != nil {
		return err
	}
	if !mariadb {
		var late int
		if err := s.db.QueryRowContext(ctx, "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)", at.Told(), visibleTime.Seconds()/2).Scan(&late); err != nil {
			return fmt.Errorf("source %s: wait for a commit: %w", s.name, err)
		} else if late != 0 {
			return fmt.Errorf("source %s: wait for a commit: %.200s is not visible", s.name, at.Told())
		}
		return nil
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("source %s: wait for a commit: %w", s.name, err)
	}
	defer conn.Close()
	for pause := visibleFirst; ; pause = min(2*pause, visibleMost) {
		file, offset, err := snapshot(ctx, conn)
		if err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // it may be in a transaction, of which nobody else must read
			return fmt.Errorf("source %s: wait for a commit: %w", s.name, err)
		}
		if reached(file, offset, at.File, uint64(at.Offset)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("source %s: wait for a commit: %w", s.name, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// snapshot is up to where of MariaDB's binlog a transaction that begins now sees.
func snapshot(ctx context.Context, conn *sql.Conn) (file string, offset uint64, err error) {
	if _, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return "", 0, err
	}
	rows, err := conn.QueryContext(ctx, "SHOW STATUS LIKE 'binlog_snapshot_%'")
	if err != nil {
		return "", 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return "", 0, err
		}
		switch strings.ToLower(name) {
		case "binlog_snapshot_file":
			file = value
		case "binlog_snapshot_position":
			if offset, err = strconv.ParseUint(value, 10, 64); err != nil {
				return "", 0, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return "", 0, err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return file, offset, err
}

// reached is pure: files are numbered, and the number gets longer.
func reached(file string, offset uint64, wantFile string, want uint64) bool {
	if file == wantFile {
		return offset >= want
	}
	return len(file) > len(wantFile) || len(file) == len(wantFile) && file > wantFile
}

// BinlogColumns are a table's columns, as they are now; none if there is no such table.
func (s *Source) BinlogColumns(ctx context.Context, schema, table string) ([]binlog.Column, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), COALESCE(CHARACTER_MAXIMUM_LENGTH, 0)
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, schema, table)
	if err != nil {
		return nil, fmt.Errorf("source %s: describe table %s.%s: %w", s.name, schema, table, err)
	}
	defer rows.Close()
	var all []binlog.Column
	for rows.Next() {
		var c binlog.Column
		var full string
		var length int64
		if err := rows.Scan(&c.Name, &c.Type, &full, &c.Charset, &length); err != nil {
			return nil, fmt.Errorf("source %s: describe table %s.%s: %w", s.name, schema, table, err)
		}
		c.Type = strings.ToLower(c.Type)
		c.Unsigned = strings.Contains(full, "unsigned")
		c.Length = int(min(length, 1<<16))
		if c.Type == "enum" || c.Type == "set" {
			c.Members = members(full)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// members are the names in enum('a','b”c').
func members(full string) (names []string) {
	for _, m := range quoted.FindAllStringSubmatch(full, -1) {
		names = append(names, strings.ReplaceAll(m[1], "''", "'"))
	}
	return names
}

var quoted = regexp.MustCompile(`'((?:[^']|'')*)'`)
