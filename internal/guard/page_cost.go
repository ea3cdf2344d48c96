package guard

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
)

// What the cost check goes by.
const (
	// CostLimit is how many rows the server may examine for each row of a page of a dataset without `where`. A range scan
	// examines one; a scan that begins at the shop's first row for every page examines the number of the page.
	CostLimit = 4.0
	// CostLimitWhere is the same with `where`, which may drop rows: 19 of 20.
	CostLimitWhere = 20.0
	// costSlack is examined rows that no page is blamed for: the ends of ranges, and pages of few rows.
	costSlack = 100
	// CostTimes is how far above what is usual for the dataset the cost may be once costKnown pages were seen.
	CostTimes = 3.0
	costKnown = 50
	// costFar is how far beyond the limit one page is enough; below that two in a row are.
	costFar = 4.0
)

// Cost is the check of one dataset against a plan that went bad. It is pure; copy it with each step. The zero value has
// seen nothing.
type Cost struct {
	Limit   float64 `json:"limit"`   // 0: CostLimit
	Usual   float64 `json:"usual"`   // rows examined per row, averaged over pages that were well
	Samples int     `json:"samples"` // pages seen
	Over    int     `json:"over"`    // of the newest, how many in a row were beyond the limit
	Stopped bool    `json:"stopped"` // stands until somebody has looked: nothing here takes it back
	Reason  string  `json:"reason"`
}

// CostDue says whether a page should be measured: n counts the pages that this pod has read of a dataset in a run, from 0.
// A scan that begins at the shop's first row shows within the first pages of any unit, most of all in the units far from
// that row; later pages are watched for a plan that changes, and one in 64 costs a hundredth of the time.
func CostDue(n int64) bool {
	if n < 64 {
		return n%8 == 7
	}
	return n%64 == 63
}

// Step adds a page. What was examined is less than what was returned where the counter was reset in between; such pages
// are left out.
func (c Cost) Step(rows, examined int64) Cost {
	if rows < 0 || examined < rows {
		return c
	}
	per := float64(max(examined-costSlack, rows)) / float64(max(rows, 1))
	limit := cmp.Or(c.Limit, CostLimit)
	if c.Samples >= costKnown {
		limit = max(limit, CostTimes*c.Usual)
	}
	c.Samples++
	if per < limit {
		c.Over = 0
		c.Usual = max(c.Usual, 1)
		c.Usual += 0.05 * (per - c.Usual)
		return c
	}
	c.Over++
	if c.Over >= 2 || per >= costFar*limit {
		c.Stopped = true
		c.Reason = fmt.Sprintf("page_cost %.1f rows examined per row >= %.1f: %d examined for %d", per, limit, examined, rows)
	}
	return c
}

// Queryer is one connection: the counters are a session's.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// RowsExamined is the number of rows that the session has examined so far: those that its handlers returned and those that
// the storage engine dropped by a condition pushed down to the index. Taken before and after statements it is what they
// examined. A reading costs 0.4 ms of the server, as much as a third of a page of 400 rows. MySQL does not count what is
// dropped by a pushed condition: there the time per row (PageTime) is what finds such a scan.
func RowsExamined(ctx context.Context, q Queryer) (int64, error) {
	rows, err := q.QueryContext(ctx, "SHOW SESSION STATUS LIKE 'Handler%'")
	if err != nil {
		return 0, fmt.Errorf("read handler counters: %w", err)
	}
	defer func() { _ = rows.Close() }()
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
		case "Handler_icp_match": // these were returned, and counted there
			sum -= n
		}
	}
	return sum, rows.Err()
}

// CostMeter measures statements on one connection. Begin and End may be a page apart or many; one meter may go on with
// further pages, and then reads the counters once before each and once after.
type CostMeter struct {
	before int64
	own    int64 // what a reading itself adds to the counters: nothing on MariaDB, its temporary table on MySQL
	known  bool
}

// Begin reads the counters before a statement; the first time twice, for the difference is what reading them adds.
func (m *CostMeter) Begin(ctx context.Context, q Queryer) (err error) {
	if m.before, err = RowsExamined(ctx, q); err != nil || m.known {
		return err
	}
	first := m.before
	if m.before, err = RowsExamined(ctx, q); err == nil {
		m.own, m.known = m.before-first, true
	}
	return err
}

// End is the rows that were examined since Begin.
func (m *CostMeter) End(ctx context.Context, q Queryer) (int64, error) {
	after, err := RowsExamined(ctx, q)
	return max(after-m.before-m.own, 0), err
}
