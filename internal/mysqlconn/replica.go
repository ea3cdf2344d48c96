package mysqlconn

import (
	"context"
	"database/sql"
	"errors"

	"github.com/go-sql-driver/mysql"
)

// unknownStatement: a server that does not know SHOW REPLICA STATUS: MySQL before 8.0.22, MariaDB before 10.5.
const unknownStatement = 1064

// ReplicaStatus is what a server says of its own replication, a map per channel; none: it is no replica. NULL is "". It needs
// the privilege REPLICATION CLIENT (MariaDB: REPLICA MONITOR).
func ReplicaStatus(ctx context.Context, db *sql.DB) ([]map[string]string, error) {
	channels, err := statusRows(ctx, db, "SHOW REPLICA STATUS")
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == unknownStatement {
		channels, err = statusRows(ctx, db, "SHOW SLAVE STATUS")
	}
	return channels, err
}

func statusRows(ctx context.Context, db *sql.DB, query string) ([]map[string]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []map[string]string
	row, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		channel := map[string]string{}
		for i, name := range names {
			channel[name] = row[i].String
		}
		all = append(all, channel)
	}
	return all, rows.Err()
}
