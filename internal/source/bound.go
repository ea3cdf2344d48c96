package source

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// Bound is a dataset that has been checked against its database and can be read. It may be used by many goroutines.
type Bound struct {
	src     *Source
	spec    dataset.Spec
	encoder *dataset.Encoder
	shops   []Column  // what shop ids are compared with; all integers, or all text
	width   int       // columns in a row
	session *sql.Conn // that pages are read on; nil: any

	// Table form.
	table   *Table
	index   Index
	shop    Column
	by      []Column
	byAt    []int    // where in a row `by` is
	selects []string // expressions, one per column of a row
	keys    []string // the same, but NULL for columns that are not in the key

	walk   Walk   // nil: plainWalk
	parts  []Part // of which rows are read; nil: all
	window Column // of `window`

	changed      Column // changed_at
	notRefreshed error
	changedIndex *Index // to find changed rows by; nil: they are not looked for

	// Query form.
	query     *dataset.Query
	spellings []string // statements that read a text shop id as the database spells it
}

// Spec is the declaration, with defaults filled in.
func (b *Bound) Spec() dataset.Spec { return b.spec }

// Source is where it is read from.
func (b *Bound) Source() *Source { return b.src }

// Encoder encodes the rows that ReadPage and ReadAll visit.
func (b *Bound) Encoder() *dataset.Encoder { return b.encoder }

// Now is the database's clock.
func (b *Bound) Now(ctx context.Context) (time.Time, error) { return b.src.Now(ctx) }

// scan is a scan of all of a shop's rows.
func (b *Bound) scan(shop any) Scan {
	return Scan{Table: b.table, Index: b.index, Shop: b.shop, By: b.by, ShopArg: shop}
}

func (b *Bound) errorf(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dataset %s: %s from source %s: %w", b.spec.Name, verb, b.src.name, err)
}
