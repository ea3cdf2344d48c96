package source

import (
	"context"
	"slices"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

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
// With most > 0, and if there are more rows than that, they are the first most of the dataset's order: of `order: newest` the
// ranges begin behind the row before the last most, and otherwise they end with the row of that number. Rows that come later
// beyond that bound belong to none. In the query form it has no meaning.
//
// Only the index is read, as Walking says.
func (b *Bound) Split(ctx context.Context, shop string, unitRows int, most int64, yield func(Range) error) error {
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
	if most > 0 && b.spec.Order == dataset.OrderNewest {
		return b.splitNewest(ctx, arg, full, most, yield)
	}
	last := Range{} // found, but it may be the open-ended one
	for found := int64(0); ; {
		after, err := b.args(last.To)
		if err != nil {
			return err
		}
		if most > 0 && found >= most {
			return b.splitEnd(ctx, arg, last, after, yield)
		}
		want := full
		if most > 0 {
			want = min(full, most-found)
		}
		end, rows, err := b.along(ctx, arg, after, want, false)
		if err != nil {
			return err
		}
		next := Range{From: last.To, To: end, Rows: rows}
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
		last, found = next, found+next.Rows
	}
}

// splitEnd hands over the last range of a shop of which no more rows are wanted: open-ended if there are no more.
func (b *Bound) splitEnd(ctx context.Context, shop any, last Range, after []any, yield func(Range) error) error {
	more, _, err := b.hop(ctx, shop, after, 1, false)
	if err != nil {
		return err
	}
	if more == "" {
		last.To = ""
	}
	return yield(last)
}

// splitNewest is Split from the last row down, until there are most rows.
func (b *Bound) splitNewest(ctx context.Context, shop any, full, most int64, yield func(Range) error) error {
	var all []Range // from the newest
	for to, found := "", int64(0); found < most; {
		upTo, err := b.args(to)
		if err != nil {
			return err
		}
		want := min(full, most-found)
		from, rows, err := b.along(ctx, shop, upTo, want, true)
		if err != nil {
			return err
		}
		all = append(all, Range{From: from, To: to, Rows: rows})
		if from == "" {
			break
		}
		to, found = from, found+want
	}
	for _, r := range slices.Backward(all) {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}
