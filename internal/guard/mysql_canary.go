package guard

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/mysqlconn"
)

// Canary is the latency of a query of the operator's own, such as the live service sends: the most honest signal, and
// noisy, so it brakes and does not steer. Choose one that reads a few rows by primary key. It is judged against its quiet
// level, above a floor of half a millisecond: an idle server answers in 0.1 to 0.5 ms, and a ratio of less is noise. A query that does
// not answer in time is a reading (it took at least that long), not a stale value.
func Canary(source string, zones config.Zones) *Gauge {
	return &Gauge{Name: "canary{" + source + "}", Above0: true, Limits: limits(zones, Limits{Times: true, Floor: 0.0005, Smooth: 0.3}), Show: seconds}
}

// ReadCanary runs the query and reads its rows, within ctx; a cheap one some times.
func ReadCanary(ctx context.Context, db *sql.DB, query string) (float64, error) {
	took, err := latency(ctx, func(ctx context.Context) (time.Duration, error) { return runCanary(ctx, db, query) })
	if err != nil {
		return 0, fmt.Errorf("run the canary query: %w", err)
	}
	return took, nil
}

// runCanary says how long the server and the way took, without what this process waited for a processor: on a machine that is full of our
// own work that is most of it. 0: it is not known.
func runCanary(ctx context.Context, db *sql.DB, query string) (time.Duration, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	var answered func() time.Duration
	if err := conn.Raw(func(driver any) error { answered = mysqlconn.Timed(driver); return nil }); err != nil {
		return 0, err
	}
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		continue // what it returns does not matter
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	return answered(), nil
}
