package testenv

import (
	"database/sql"
	"fmt"
	"net"
	"testing"
	"time"
)

// caughtUp bounds how long a new replica takes to have what its primary has.
const caughtUp = 30 * time.Second

// ReplicaMySQL is a replica of a BinlogMySQL, for this test alone; id is its server's, 2 or more, and args are more of the
// server's own arguments. It has all that the primary had when it returns.
func ReplicaMySQL(t testing.TB, primary *MySQLServer, id int, args ...string) *MySQLServer {
	t.Helper()
	replica := GrantsMySQL(t, append([]string{"--log-bin=log", "--binlog-format=ROW", "--log-slave-updates", fmt.Sprintf("--server-id=%d", id)}, args...)...)
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", replica.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		fmt.Sprintf("CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='root', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos", host, port),
		"START SLAVE",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	AwaitReplica(t, primary, replica)
	return replica
}

// AwaitReplica waits until a replica has what its primary has now.
func AwaitReplica(t testing.TB, primary, replica *MySQLServer) {
	t.Helper()
	var position string
	var missed int
	for _, ask := range []struct {
		dsn, query string
		args       []any
		into       any
	}{
		{primary.DSN, "SELECT @@GLOBAL.gtid_binlog_pos", nil, &position},
		{replica.DSN + "?interpolateParams=true", "SELECT MASTER_GTID_WAIT(?, ?)", []any{&position, caughtUp.Seconds()}, &missed},
	} {
		db, err := sql.Open("mysql", ask.dsn)
		if err != nil {
			t.Fatal(err)
		}
		err = db.QueryRowContext(t.Context(), ask.query, ask.args...).Scan(ask.into)
		_ = db.Close()
		if err != nil {
			t.Fatalf("%s: %v", ask.query, err)
		}
	}
	if missed != 0 {
		t.Fatalf("the replica has not caught up within %s", caughtUp)
	}
}
