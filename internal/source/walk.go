package source

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"time"
)

// Walk has one stride along an index done: step passes entries of it, no more than most, and says how long the server took. It may wait before it.
type Walk func(ctx context.Context, most int64, step func(entries int64) (time.Duration, error)) error

// plainStride is how many entries a statement passes when nobody says.
const plainStride = 1000

func plainWalk(_ context.Context, most int64, step func(entries int64) (time.Duration, error)) error {
	_, err := step(min(most, plainStride))
	return err
}

// Walking is the dataset whose indexes are walked along as walk says: for Split and Count.
func (b *Bound) Walking(walk Walk) *Bound {
	walking := *b
	walking.walk = walk
	return &walking
}

// along goes n entries along a shop's index, upwards from the one behind from or downwards from it, and says how many there were. There it is at
// the n-th entry, or going down at the one behind that; "": there are no more. The live load waits for the rest of a
// statement that it meets, so that a shop of ten million rows is not passed by statements of ten thousand.
func (b *Bound) along(ctx context.Context, shop any, from []any, n int64, down bool) (there string, passed int64, err error) {
	walk := b.walk
	if walk == nil {
		walk = plainWalk
	}
	for passed < n {
		var all bool
		err := walk(ctx, n-passed, func(entries int64) (time.Duration, error) {
			entries = min(max(entries, 1), n-passed)
			var took time.Duration
			var err error
			if there, took, err = b.hop(ctx, shop, from, entries, down); err != nil {
				return took, err
			}
			if all = there == ""; all {
				entries, err = b.left(ctx, shop, from, entries, down)
			}
			passed += entries
			return took, err
		})
		if err != nil || all {
			return "", passed, err
		}
		if from, err = b.args(there); err != nil {
			return "", passed, err
		}
	}
	return there, passed, nil
}

// hop passes n entries with one statement; "": there are fewer, or going down no more.
func (b *Bound) hop(ctx context.Context, shop any, from []any, n int64, down bool) (there string, took time.Duration, err error) {
	s := b.scan(shop)
	s.After, s.Limit, s.Offset = from, 1, n-1
	if down {
		s.After, s.To, s.Offset, s.Down = nil, from, n, true
	}
	for _, c := range b.by {
		s.Select = append(s.Select, b.src.dialect.Select(c))
	}
	took, err = b.pass(ctx, "walk along the index", s, len(b.by), func(row []sql.RawBytes) (err error) {
		there, err = b.cursor(row)
		return err
	})
	return there, took, err
}

// left counts the entries that are left, but not more than most.
func (b *Bound) left(ctx context.Context, shop any, from []any, most int64, down bool) (n int64, err error) {
	s := b.scan(shop)
	s.After, s.Limit, s.Total = from, most, true
	if down {
		s.After, s.To, s.Down = nil, from, true
	}
	_, err = b.pass(ctx, "count rows", s, 1, func(row []sql.RawBytes) (err error) {
		n, err = strconv.ParseInt(string(row[0]), 10, 64)
		return err
	})
	return n, err
}

// pass runs a statement of one row, or none.
func (b *Bound) pass(ctx context.Context, verb string, s Scan, width int, visit func(row []sql.RawBytes) error) (time.Duration, error) {
	query, args := b.src.dialect.Scan(s)
	v := visiting{width: width, again: true, check: func([]string) error { return nil }, visit: func(row []sql.RawBytes) (bool, error) { return true, visit(row) }}
	began := time.Now()
	err := v.anywhere(ctx, b.src.db, query, args)
	took := time.Since(began)
	if v.failed != nil {
		return took, v.failed
	}
	if v.took > 0 {
		took = min(took, v.took)
	}
	return took, b.errorf(verb, err)
}

// count counts a shop's rows, but not beyond upTo; 0 counts all.
func (b *Bound) count(ctx context.Context, shop any, upTo int64) (n int64, err error) {
	if upTo == 0 {
		upTo = math.MaxInt64
	}
	_, n, err = b.along(ctx, shop, nil, upTo, false)
	return n, err
}
