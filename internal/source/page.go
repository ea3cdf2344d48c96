package source

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Visit is called for every row. The row holds the columns that the Encoder was compiled for; it is valid until Visit
// returns, and a nil value is NULL. With more false no further row is visited; this one counts.
type Visit func(row []sql.RawBytes) (more bool, err error)

// Page is what was read.
type Page struct {
	Rows int           // visited
	Last string        // cursor of the last row that was visited; "" if there was none
	Done bool          // there was nothing behind the last row visited, up to the end of the range
	Took time.Duration // from the statement until the system had the answer, whether or not we had a processor to look at it; 0: it is not known
}

// ReadPage visits up to limit rows of (after, to] in the order of `by`. An error of visit ends the page and is returned as
// it is.
func (b *Bound) ReadPage(ctx context.Context, shop, after, to string, limit int, visit Visit) (Page, error) {
	return b.readPage(ctx, b.session, Scan{Select: b.selects}, shop, after, to, limit, visit)
}

// ReadKeys is ReadPage for those who need keys alone: columns that are not in the key are NULL.
func (b *Bound) ReadKeys(ctx context.Context, shop, after, to string, limit int, visit Visit) (Page, error) {
	return b.readPage(ctx, nil, Scan{Select: b.keys}, shop, after, to, limit, visit)
}

// readPage reads with what like has of Select and Counted.
func (b *Bound) readPage(ctx context.Context, on *sql.Conn, like Scan, shop, after, to string, limit int, visit Visit) (Page, error) {
	var page Page
	s, err := b.pageScan(shop, after, to)
	if err != nil {
		return page, err
	}
	s.Select, s.Counted, s.Limit = like.Select, like.Counted, int64(max(limit, 1))
	query, args := b.src.dialect.Scan(s)
	last := make([]sql.RawBytes, len(b.by))
	how, err := b.each(ctx, on, true, query, args, func(row []sql.RawBytes) (bool, error) {
		more, err := visit(row)
		if err != nil {
			return false, err
		}
		page.Rows++
		for i, at := range b.byAt {
			last[i] = append(last[i][:0], row[at]...) // the row is gone when the next one is read
		}
		return more, nil
	})
	if page.Rows > 0 {
		var cursorErr error
		if page.Last, cursorErr = b.cursor(last); cursorErr != nil {
			return page, cursorErr
		}
	}
	page.Took = how.took
	page.Done = err == nil && !how.stopped && int64(page.Rows) < s.Limit
	return page, err
}

// ReadAll visits the rows of a query form, in the order of the query.
func (b *Bound) ReadAll(ctx context.Context, shop string, visit Visit) error {
	if b.spec.Paged() {
		return fmt.Errorf("dataset %s is read in pages", b.spec.Name)
	}
	arg, err := b.shopArg(shop)
	if err != nil {
		return err
	}
	args := make([]any, b.query.Shops)
	for i := range args {
		args[i] = arg
	}
	_, err = b.each(ctx, nil, false, b.src.dialect.Query(b.query.With("?")), args, visit)
	return err
}

// pageScan is the statement of a page, without its columns and limit.
func (b *Bound) pageScan(shop, after, to string) (Scan, error) {
	if !b.spec.Paged() {
		return Scan{}, fmt.Errorf("dataset %s is not read in pages", b.spec.Name)
	}
	arg, err := b.shopArg(shop)
	if err != nil {
		return Scan{}, err
	}
	s := b.scan(arg)
	if s.After, err = b.args(after); err != nil {
		return Scan{}, err
	}
	if s.To, err = b.args(to); err != nil {
		return Scan{}, err
	}
	if s.Parts, err = b.spans(); err != nil {
		return Scan{}, err
	}
	s.Where = b.spec.Where
	return s, nil
}

// rowBuffer is a row and what Scan takes to fill it.
func rowBuffer(width int) (row []sql.RawBytes, into []any) {
	row, into = make([]sql.RawBytes, width), make([]any, width)
	for i := range row {
		into[i] = &row[i]
	}
	return row, into
}
