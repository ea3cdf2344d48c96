package source

import (
	"context"
	"database/sql"
)

// MeasurePage is ReadPage, and how many rows the database has examined for the page. The session's counters are read
// before and after it, which costs the server about as much as the page itself. ErrNotCounted: the database does not
// count; nothing was read.
func (b *Bound) MeasurePage(ctx context.Context, shop, after, to string, limit int, visit Visit) (Page, int64, error) {
	conn := b.session
	if conn == nil {
		var err error
		if conn, err = b.src.db.Conn(ctx); err != nil {
			return Page{}, 0, b.errorf("connect", err)
		}
		defer conn.Close()
	}
	own, err := b.src.ownReading(ctx, conn)
	if err != nil {
		return Page{}, 0, b.errorf("count rows", err)
	}
	before, err := b.src.dialect.Examined(ctx, conn)
	if err != nil {
		return Page{}, 0, b.errorf("count rows", err)
	}
	page, err := b.readPage(ctx, conn, Scan{Select: b.selects, Counted: true}, shop, after, to, limit, visit)
	if err != nil {
		return page, 0, err
	}
	examined, err := b.src.dialect.Examined(ctx, conn)
	return page, max(examined-before-own, 0), b.errorf("count rows", err)
}

// ownReading is what reading the counters adds to them: nothing on MariaDB, the lines of a table of its own on MySQL.
func (s *Source) ownReading(ctx context.Context, conn *sql.Conn) (int64, error) {
	if known := s.reading.Load(); known != nil {
		return *known, nil
	}
	first, err := s.dialect.Examined(ctx, conn)
	if err != nil {
		return 0, err
	}
	second, err := s.dialect.Examined(ctx, conn)
	if err != nil {
		return 0, err
	}
	own := second - first
	s.reading.Store(&own)
	return own, nil
}

// PagePlan is how the database would run the page that ReadPage reads with the same arguments.
func (b *Bound) PagePlan(ctx context.Context, shop, after, to string, limit int) (PlanReport, error) {
	s, err := b.pageScan(shop, after, to)
	if err != nil {
		return PlanReport{}, err
	}
	s.Select, s.Limit = b.selects, int64(max(limit, 1))
	report, _, err := b.explained(ctx, s)
	return report, err
}

// Mend says what to do when pages are not read as ranges, as one who may change the database would.
func (b *Bound) Mend() string {
	return "run ANALYZE TABLE " + b.src.tableSQL(b.table) + "; if that does not help, run CREATE INDEX " + b.indexSQL("")
}
