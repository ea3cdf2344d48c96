package guard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Canary is the latency of a query of the operator's own, such as the live service sends: the most honest signal, and
// noisy, so it brakes and does not steer. Choose one that reads a few rows by primary key. It is judged against its quiet
// level. A query that does not answer in time is a reading (it took at least that long), not a stale value.
func Canary(source string) *Gauge {
	return &Gauge{Name: "canary{" + source + "}", Above0: true, Limits: CanaryLimits(), Show: seconds}
}

// CanaryLimits are the defaults. Below the floor a ratio is noise: an idle server answers in 0.1 to 0.5 ms.
func CanaryLimits() Limits {
	return Limits{Times: true, Floor: 0.0005, Hold: 2, Shrink: 4, Stop: 20, Smooth: 0.3}
}

// ReadCanary runs the query and reads its rows, within ctx.
func ReadCanary(ctx context.Context, db *sql.DB, query string) (float64, error) {
	began := time.Now()
	err := runCanary(ctx, db, query)
	took := time.Since(began).Seconds()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return took, nil
	}
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
