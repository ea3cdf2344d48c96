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
	// MySQL writes what it takes over into its own binlog anyway, and has lost the old name of the setting.
	replica := BinlogMySQL(t, append([]string{"--loose-log-slave-updates", fmt.Sprintf("--server-id=%d", id)}, args...)...)
	host, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	from := "CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%s, SOURCE_USER='root', SOURCE_CONNECT_RETRY=1, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1"
	if replica.MariaDB() {
		from = "CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%s, MASTER_USER='root', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos"
	}
	replica.execute(fmt.Sprintf(from, host, port), "START REPLICA")
	AwaitReplica(t, primary, replica)
	return replica
}

// DelayReplica has a replica take over what its primary has only when that is so old.
func DelayReplica(replica *MySQLServer, by time.Duration) {
	replica.t.Helper()
	delay := "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = %.0f"
	if replica.MariaDB() {
		delay = "CHANGE MASTER TO MASTER_DELAY = %.0f"
	}
	replica.execute("STOP REPLICA", fmt.Sprintf(delay, by.Seconds()), "START REPLICA")
}

// AwaitReplica waits until a replica has what its primary has now.
func AwaitReplica(t testing.TB, primary, replica *MySQLServer) {
	t.Helper()
	from, to := primary.root(), replica.root()
	defer from.Close()
	defer to.Close()
	wait := "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)"
	if IsMariaDB(t, to) {
		wait = "SELECT MASTER_GTID_WAIT(?, ?)"
	}
	var missed int
	if err := to.QueryRowContext(t.Context(), wait, BinlogPosition(t, from), caughtUp.Seconds()).Scan(&missed); err != nil {
		t.Fatalf("%s: %v", wait, err)
	}
	if missed != 0 {
		t.Fatalf("the replica has not caught up within %s", caughtUp)
	}
}

// MariaDB says which of the two the server is.
func (s *MySQLServer) MariaDB() bool {
	s.t.Helper()
	db := s.root()
	defer db.Close()
	return IsMariaDB(s.t, db)
}

func (s *MySQLServer) root() *sql.DB {
	s.t.Helper()
	db, err := sql.Open("mysql", s.DSN+"?interpolateParams=true")
	if err != nil {
		s.t.Fatal(err)
	}
	return db
}

// execute runs statements as root.
func (s *MySQLServer) execute(statements ...string) {
	s.t.Helper()
	db := s.root()
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(s.t.Context(), statement); err != nil {
			s.t.Fatalf("%s: %v", statement, err)
		}
	}
}
