package guard

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/prewarm-go/prewarm/internal/mysqlconn"

	"github.com/prewarm-go/prewarm/internal/config"
)

// ErrNotReplicating: the server is no replica, or its replication stands still, so that there is no lag to go by.
var ErrNotReplicating = errors.New("replication does not run")

// ReplicaLag is how many seconds a replica is behind, by its own account. Name only replicas that our reading can slow
// down or that we read from: a lag that we do not cause would hold us up for nothing. A replica that does not replicate
// has no lag, and says hold, as a stale value does.
func ReplicaLag(replica string, zones config.Zones) *Gauge {
	return &Gauge{Name: "replica_lag{" + replica + "}", Limits: limits(zones, Limits{}), Show: seconds}
}

// ReadReplica is ReplicaLag of a replica that pages are read from. Its lag is shown and judged by nobody: pages are only read
// there while it has what they must have, so that one that is behind is left alone at once.
func ReadReplica(replica string) *Gauge {
	return &Gauge{Name: "replica_lag{" + replica + "}", Own: true, Show: seconds}
}

// ReadReplicaLag reads it; of several channels the greatest counts. It needs the privilege REPLICATION CLIENT (MariaDB:
// REPLICA MONITOR).
func ReadReplicaLag(ctx context.Context, db *sql.DB) (float64, error) {
	channels, err := mysqlconn.ReplicaStatus(ctx, db)
	if err != nil {
		return 0, fmt.Errorf("read replica lag: %w", err)
	}
	lag, err := lagOf(channels)
	if err != nil {
		return 0, fmt.Errorf("read replica lag: %w", err)
	}
	return lag, nil
}

// lagOf is pure.
func lagOf(channels []map[string]string) (float64, error) {
	most := -1.0
	for _, channel := range channels {
		lag, err := strconv.ParseFloat(cmp.Or(channel["Seconds_Behind_Source"], channel["Seconds_Behind_Master"]), 64)
		if err != nil {
			return 0, ErrNotReplicating
		}
		most = max(most, lag)
	}
	if most < 0 {
		return 0, ErrNotReplicating
	}
	return most, nil
}
