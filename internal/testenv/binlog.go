package testenv

import (
	"database/sql"
	"strings"
	"testing"
)

// IsMariaDB asks a server which of the two it is.
func IsMariaDB(t testing.TB, db *sql.DB) bool {
	t.Helper()
	return strings.Contains(ask(t, db, "SELECT VERSION()"), "MariaDB")
}

// BinlogPosition is what a server's binlog holds up to now.
func BinlogPosition(t testing.TB, db *sql.DB) string {
	t.Helper()
	if IsMariaDB(t, db) {
		return ask(t, db, "SELECT @@GLOBAL.gtid_binlog_pos")
	}
	return strings.Join(strings.Fields(ask(t, db, "SELECT @@GLOBAL.gtid_executed")), "")
}

// OldestBinlog is the first of the files that a server's binlog is in.
func OldestBinlog(t testing.TB, db *sql.DB) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		t.Fatal("no binlog", err, rows.Err())
	}
	var name string
	into := make([]any, len(columns)) // a name, a size, and with MySQL whether it is encrypted
	for i := range into {
		into[i] = new(sql.RawBytes)
	}
	into[0] = &name
	if err := rows.Scan(into...); err != nil {
		t.Fatal(err)
	}
	return name
}

func ask(t testing.TB, db *sql.DB, query string) (answer string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}
