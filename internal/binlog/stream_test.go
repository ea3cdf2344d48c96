package binlog_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/binlog"
	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// follow opens a server's log at its end.
func follow(t *testing.T, dsn string, change ...func(*mysql.Config)) (*sql.DB, *binlog.Stream) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, open(t, db, dsn, testenv.BinlogPosition(t, db), change...)
}

func open(t *testing.T, db *sql.DB, dsn, at string, change ...func(*mysql.Config)) *binlog.Stream {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	for _, c := range change {
		c(cfg)
	}
	s, err := binlog.Open(t.Context(), binlog.Config{DSN: cfg, MariaDB: testenv.IsMariaDB(t, db), ServerID: 1<<31 + 7, Position: at})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// columns are a table's, all of them wanted.
func columns(t *testing.T, db *sql.DB, table string) (all []binlog.Column) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, COALESCE(CHARACTER_SET_NAME, ''), COALESCE(CHARACTER_MAXIMUM_LENGTH, 0) FROM information_schema.COLUMNS WHERE TABLE_NAME = ? ORDER BY ORDINAL_POSITION", table)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		c := binlog.Column{Wanted: true}
		var full string
		var length int64
		require.NoError(t, rows.Scan(&c.Name, &c.Type, &full, &c.Charset, &length))
		c.Unsigned, c.Length = strings.Contains(full, "unsigned"), int(min(length, 1<<16))
		if c.Type == "enum" || c.Type == "set" {
			c.Members = []string{"a", "b", "c"}
		}
		all = append(all, c)
	}
	require.NoError(t, rows.Err())
	return all
}

// until reads up to the end of so many transactions.
func until(t *testing.T, s *binlog.Stream, transactions int, columns []binlog.Column) (all []change.Change) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for transactions > 0 {
		require.True(t, time.Now().Before(deadline), "not enough came")
		e, err := s.Next(binlog.Silence)
		require.NoError(t, err)
		if e.Kind == binlog.Rows {
			require.True(t, e.Table.Fits(columns))
			require.NoError(t, e.Changes(columns, func(c change.Change) { all = append(all, c) }))
		}
		if e.Kind == binlog.Commit || e.Ends {
			transactions--
		}
	}
	return all
}

func TestValuesAreToldAsTheServerWritesThem(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN+"?time_zone=%27%2B00%3A00%27")
	types := []string{"TINYINT", "TINYINT UNSIGNED", "SMALLINT", "MEDIUMINT", "MEDIUMINT UNSIGNED", "INT", "INT UNSIGNED", "BIGINT", "BIGINT UNSIGNED",
		"DECIMAL(20,4)", "DECIMAL(9)", "DECIMAL(30,30)", "DATE", "TIME", "TIME(3)", "DATETIME", "DATETIME(6)", "DATETIME(1)", "TIMESTAMP NULL", "TIMESTAMP(4) NULL", "YEAR",
		"CHAR(10)", "CHAR(100)", "VARCHAR(20)", "VARCHAR(1000)", "VARCHAR(20) CHARACTER SET latin1", "TEXT", "ENUM('a','b','c')", "SET('a','b','c')", "BIT(13)"}
	values := [][]string{
		{"-128", "255", "-32768", "-8388608", "16777215", "-2147483648", "4294967295", "-9223372036854775808", "18446744073709551615",
			"-1234567890123456.7890", "-999999999", "0.000000000000000000000000000001", "'2026-11-21'", "'-838:59:59'", "'-00:00:01.500'", "'2026-02-03 04:05:06'", "'1000-01-01 00:00:00.000001'",
			"'9999-12-31 23:59:59.9'", "'2038-01-19 03:14:07'", "'1970-01-01 00:00:01.0203'", "2155", "'x  '", "REPEAT('语', 100)", "'语音 🎤'", "REPEAT('é', 900)", "'plain'", "'text'", "'c'", "'a,c'", "b'1000000000001'"},
		{"127", "0", "1", "8388607", "0", "0", "1", "9223372036854775807", "0", "0", "7", "-0.5", "'1000-01-01'", "'838:59:59'", "'12:34:56.789'", "'0000-00-00 00:00:00'", "'2026-11-21 00:00:00'",
			"'2026-01-01'", "0", "NULL", "0", "''", "NULL", "''", "''", "NULL", "''", "'a'", "''", "b'0'"},
	}
	define, names := []string{}, []string{}
	for i, kind := range types {
		names = append(names, fmt.Sprintf("c%d", i))
		define = append(define, names[i]+" "+kind)
	}
	exec(t, db, "SET GLOBAL sql_mode = ''", "CREATE TABLE kinds (id INT PRIMARY KEY, "+strings.Join(define, ", ")+", bin BINARY(4), f DOUBLE) CHARSET=utf8mb4")
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "SET sql_mode = ''")
	require.NoError(t, err)
	for i, v := range values {
		_, err := conn.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO kinds VALUES (%d, %s, 'ab', 1.5)", i, strings.Join(v, ", ")))
		require.NoError(t, err)
	}
	until(t, s, 1, nil)
	changes := until(t, s, len(values), columns(t, db, "kinds"))
	require.Len(t, changes, len(values))
	for i, c := range changes {
		into, texts := []any{}, make([]sql.NullString, len(names))
		for j := range texts {
			into = append(into, &texts[j])
		}
		require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT "+strings.Join(names, ", ")+fmt.Sprintf(" FROM kinds WHERE id = %d", i)).Scan(into...))
		for j, want := range texts {
			got, told := c.After[names[j]]
			require.True(t, told, types[j])
			require.Equal(t, want.Valid, got != nil, types[j])
			if want.Valid {
				require.Equal(t, want.String, *got, types[j])
			}
		}
		require.Equal(t, "0x61620000", *c.After["bin"])
		require.NotContains(t, c.After, "f", "a float has no text of its own")
	}
}

func exec(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

func TestImagesHoldWhatTheLogHas(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t, "--binlog-row-image=MINIMAL", "--binlog-row-metadata=FULL")
	db, s := follow(t, server.DSN)
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, shop INT NOT NULL, name VARCHAR(20))", "INSERT INTO t VALUES (1, 7, 'a'), (2, 7, NULL)", "UPDATE t SET id = 3, name = 'b' WHERE id = 2", "UPDATE t SET name = NULL WHERE id = 1", "DELETE FROM t WHERE id = 3")
	until(t, s, 1, nil)
	all := until(t, s, 4, columns(t, db, "t"))
	text := func(v string) *string { return &v }
	var got []change.Change
	for _, c := range all {
		require.WithinDuration(t, time.Now(), c.At, time.Minute)
		got = append(got, change.Change{Op: c.Op, Before: c.Before, After: c.After})
	}
	require.Equal(t, []change.Change{
		{Op: "insert", After: change.Row{"id": text("1"), "shop": text("7"), "name": text("a")}},
		{Op: "insert", After: change.Row{"id": text("2"), "shop": text("7"), "name": nil}},
		{Op: "update", Before: change.Row{"id": text("2")}, After: change.Row{"id": text("3"), "name": text("b")}},
		{Op: "update", Before: change.Row{"id": text("1")}, After: change.Row{"id": text("1"), "name": nil}},
		{Op: "delete", Before: change.Row{"id": text("3")}},
	}, got)
}

func TestATransactionThatIsInTheLogIsReadOnceAndInOrder(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN)
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, shop INT NOT NULL) ENGINE=InnoDB")
	until(t, s, 1, nil)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	for _, q := range []string{"INSERT INTO t VALUES (1, 1)", "SAVEPOINT a", "INSERT INTO t VALUES (2, 1)", "ROLLBACK TO a", "INSERT INTO t VALUES (3, 1)"} {
		_, err := tx.ExecContext(t.Context(), q)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
	before := s.Position.String()
	var ids []string
	for _, c := range until(t, s, 1, columns(t, db, "t")) {
		ids = append(ids, *c.After["id"])
	}
	require.Equal(t, []string{"1", "3"}, ids)
	s.Close()
	again := open(t, db, server.DSN, before)
	require.Len(t, until(t, again, 1, columns(t, db, "t")), 2, "a position in the middle does not exist")

	tx, err = db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "INSERT INTO t SELECT seq, 2 FROM "+testenv.Numbers(10, 100_009))
	require.NoError(t, err)
	require.NoError(t, tx.Rollback())
	exec(t, db, "INSERT INTO t SELECT seq, 3 FROM "+testenv.Numbers(10, 100_009))
	rows := until(t, again, 1, columns(t, db, "t"))
	require.Len(t, rows, 100_000)
	require.Equal(t, "3", *rows[0].After["shop"], "what was rolled back is not in the log")
}

func TestALogThatIsGoneIsTold(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN)
	before := s.Position.String()
	s.Close()
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2)", "FLUSH BINARY LOGS")
	require.Eventually(t, func() bool {
		exec(t, db, "PURGE BINARY LOGS TO 'log.000003'")
		return testenv.OldestBinlog(t, db) == "log.000003"
	}, 30*time.Second, 50*time.Millisecond)
	again := open(t, db, server.DSN, before)
	var err error
	for err == nil {
		_, err = again.Next(binlog.Silence)
	}
	require.ErrorIs(t, err, binlog.ErrPurged)
	behind := open(t, db, server.DSN, testenv.BinlogPosition(t, db))
	exec(t, db, "INSERT INTO t VALUES (3)")
	require.Len(t, until(t, behind, 1, columns(t, db, "t")), 1)
}

func TestAServerWithNothingToSayIsHeard(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN)
	mariadb := testenv.IsMariaDB(t, db)
	for {
		e, err := s.Next(binlog.Silence)
		require.NoError(t, err)
		if e.Kind == binlog.Idle {
			break
		}
	}
	server.Freeze()
	_, err := s.Next(time.Millisecond)
	require.ErrorIs(t, err, binlog.ErrQuiet)
	server.Kill()
	for err == nil || err == binlog.ErrQuiet { //nolint:errorlint // it is returned bare
		_, err = s.Next(binlog.Silence)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg, err := mysql.ParseDSN(server.DSN)
	require.NoError(t, err)
	_, err = binlog.Open(ctx, binlog.Config{DSN: cfg, MariaDB: mariadb, ServerID: 3})
	require.ErrorIs(t, err, context.Canceled)
}

func TestTheOlderOfTwoWithOneIDIsEndedAndThatIsNoGap(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, older := follow(t, server.DSN)
	_, err := older.Next(binlog.Silence) // or the server may look at the newer one first
	require.NoError(t, err)
	newer := open(t, db, server.DSN, older.Position.String())
	for err == nil {
		_, err = older.Next(binlog.Silence)
	}
	require.ErrorContains(t, err, "same server_uuid/server_id")
	require.NotErrorIs(t, err, binlog.ErrPurged)
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)")
	until(t, newer, 1, nil)
}
