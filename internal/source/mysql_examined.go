package source

import (
	"context"
	"database/sql"
	"fmt"
)

// Examined sums the session's handler counters: the rows that its statements were handed by the storage engine, and those
// that the engine dropped by a condition pushed down to the index. MySQL does not count the latter, so that Scan.Counted has none
// pushed down there. A reading takes the server 0.4 ms, as much as a third of a page of 400 rows.
func (mysqlDialect) Examined(ctx context.Context, session *sql.Conn) (int64, error) {
	rows, err := session.QueryContext(ctx, "SHOW SESSION STATUS LIKE 'Handler%'")
	if err != nil {
		return 0, fmt.Errorf("read handler counters: %w", err)
	}
	defer rows.Close()
	var sum int64
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return 0, fmt.Errorf("read handler counters: %w", err)
		}
		// Not every counter is a row: a retry is none, and a row that is fetched by its position after it was sorted was
		// examined before.
		switch name {
		case "Handler_read_first", "Handler_read_key", "Handler_read_last", "Handler_read_next", "Handler_read_prev",
			"Handler_read_rnd_next", "Handler_icp_attempts":
			sum += n
		case "Handler_icp_match": // these were handed on, and counted there
			sum -= n
		}
	}
	return sum, rows.Err()
}
