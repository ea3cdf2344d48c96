package guard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-sql-driver/mysql"
)

// ErrNotReplicating: the server is no replica, or its replication stands still, so that there is no lag to go by.
var ErrNotReplicating = errors.New("replication does not run")

// ReplicaLag is how many seconds a replica is behind, by its own account. Name only replicas that our reading can slow
// down or that we read from: a lag that we do not cause would hold us up for nothing. A replica that does not replicate
// has no lag, and says hold, as a stale value does.
func ReplicaLag(replica string) *Gauge {
	return &Gauge{Name: "replica_lag{" + replica + "}", Limits: ReplicaLagLimits(), Show: seconds}
}

// ReplicaLagLimits are the defaults.
func ReplicaLagLimits() Limits { return Limits{Hold: 2, Shrink: 5, Stop: 30} }

const (
	unknownStatement = 1064 // a server that does not know SHOW REPLICA STATUS: MySQL before 8.0.22, MariaDB before 10.5
)

// ReadReplicaLag reads it; of several channels the greatest counts. It needs the privilege REPLICATION CLIENT (MariaDB:
// REPLICA MONITOR).
func ReadReplicaLag(ctx context.Context, db *sql.DB) (float64, error) {
	lag, err := readLag(ctx, db, "SHOW REPLICA STATUS")
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == unknownStatement {
		lag, err = readLag(ctx, db, "SHOW SLAVE STATUS")
	}
	if err != nil {
		return 0, fmt.Errorf("read replica lag: %w", err)
	}
	return lag, nil
}

func readLag(ctx context.Context, db *sql.DB, query string) (float64, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	row, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range row {
		into[i] = &row[i]
	}
	most := -1.0
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return 0, err
		}
		for i, name := range names {
			if name != "Seconds_Behind_Source" && name != "Seconds_Behind_Master" {
				continue
			}
			lag, err := strconv.ParseFloat(row[i].String, 64)
			if !row[i].Valid || err != nil {
				return 0, ErrNotReplicating
			}
			most = max(most, lag)
		}
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	if most < 0 {
		return 0, ErrNotReplicating
	}
	return most, nil
}
