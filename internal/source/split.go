package source

import "context"

// Range is a part of a shop's rows, (From, To] in the order of `by`: cursors; From "" is the beginning, To "" is
// open-ended.
type Range struct {
	From string
	To   string
	Rows int64 // when it was split, `where` aside
}

// Split cuts the shop's rows into ranges of unitRows and hands them over as they are found. Together the ranges are all
// there is and will be: the first begins before any row, and the last is open-ended, so that rows that come later belong
// to one. No range is empty unless the shop is; then there is one. In the query form there is always one.
//
// Only the index is read, about unitRows entries per statement.
func (b *Bound) Split(ctx context.Context, shop string, unitRows int, yield func(Range) error) error {
	arg, err := b.shopArg(shop)
	if err != nil {
		return err
	}
	if !b.spec.Paged() {
		n, err := b.Count(ctx, shop, 0)
		if err != nil {
			return err
		}
		return yield(Range{Rows: n})
	}
	full := int64(max(unitRows, 1))
	last := Range{} // found, but it may be the open-ended one
	for {
		after, err := b.args(last.To)
		if err != nil {
			return err
		}
		end, err := b.hop(ctx, arg, after, full)
		if err != nil {
			return err
		}
		next := Range{From: last.To, To: end, Rows: full}
		if end == "" {
			if next.Rows, err = b.count(ctx, arg, after, full); err != nil {
				return err
			}
		}
		if next.Rows == 0 {
			return yield(Range{From: last.From, Rows: last.Rows}) // the last full one was the last of all
		}
		if last.Rows > 0 {
			if err := yield(last); err != nil {
				return err
			}
		}
		if end == "" {
			return yield(next)
		}
		last = next
	}
}

// hop finds the n-th row beyond after; "" if there are fewer.
func (b *Bound) hop(ctx context.Context, shop any, after []any, n int64) (string, error) {
	s := b.scan(shop)
	for _, c := range b.by {
		s.Select = append(s.Select, b.src.dialect.Select(c))
	}
	s.After, s.Limit, s.Offset = after, 1, n-1
	query, args := b.src.dialect.Scan(s)
	rows, err := b.src.db.QueryContext(ctx, query, args...)
	if err != nil {
		return "", b.errorf("split shop", err)
	}
	defer rows.Close()
	if !rows.Next() {
		return "", b.errorf("split shop", rows.Err())
	}
	row, into := rowBuffer(len(b.by))
	if err := rows.Scan(into...); err != nil {
		return "", b.errorf("split shop", err)
	}
	return b.cursor(row)
}
