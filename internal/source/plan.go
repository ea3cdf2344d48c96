package source

import (
	"context"
	"database/sql"
	"errors"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// PlanReport is how the database runs a page in the middle of a shop.
type PlanReport struct {
	Index string // the one that is used; "" in the query form, which has no pages
	Range bool   // a range that begins at the cursor, without sorting; or there is too little to read for a plan to matter
	Text  string // the database's own words
}

const (
	// sampleRows is how far into a shop the plan is looked at.
	sampleRows = 1000
	// tinyRows are fewer than matter how they are read: of such a table MySQL reads the whole index.
	tinyRows = 100
)

// PlanCheck asks the database how it would run a page in the middle of the shop.
func (b *Bound) PlanCheck(ctx context.Context, shop string) (PlanReport, error) {
	arg, err := b.shopArg(shop)
	if err != nil || !b.spec.Paged() {
		return PlanReport{Range: true}, err
	}
	return b.plan(ctx, arg)
}

func (b *Bound) plan(ctx context.Context, shop any) (PlanReport, error) {
	s := b.scan(shop)
	s.Select, s.Where, s.Limit = b.selects, b.spec.Where, sampleRows
	n, err := b.count(ctx, shop, sampleRows)
	if err != nil {
		return PlanReport{}, err
	}
	if n > 0 {
		if s.After, err = b.row(ctx, shop, (n+1)/2); err != nil {
			return PlanReport{}, err
		}
	}
	if n > 1 {
		if s.To, err = b.row(ctx, shop, n); err != nil {
			return PlanReport{}, err
		}
	}
	report, rows, err := b.explained(ctx, s)
	report.Range = report.Range || n == 0 || n < tinyRows && rows < tinyRows
	return report, err
}

// explained is also how many rows the database thinks that it has to look at.
func (b *Bound) explained(ctx context.Context, s Scan) (report PlanReport, rows int64, err error) {
	plan, err := b.src.dialect.Explain(ctx, b.src.db, s)
	if err != nil {
		return PlanReport{}, 0, b.errorf("explain a page", err)
	}
	return PlanReport{Index: b.index.Name, Range: plan.Range || plan.Empty, Text: plan.Text}, plan.Rows, nil
}

// row is the n-th row of a shop, as arguments.
func (b *Bound) row(ctx context.Context, shop any, n int64) ([]any, error) {
	cursor, _, err := b.along(ctx, shop, nil, n, false)
	if err != nil {
		return nil, err
	}
	return b.args(cursor)
}

// checkPlan looks at the plan for a shop that the table has, and with that tries `where`.
func (b *Bound) checkPlan(ctx context.Context) error {
	shop, err := b.anyShop(ctx)
	if err != nil {
		return err
	}
	report, err := b.plan(ctx, shop)
	if err != nil && b.spec.Where != "" && Definitive(err) {
		return b.spec.Err("where", "write a condition as after WHERE, on columns of the table", "%v", errors.Unwrap(err))
	}
	if err != nil {
		return err
	}
	if !report.Range {
		return b.spec.Err("by", b.Mend(),
			"a page is not read as a range on index %s (%s), so each would begin at the shop's first row", report.Index, report.Text)
	}
	return nil
}

// anyShop is the id of some shop in the table, as an argument; of none, a value that is in no row.
func (b *Bound) anyShop(ctx context.Context) (any, error) {
	name := b.src.dialect.Quote(b.shop.Name)
	var text sql.NullString
	err := b.src.db.QueryRowContext(ctx, "SELECT "+name+" FROM "+b.src.tableSQL(b.table)+" WHERE "+name+" IS NOT NULL LIMIT 1").Scan(&text)
	switch {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return nil, b.errorf("look for a shop", err)
	case !text.Valid && b.shop.Kind == dataset.KindInt:
		return int64(0), nil
	}
	return bind(b.shop, text.String)
}
