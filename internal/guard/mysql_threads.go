package guard

import (
	"context"
	"database/sql"
)

// ThreadsRunning is the number of statements that a MySQL or MariaDB executes at this moment, our own slots and the
// reading itself included. Pages of half a millisecond hardly move it; a server on which statements pile up does.
// Stale means hold.
func ThreadsRunning(source string) *Gauge {
	return &Gauge{Name: "mysql_threads_running{" + source + "}", Above0: true, Limits: ThreadsRunningLimits(), Show: count}
}

// ThreadsRunningLimits are the defaults: a server of 8 to 32 cores is busy at the first and jammed at the last.
func ThreadsRunningLimits() Limits { return Limits{Hold: 40, Shrink: 64, Stop: 128, Smooth: 0.5} }

// ReadThreadsRunning reads it.
func ReadThreadsRunning(ctx context.Context, db *sql.DB) (float64, error) {
	return globalStatus(ctx, db, "Threads_running")
}
