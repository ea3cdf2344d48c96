package guard

import (
	"context"
	"database/sql"

	"github.com/prewarm-go/prewarm/internal/config"
)

// ThreadsRunning is the number of statements that a MySQL or MariaDB executes at this moment, our own slots and the
// reading itself included, and on MySQL its event scheduler. Pages of half a millisecond hardly move it; a server on which
// statements pile up does.
// Stale means hold.
func ThreadsRunning(source string, zones config.Zones) *Gauge {
	return &Gauge{Name: "mysql_threads_running{" + source + "}", Above0: true, Limits: limits(zones, Limits{Smooth: 0.5}), Show: count}
}

// ReadThreadsRunning reads it.
func ReadThreadsRunning(ctx context.Context, db *sql.DB) (float64, error) {
	return globalStatus(ctx, db, "Threads_running")
}
