package guard

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/config"
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
	took, err := latency(ctx, func(ctx context.Context) error { return runCanary(ctx, db, query) })
	if err != nil {
		return 0, fmt.Errorf("run the canary query: %w", err)
	}
	return took, nil
}

func runCanary(ctx context.Context, db *sql.DB, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		continue // what it returns does not matter
	}
	return rows.Err()
}
