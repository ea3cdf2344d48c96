package source

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// chooseChanged finds the index to look for changed rows by. Without one, every look would read all of the shop: that is refused
// if refresh is asked for, and otherwise nobody looks (NotRefreshed).
func (b *Bound) chooseChanged() error {
	if b.spec.ChangedAt == "" || b.spec.Refreshed().Off {
		return nil
	}
	if b.changed.Kind != dataset.KindTime && (b.changed.Kind != dataset.KindInt || b.spec.Refresh == nil) {
		if b.spec.Refresh == nil {
			return nil // it is a version, and not a time
		}
		return b.spec.Err("changed_at", "use a DATETIME, TIMESTAMP or integer column, or refresh: {off: true}", "column %s is %s", b.changed.Name, b.changed.Type)
	}
	want := []string{b.spec.Shop, b.spec.ChangedAt}
	for i := range b.table.Indexes {
		if x := &b.table.Indexes[i]; len(x.Order) >= len(want) && slices.EqualFunc(x.Order[:len(want)], want, strings.EqualFold) {
			b.changedIndex = x
			return nil
		}
	}
	q := b.src.dialect.Quote
	err := b.spec.Err("changed_at", fmt.Sprintf("run CREATE INDEX %s ON %s (%s, %s), or write refresh: {off: true}",
		q("prewarm_"+b.spec.Name+"_changed"), b.src.tableSQL(b.table), q(b.spec.Shop), q(b.spec.ChangedAt)),
		"no index of table %s begins with (%s), so that looking for changed rows would read the whole shop", b.spec.Table, strings.Join(want, ", "))
	if b.spec.Refresh == nil {
		b.notRefreshed = err
		return nil
	}
	return err
}

// NotRefreshed says why changed rows are not looked for although changed_at is given, and what to do; nil if they are, or
// nobody wants it.
func (b *Bound) NotRefreshed() error { return b.notRefreshed }

// FindsChanged says whether changed rows can be looked for.
func (b *Bound) FindsChanged() bool { return b.changedIndex != nil }

// Mark is from where on a later look must begin to find every row that changes from now on, as a value of changed_at: its
// newest, or the database's clock if that is behind it, less the overlap. asOf is the database's clock before.
//
// The newest value and not the clock, because applications may write times in a zone of their own; and not beyond the clock,
// because a single row from the future would hide all changes until then.
func (b *Bound) Mark(ctx context.Context, shop string) (mark string, asOf time.Time, err error) {
	arg, err := b.shopArg(shop)
	if err != nil {
		return "", time.Time{}, err
	}
	if asOf, err = b.Now(ctx); err != nil || b.changedIndex == nil {
		return "", asOf, err
	}
	q := b.src.dialect.Quote
	var newest sql.NullString
	err = b.src.db.QueryRowContext(ctx, "SELECT MAX("+q(b.changed.Name)+") FROM "+b.src.tableSQL(b.table)+" WHERE "+q(b.shop.Name)+" = ?", arg).Scan(&newest)
	if err != nil {
		return "", time.Time{}, b.errorf("look for the newest change", err)
	}
	return markOf(b.changed.Kind, newest.String, asOf, b.spec.Refreshed().Overlap), asOf, nil
}

// beginning is less than any time.
const beginning = "0001-01-01 00:00:00"

// markOf is pure. Without a newest value everything is to be found.
func markOf(kind dataset.Kind, newest string, now time.Time, overlap time.Duration) string {
	if kind == dataset.KindInt {
		n, err := strconv.ParseInt(newest, 10, 64)
		if err != nil {
			return "-1"
		}
		unit := time.Second // by the magnitude: seconds, ms or µs since 1970
		for unit > time.Microsecond && n > 100_000_000_000*int64(time.Second/unit) {
			unit /= 1000
		}
		return strconv.FormatInt(min(n, now.UnixMicro()/unit.Microseconds())-int64(overlap/unit), 10)
	}
	for _, form := range []string{"2006-01-02 15:04:05.999999", "2006-01-02"} {
		at, err := time.Parse(form, newest)
		if err != nil {
			continue
		}
		if now.Before(at) {
			at = now
		}
		return at.UTC().Add(-overlap).Format("2006-01-02 15:04:05.000000")
	}
	return beginning
}

// changedAtOnce is how many changed rows one statement finds.
const changedAtOnce = 1000

// Changed hands over the cursors of a shop's rows that changed after a mark, whether they meet `where` or not. Rows without
// a time are not found.
func (b *Bound) Changed(ctx context.Context, shop, mark string, visit func(rows []string) error) error {
	arg, err := b.shopArg(shop)
	if err != nil {
		return err
	}
	if b.changedIndex == nil {
		return fmt.Errorf("dataset %s: changed rows cannot be looked for", b.spec.Name)
	}
	s := Scan{Table: b.table, Index: *b.changedIndex, Shop: b.shop, By: append([]Column{b.changed}, b.by...), ShopArg: arg, Limit: changedAtOnce}
	for _, c := range s.By {
		s.Select = append(s.Select, b.src.dialect.Select(c))
	}
	first, err := bind(b.changed, mark)
	if err != nil {
		return b.errorf("look for changed rows", err)
	}
	for s.After = []any{first}; ; {
		rows, last, err := b.changedPage(ctx, s)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			if err := visit(rows); err != nil {
				return err
			}
		}
		if len(rows) < changedAtOnce {
			return nil
		}
		s.After = last
	}
}

// changedPage reads one page of Changed: the rows' cursors, and what comes after the last of them.
func (b *Bound) changedPage(ctx context.Context, s Scan) (cursors []string, last []any, err error) {
	query, args := b.src.dialect.Scan(s)
	rows, err := b.src.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, b.errorf("look for changed rows", err)
	}
	defer rows.Close()
	row, into := rowBuffer(len(s.By))
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, nil, b.errorf("look for changed rows", err)
		}
		cursor, err := b.cursor(row[1:])
		if err != nil {
			return nil, nil, err
		}
		cursors = append(cursors, cursor)
		if len(cursors) < changedAtOnce {
			continue
		}
		at, err := bind(b.changed, string(row[0]))
		if err != nil {
			return nil, nil, b.errorf("look for changed rows", err)
		}
		if last, err = b.args(cursor); err != nil {
			return nil, nil, err
		}
		last = append([]any{at}, last...)
	}
	return cursors, last, b.errorf("look for changed rows", rows.Err())
}
