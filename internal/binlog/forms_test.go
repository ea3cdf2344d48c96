package binlog_test

import (
	"database/sql"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/binlog"
	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// events reads up to the end of so many transactions.
func events(t *testing.T, s *binlog.Stream, transactions int) (all []binlog.Event) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for transactions > 0 {
		require.True(t, time.Now().Before(deadline), "not enough came")
		e, err := s.Next(binlog.Silence)
		require.NoError(t, err)
		if e.Kind == binlog.Commit || e.Ends {
			transactions--
		}
		if e.Kind != binlog.Idle && e.Kind != binlog.Other {
			all = append(all, e)
		}
	}
	return all
}

// kinds are those of events, in order.
func kinds(all []binlog.Event) (out []binlog.Kind) {
	for _, e := range all {
		out = append(out, e.Kind)
	}
	return out
}

// session is a connection with settings of its own.
func session(t *testing.T, db *sql.DB, settings ...string) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	run(t, conn, settings...)
	return conn
}

func run(t *testing.T, conn *sql.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		_, err := conn.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

func TestRowsOfTablesWithColumnsOfEveryKindAreRead(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN)
	more := ""
	if !testenv.IsMariaDB(t, db) {
		more = ", KEY ((lower(name))), KEY ((CAST(j->'$.a' AS UNSIGNED ARRAY))), vec VECTOR(3)"
	}
	conn := session(t, db, "CREATE TABLE odd (f FLOAT, id INT PRIMARY KEY, v INT AS (id * 2) VIRTUAL, d DOUBLE, st INT AS (id * 3) STORED, hidden INT DEFAULT 5 INVISIBLE, j JSON, g POINT, "+
		"b LONGBLOB, name VARCHAR(20), bits BIT(9), last INT"+more+") CHARSET=utf8mb4",
		"CREATE TABLE parts (id INT PRIMARY KEY, name VARCHAR(20)) PARTITION BY HASH (id) PARTITIONS 3")
	until(t, s, 2, nil)
	insert := "INSERT INTO odd (f, id, d, j, g, b, name, bits, last"
	values := "(1.5, %d, 2.5, '{\"a\": [1, 2], \"b\": \"c\"}', POINT(1, 2), REPEAT('x', 70000), 'Ann', 3, -7"
	if more != "" {
		insert, values = insert+", vec", values+", STRING_TO_VECTOR('[1, 2, 3]')"
	}
	for i, metadata := range []string{"MINIMAL", "FULL"} {
		exec(t, db, "SET GLOBAL binlog_row_metadata = "+metadata)
		run(t, conn, insert+") VALUES "+fmt.Sprintf(values, 2*i)+"), "+fmt.Sprintf(values, 2*i+1)+")", fmt.Sprintf("UPDATE odd SET last = -8 WHERE id = %d", 2*i),
			fmt.Sprintf("INSERT INTO parts VALUES (%d, 'a'), (%d, 'b')", 2*i, 2*i+1), fmt.Sprintf("DELETE FROM parts WHERE id = %d", 2*i))
		got := until(t, s, 2, columns(t, db, "odd"))
		require.Len(t, got, 3)
		for j, c := range got {
			want := map[string]string{"id": fmt.Sprint(2*i + j%2), "v": fmt.Sprint(4*i + 2*(j%2)), "st": fmt.Sprint(6*i + 3*(j%2)), "hidden": "5", "name": "Ann", "bits": "\x00\x03", "last": "-7"}
			if c.Op == change.Update {
				want["last"] = "-8"
			}
			for name, text := range want {
				require.Contains(t, c.After, name, metadata)
				require.Equal(t, text, *c.After[name], "%s %s", metadata, name)
			}
			for _, name := range []string{"f", "d", "j", "g", "vec"} {
				if name != "j" || more != "" { // MariaDB's JSON is a text
					require.NotContains(t, c.After, name)
				}
			}
		}
		got = until(t, s, 2, columns(t, db, "parts"))
		require.Len(t, got, 3)
		require.Equal(t, fmt.Sprint(2*i), *got[2].Before["id"])
	}
}

func TestAPrimaryKeyThatTheServerMadeIsAColumn(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN)
	if testenv.IsMariaDB(t, db) {
		_, err := db.ExecContext(t.Context(), "SET sql_generate_invisible_primary_key = ON")
		require.ErrorContains(t, err, "1193", "MariaDB makes none")
		return
	}
	conn := session(t, db, "SET sql_generate_invisible_primary_key = ON", "CREATE TABLE keyless (name VARCHAR(20), n INT)", "INSERT INTO keyless VALUES ('a', 7)")
	until(t, s, 1, nil)
	got := until(t, s, 1, columns(t, db, "keyless"))
	require.Equal(t, "7", *got[0].After["n"])
	exec(t, db, "SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF")
	run(t, conn, "INSERT INTO keyless VALUES ('b', 8)")
	all := events(t, s, 1)
	require.Equal(t, []binlog.Kind{binlog.Rows, binlog.Commit}, kinds(all))
	seen := columns(t, another(t, server.DSN), "keyless")
	require.Len(t, seen, 2, "the server hides it")
	require.False(t, all[0].Table.Fits(seen), "no column may be taken for its neighbour")
}

func another(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestRowsThatAreNotWrittenPlainlyAreDoubtedAndReadingGoesOn(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN)
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, j JSON)")
	until(t, s, 1, nil)
	table := columns(t, db, "t")
	unread := func(e binlog.Event) {
		t.Helper()
		if e.Kind == binlog.Rows {
			require.ErrorIs(t, e.Changes(table, func(change.Change) { require.Fail(t, "guessed") }), binlog.ErrColumns)
			return
		}
		require.Equal(t, binlog.Opaque, e.Kind)
	}
	plain := func(id int) {
		t.Helper()
		exec(t, db, fmt.Sprintf("INSERT INTO t VALUES (%d, '{}')", id))
		rows := until(t, s, 1, table)
		require.Len(t, rows, 1)
		require.Equal(t, fmt.Sprint(id), *rows[0].After["id"])
		require.Equal(t, testenv.BinlogPosition(t, db), s.Position.String())
	}
	document := `'{"a": "` + strings.Repeat("x", 1000) + `", "b": 1}'`
	if testenv.IsMariaDB(t, db) {
		exec(t, db, "SET GLOBAL log_bin_compress = ON", "SET GLOBAL log_bin_compress_min_len = 10")
		run(t, session(t, db), "INSERT INTO t VALUES (1, "+document+")", "UPDATE t SET j = '{}' WHERE id = 1", "DELETE FROM t WHERE id = 1")
		exec(t, db, "SET GLOBAL log_bin_compress = OFF")
		all := events(t, s, 3)
		require.Len(t, all, 6)
		for i := 0; i < len(all); i += 2 {
			unread(all[i])
		}
		plain(2)
		return
	}
	run(t, session(t, db, "SET binlog_transaction_compression = ON"), "INSERT INTO t VALUES (1, "+document+")", "UPDATE t SET j = '{}' WHERE id = 1", "DELETE FROM t WHERE id = 1")
	all := events(t, s, 3)
	require.Equal(t, []binlog.Kind{binlog.Opaque, binlog.Opaque, binlog.Opaque}, kinds(all))
	plain(2)
	run(t, session(t, db, "SET binlog_row_value_options = PARTIAL_JSON"), "INSERT INTO t VALUES (3, "+document+")", "UPDATE t SET j = JSON_SET(j, '$.b', 2) WHERE id = 3")
	require.Len(t, until(t, s, 1, table), 1)
	all = events(t, s, 1)
	require.Equal(t, []binlog.Kind{binlog.Rows, binlog.Commit}, kinds(all))
	unread(all[0])
	plain(4)
}

func TestWhatASessionDoesNotWriteAsRowsIsToldAndIsNoTransactionTooMany(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t, "--local-infile=ON")
	db, s := follow(t, server.DSN)
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20)) ENGINE=InnoDB")
	until(t, s, 1, nil)
	one := func(want ...binlog.Kind) []binlog.Event {
		t.Helper()
		all := events(t, s, 1)
		require.Equal(t, want, kinds(all))
		require.Equal(t, testenv.BinlogPosition(t, db), s.Position.String())
		return all
	}
	statements := session(t, db, "SET binlog_format = STATEMENT")
	run(t, statements, "INSERT INTO t VALUES (1, 'a')")
	one(binlog.Statement, binlog.Commit)
	mysql.RegisterReaderHandler("rows", func() io.Reader { return strings.NewReader("2\tb\n3\tc\n") })
	defer mysql.DeregisterReaderHandler("rows")
	run(t, statements, "LOAD DATA LOCAL INFILE 'Reader::rows' INTO TABLE t")
	one(binlog.Opaque, binlog.Commit)
	exec(t, db, "TRUNCATE t")
	one(binlog.Statement)

	exec(t, db, "INSERT INTO t VALUES (4, 'd')", "CREATE TABLE copy (PRIMARY KEY (id)) SELECT * FROM t")
	until(t, s, 1, columns(t, db, "t"))
	before := s.Position.String()
	for ended := false; !ended; {
		e, err := s.Next(binlog.Silence)
		require.NoError(t, err)
		ended = e.Kind == binlog.Commit
		require.True(t, ended || testenv.IsMariaDB(t, db) || s.Position.String() == before, "the rows are of the same transaction")
	}
	require.Equal(t, testenv.BinlogPosition(t, db), s.Position.String())

	conn := session(t, db, "XA START 'x'", "INSERT INTO t VALUES (5, 'e')", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'", "XA START 'y'", "INSERT INTO t VALUES (6, 'f')", "XA END 'y'", "XA COMMIT 'y' ONE PHASE")
	run(t, conn, "INSERT INTO t VALUES (7, 'g')")
	var told []binlog.Kind
	for s.Position.String() != testenv.BinlogPosition(t, db) {
		told = append(told, kinds(events(t, s, 1))...)
	}
	require.Equal(t, []binlog.Kind{binlog.Rows, binlog.Commit, binlog.Opaque, binlog.Rows, binlog.Commit, binlog.Rows, binlog.Commit}, told)
}

func TestTransactionsWithTagsAreRead(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t)
	db, s := follow(t, server.DSN)
	if testenv.IsMariaDB(t, db) {
		_, err := db.ExecContext(t.Context(), "SET gtid_next = 'AUTOMATIC:tag'")
		require.ErrorContains(t, err, "1193", "MariaDB has no tags")
		return
	}
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	until(t, s, 1, nil)
	until(t, s, 1, columns(t, db, "t"))
	before := s.Position.String()
	tagged := session(t, db, "SET gtid_next = 'AUTOMATIC:deploy'")
	other := session(t, db, "SET gtid_next = 'AUTOMATIC:_a_tag_that_is_as_long_as_can_be'")
	run(t, tagged, "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")
	run(t, other, "INSERT INTO t VALUES (4)")
	exec(t, db, "INSERT INTO t VALUES (5)")
	ids := func(s *binlog.Stream, transactions int) (all []string) {
		for _, c := range until(t, s, transactions, columns(t, db, "t")) {
			all = append(all, *c.After["id"])
		}
		return all
	}
	require.Equal(t, []string{"2", "3", "4", "5"}, ids(s, 4))
	end := testenv.BinlogPosition(t, db)
	require.Contains(t, end, ":deploy:1-2")
	require.Equal(t, end, s.Position.String())
	s.Close()
	again := open(t, db, server.DSN, before)
	require.Equal(t, []string{"2", "3"}, ids(again, 2), "tags are new to the place where it goes on")
	middle := again.Position.String()
	again.Close()
	run(t, tagged, "INSERT INTO t VALUES (6)")
	require.Equal(t, []string{"4", "5", "6"}, ids(open(t, db, server.DSN, middle), 3), "what has been read is not sent again")
	require.True(t, slices.Contains(strings.Split(middle, ":"), "deploy"))
}
