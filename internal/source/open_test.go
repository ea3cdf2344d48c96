package source

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

func TestSessionsCanOnlyReadAndNotForLong(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable)
	src, err := Open(t.Context(), "main", config.Source{DSN: e.dsn, StatementTime: 200 * time.Millisecond}, 4)
	require.NoError(t, err)
	defer src.Close()
	require.Equal(t, 8, src.Stats().MaxOpenConnections)

	_, err = src.db.ExecContext(t.Context(), "INSERT INTO shop_users (shop_id, user_id) VALUES (1, 1)")
	require.ErrorContains(t, err, "READ ONLY")
	require.True(t, Definitive(err))

	begun := time.Now()
	var n int64
	err = src.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.COLUMNS a, information_schema.COLUMNS b, "+
		"information_schema.COLUMNS c, information_schema.COLUMNS d").Scan(&n)
	require.Error(t, err)
	require.False(t, Definitive(err), "%v", err)
	require.Less(t, time.Since(begun), 5*time.Second)

	var zone, charset string
	require.NoError(t, src.db.QueryRowContext(t.Context(), "SELECT @@time_zone, @@character_set_client").Scan(&zone, &charset))
	require.Equal(t, "+00:00", zone)
	require.Equal(t, "utf8mb4", charset)

	now, err := src.Now(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), now, time.Minute)
	require.NoError(t, src.Ping(t.Context()))
}

// The server has its statements run with the priority of the group while they run, and tells which it is of those that run.
func TestRowsAreReadInTheResourceGroup(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	group := "prewarm `test` " + rand.Text()[:8]
	open := func(dsn string) (*Source, error) {
		return Open(t.Context(), "main", config.Source{DSN: dsn, ResourceGroup: group}, 4)
	}
	_, err := open(e.dsn)
	if e.mariadb() {
		require.EqualError(t, err, fmt.Sprintf("source main: sources.main.resource_group is %q, and MariaDB has no resource groups; leave it out", group))
		return
	}
	require.EqualError(t, err, "source main: resource group "+group+" cannot be used: Resource Group '"+group+"' does not exist.; "+
		"check sources.main.resource_group, that the group is there and enabled, and that the user has RESOURCE_GROUP_USER")

	own := testenv.OwnMySQL(t, "--performance-schema=ON")
	root, err := sql.Open("mysql", own.DSN)
	require.NoError(t, err)
	defer root.Close()
	e = &env{write: root}
	e.exec(t, usersTable, "INSERT INTO shop_users (shop_id, user_id) VALUES (1, 1), (1, 2), (1, 3)",
		"CREATE RESOURCE GROUP "+mysqlDialect{}.Quote(group)+" TYPE = USER THREAD_PRIORITY = 19")
	src, err := open(own.DSN)
	require.NoError(t, err)
	defer src.Close()
	// A slow statement of each kind, seen by another while it runs.
	e.exec(t, "CREATE FUNCTION slow() RETURNS INT NOT DETERMINISTIC NO SQL RETURN SLEEP(0.2)")
	spec := usersSpec()
	spec.Where = "test.slow() = 0"
	table, err := src.Bind(t.Context(), spec)
	require.NoError(t, err)
	query, err := src.Bind(t.Context(), qSpec("\n select user_id, test.slow() AS s FROM shop_users WHERE shop_id = :shop"))
	require.NoError(t, err)
	none := visitor(func([]sql.RawBytes) bool { return true })
	for what, read := range map[string]func() error{
		"page":          func() error { _, err := table.ReadPage(t.Context(), "1", "", "", 10, none); return err },
		"measured page": func() error { _, _, err := table.MeasurePage(t.Context(), "1", "", "", 10, none); return err },
		"query":         func() error { return query.ReadAll(t.Context(), "1", none) },
	} {
		for range 2 { // what comes again and again may be prepared
			require.NoError(t, read(), what)
		}
		done := make(chan error, 1)
		go func() { done <- read() }()
		require.Eventually(t, func() bool {
			var group sql.NullString
			err := root.QueryRowContext(t.Context(), "SELECT RESOURCE_GROUP FROM performance_schema.threads WHERE PROCESSLIST_INFO LIKE '%slow()%' AND "+
				"PROCESSLIST_ID <> CONNECTION_ID()").Scan(&group)
			return err == nil && strings.HasPrefix(group.String, "prewarm `test`")
		}, 20*time.Second, time.Millisecond, what)
		require.NoError(t, <-done, what)
	}
	s := table.scan(1)
	s.Select = table.selects
	for _, s.Total = range []bool{false, true} {
		text, _ := src.dialect.Scan(s)
		require.True(t, strings.HasPrefix(text, "SELECT /*+ RESOURCE_GROUP(`prewarm ``test`` "), text)
	}
	n, err := table.Count(t.Context(), "1", 0)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	e.exec(t, "DROP RESOURCE GROUP "+mysqlDialect{}.Quote(group)) // which nobody is left in
}

func TestStatementsThatReadRowsBeginWithTheirHints(t *testing.T) {
	t.Parallel()
	const group, counted = "RESOURCE_GROUP(`g`)", "SET_VAR(optimizer_switch='index_condition_pushdown=off')"
	s := Scan{Table: &Table{Name: "t"}, Select: []string{"a"}}
	for _, c := range []struct {
		d     mysqlDialect
		count bool
		total bool
		want  string
	}{
		{mysqlDialect{}, false, false, "SELECT a FROM"},
		{mysqlDialect{}, true, false, "SELECT /*+ " + counted + " */ a FROM"},
		{mysqlDialect{mariadb: true}, true, false, "SELECT a FROM"},
		{mysqlDialect{group: "g"}, false, false, "SELECT /*+ " + group + " */ a FROM"},
		{mysqlDialect{group: "g"}, true, false, "SELECT /*+ " + group + " " + counted + " */ a FROM"},
		{mysqlDialect{group: "g"}, false, true, "SELECT /*+ " + group + " */ COUNT(*) FROM (SELECT 1 FROM"},
	} {
		s.Counted, s.Total = c.count, c.total
		text, _ := c.d.Scan(s)
		require.True(t, strings.HasPrefix(text, c.want), text)
	}
}

func TestAnOperatorsQueryKeepsItsWords(t *testing.T) {
	t.Parallel()
	d := mysqlDialect{group: "g"}
	for query, want := range map[string]string{
		" \n Select a FROM b":           "Select /*+ RESOURCE_GROUP(`g`) */  a FROM b",
		"SELECT /*+ NO_ICP(b) */ a":     "SELECT /*+ NO_ICP(b) */ a",
		"WITH x AS (SELECT 1) SELECT 1": "WITH x AS (SELECT 1) SELECT 1",
		"SELECT(1)":                     "SELECT(1)",
		"SELECTED":                      "SELECTED",
		"-- why\nSELECT a":              "-- why\nSELECT a",
	} {
		require.Equal(t, want, d.Query(query))
		require.Equal(t, query, mysqlDialect{}.Query(query))
	}
}

func TestTheDSNCannotUndoWhatTheEncodingReliesOn(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable)
	odd := e.dsn + "?parseTime=true&interpolateParams=false&charset=latin1&time_zone=%27%2B08:00%27&multiStatements=true&columnsWithAlias=true"
	src, err := Open(t.Context(), "main", config.Source{DSN: odd, Pool: 2}, 4)
	require.NoError(t, err)
	defer src.Close()
	require.Equal(t, 2, src.Stats().MaxOpenConnections)
	e.exec(t, "CREATE TABLE z (shop INT, n VARCHAR(9), at TIMESTAMP NULL)", "SET time_zone = '+00:00'",
		"INSERT INTO z VALUES (1, '播', FROM_UNIXTIME(86400))")
	b, err := src.Bind(t.Context(), dataset.Spec{Name: "z", Query: "SELECT n, at FROM z WHERE shop = :shop", Key: "z:{shop}"})
	require.NoError(t, err)
	want := `{"n":"播","at":"1970-01-02 00:00:00"}`
	readAll(t, b, "1", func(row []sql.RawBytes) {
		out, err := b.Encoder().AppendObject(nil, row)
		require.NoError(t, err)
		require.Equal(t, want, string(out))
	})
}

func TestAServerThatCannotBeUsedIsExplainedWithoutItsPassword(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().String()
	require.NoError(t, listener.Close())
	real, err := mysql.ParseDSN(testenv.MySQL(t))
	require.NoError(t, err)
	for dsn, want := range map[string]string{
		"u:geheim@tcp(" + closed + ")/db":             "source main: cannot reach tcp " + closed,
		"u:geheim@tcp(prewarm.invalid:1)/db":          "source main: cannot reach tcp prewarm.invalid:1",
		"root:@tcp(" + real.Addr + ")/nowhere_at_all": `there is no database "nowhere_at_all" at ` + real.Addr,
		"u:geheim/db":            "sources.main.dsn: cannot be read; write user:password@tcp(host:3306)/database",
		"u:geheim@tcp(localhost": "sources.main.dsn: invalid DSN",
		"u:geheim@tcp(localhost:1)/db?geheim=geheim&x": "",
	} {
		_, err := Open(t.Context(), "main", config.Source{DSN: dsn}, 4)
		require.ErrorContains(t, err, want, dsn)
		require.NotContains(t, err.Error(), "geheim@", dsn)
		require.NotContains(t, err.Error(), "u:geheim", dsn)
	}
}

func TestRefusedLoginsNameUserAndField(t *testing.T) {
	t.Parallel()
	cfg := &mysql.Config{User: "prewarm", Passwd: "geheim", Net: "tcp", Addr: "db:3306", DBName: "shops"}
	for number, want := range map[uint16]string{
		1045: `source main: the server at db:3306 refuses user "prewarm"`,
		1698: "check user and password in sources.main.dsn",
		1044: `user "prewarm" may not use database "shops"`,
		1049: `there is no database "shops"`,
	} {
		err := loginError(place{"main", "sources.main", "sources.main.dsn"}, cfg, &mysql.MySQLError{Number: number, SQLState: [5]byte{'2', '8', '0', '0', '0'}, Message: "no"})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "geheim")
		require.True(t, Definitive(err))
	}
}

func TestDefinitiveErrorsAreThoseThatAskingAgainDoesNotHelp(t *testing.T) {
	t.Parallel()
	state := func(number uint16, s string) error {
		e := &mysql.MySQLError{Number: number}
		copy(e.SQLState[:], s)
		return fmt.Errorf("read: %w", e)
	}
	for _, err := range []error{
		state(1054, "42S22"), state(1064, "42000"), state(1146, "42S02"), state(1142, "42000"), state(1045, "28000"),
		state(1049, "3D000"), state(1792, "25006"), state(1292, "22007"), state(1267, "HY000"), state(1366, "HY000"),
		&ShopError{}, &CursorError{}, &dataset.SpecError{}, fmt.Errorf("x: %w", floatError("f")),
	} {
		require.True(t, Definitive(err), "%v", err)
	}
	for _, err := range []error{
		nil, io.EOF, context.DeadlineExceeded, context.Canceled, driver.ErrBadConn, mysql.ErrInvalidConn, errors.New("what"),
		state(1040, "08004"), state(1203, "42000"), state(1226, "42000"), state(1205, "HY000"), state(1213, "40001"),
		state(1317, "70100"), state(1969, "70100"), state(3024, "HY000"), state(1053, "08S01"), state(2013, ""),
	} {
		require.False(t, Definitive(err), "%v", err)
	}
}

func TestAnOutageIsNotDefinitive(t *testing.T) {
	t.Parallel()
	server := testenv.OwnMySQL(t)
	src, err := Open(t.Context(), "main", config.Source{DSN: server.DSN}, 4)
	require.NoError(t, err)
	defer src.Close()
	_, err = src.db.ExecContext(t.Context(), "SET SESSION TRANSACTION READ WRITE")
	require.NoError(t, err)
	_, err = src.db.ExecContext(t.Context(), usersTable)
	require.NoError(t, err)
	b, err := src.Bind(t.Context(), usersSpec())
	require.NoError(t, err)
	server.Stop()
	_, err = b.Has(t.Context(), "1")
	require.Error(t, err)
	require.False(t, Definitive(err), "%v", err)
	server.Restart()
	has, err := b.Has(t.Context(), "1")
	require.NoError(t, err, "the pool connects again by itself")
	require.False(t, has)
}
