package guard

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/config"
)

// Connections is the share of max_connections that is in use on a MySQL or MariaDB, by whomever: the live service must
// find one. A smaller width does not close connections, it keeps more from being opened. Stale means hold.
func Connections(source string, zones config.Zones) *Gauge {
	return &Gauge{Name: "mysql_connections{" + source + "}", Above0: true, Limits: limits(zones, Limits{}), Show: percent}
}

// ReadConnections reads it. The limit is read each time: it can be changed at runtime.
func ReadConnections(ctx context.Context, db *sql.DB) (float64, error) {
	used, err := globalStatus(ctx, db, "Threads_connected")
	if err != nil {
		return 0, err
	}
	most, err := globalVariable(ctx, db, "max_connections")
	if err != nil {
		return 0, err
	}
	if most <= 0 {
		return 0, fmt.Errorf("read max_connections: %v", most)
	}
	return used / most, nil
}
