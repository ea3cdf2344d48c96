package source

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/binlog"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestARowThatTheBinlogToldIsSeenOnceThatWasAwaited(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	s, stream, db := followed(t, server.DSN, "")
	exec := func(statement string) {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	exec("CREATE TABLE t (id INT PRIMARY KEY)")
	// A commit waits for a replica that there is not, when it stands in the binlog already.
	role := "master"
	if !testenv.IsMariaDB(t, db) {
		role = "source"
		if _, err := db.ExecContext(t.Context(), "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'"); err != nil {
			testenv.Skip(t, fmt.Errorf("the server comes without semi-synchronous replication: %w", err))
		}
	}
	exec("SET GLOBAL rpl_semi_sync_" + role + "_wait_point = 'AFTER_SYNC'")
	exec("SET GLOBAL rpl_semi_sync_" + role + "_timeout = 2000")
	exec("SET GLOBAL rpl_semi_sync_" + role + "_enabled = ON")
	written := make(chan error, 1)
	go func() {
		_, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (1)")
		written <- err
	}()
	seen := func() (n int) {
		require.NoError(t, s.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM t").Scan(&n))
		return n
	}
	for told := false; !told; {
		e, err := stream.Next(binlog.Silence)
		require.NoError(t, err)
		told = e.Kind == binlog.Rows
	}
	require.Zero(t, seen(), "it was told before it was committed")
	require.NoError(t, s.AwaitVisible(t.Context(), stream))
	require.Equal(t, 1, seen())
	require.NoError(t, <-written)
}

// followed is a source, its binlog behind what it holds now and behind more that somebody had read, and a connection that writes.
func followed(t *testing.T, dsn, more string) (*Source, *binlog.Stream, *sql.DB) {
	t.Helper()
	s, err := Open(t.Context(), "main", config.Source{DSN: dsn}, 4)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	at, err := s.BinlogPosition(t.Context())
	require.NoError(t, err)
	stream, err := s.ReadBinlog(t.Context(), 1<<31+11, at+more)
	require.NoError(t, err)
	t.Cleanup(stream.Close)
	return s, stream, db
}

func TestWhatANewPrimaryNeverHadIsNotAwaited(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	more := ",3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9"
	other, err := sql.Open("mysql", server.DSN)
	require.NoError(t, err)
	defer other.Close()
	if testenv.IsMariaDB(t, other) {
		more = ",9-9-9"
	}
	s, stream, db := followed(t, server.DSN, more)
	for i := range 2 {
		_, err := db.ExecContext(t.Context(), fmt.Sprintf("CREATE TABLE t%d (id INT PRIMARY KEY)", i))
		require.NoError(t, err)
	}
	for told := 0; told < 2; {
		e, err := stream.Next(binlog.Silence)
		require.NoError(t, err)
		if e.Kind == binlog.Statement {
			require.NoError(t, s.AwaitVisible(t.Context(), stream))
			told++
		}
	}
}

func TestWhatAServerLacksForItsBinlogIsFound(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	s, _, db := followed(t, server.DSN, "")
	exec := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	lacks := func(s *Source) (all []string) {
		t.Helper()
		found, err := s.BinlogLacks(t.Context(), nil)
		require.NoError(t, err)
		for _, l := range found {
			require.True(t, l.Stops, l.What)
			require.NotEmpty(t, l.Remedy)
			all = append(all, l.What)
		}
		return all
	}
	require.Empty(t, lacks(s))
	settings := [][]string{{"binlog_format", "ROW", "STATEMENT", "MIXED"}}
	if testenv.IsMariaDB(t, db) {
		settings = append(settings, []string{"log_bin_compress", "OFF", "ON"})
	} else {
		settings = append(settings, []string{"binlog_transaction_compression", "OFF", "ON"}, []string{"binlog_row_value_options", "''", "PARTIAL_JSON"}, []string{"gtid_mode", "ON", "ON_PERMISSIVE"})
	}
	for _, setting := range settings {
		for _, bad := range setting[2:] {
			exec("SET GLOBAL " + setting[0] + " = " + bad)
			require.Equal(t, []string{setting[0] + " is " + bad}, lacks(s))
		}
		exec("SET GLOBAL " + setting[0] + " = " + setting[1])
	}
	exec("CREATE USER reader")
	reader, err := Open(t.Context(), "main", config.Source{DSN: fmt.Sprintf("reader@tcp(%s)/", server.Addr)}, 4)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reader.Close()) })
	require.Equal(t, []string{"the user may not read the binlog"}, lacks(reader))
	exec("GRANT REPLICATION SLAVE ON *.* TO reader")
	require.Empty(t, lacks(reader))
	at, err := reader.BinlogPosition(t.Context())
	require.NoError(t, err)
	stream, err := reader.ReadBinlog(t.Context(), 1<<31+12, at)
	require.NoError(t, err, "that is all it takes")
	stream.Close()

	without := testenv.OwnMySQL(t)
	other, err := Open(t.Context(), "main", config.Source{DSN: without.DSN}, 4)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	require.Equal(t, []string{"log_bin is OFF"}, lacks(other))
}
