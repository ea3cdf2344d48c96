package refresh

import (
	"strings"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/source"
)

// Dataset is a dataset on its live source, as far as changes concern it.
type Dataset interface {
	load.Live
	CheckShop(id string) error
	ReadsTable(schema, name string) bool
	ShopTold(schema, table string, told source.Told) (shop string, ok bool)
	RowTold(told source.Told) (cursor string, ok bool)
	KeyTold(shop string, told source.Told) (key string, ok bool)
	KeyBeyondRow() bool
}

// cachedKey begins the name of a row that is known by its key in the cache only: a cursor begins with a bracket.
const cachedKey = "!"

// Why a change needs nothing.
const (
	whyUnknown = "no dataset is read from it"
	whyCold    = "the shop is not in the cache"
	whyOff     = "the shop is switched off"
	whyLeft    = "the shop was warmed without the dataset"
	whyNoShop  = "it does not say which shop"
	whyBadShop = "there can be no such shop"
	whyBadKey  = "the key does not fit the dataset"
)

// resolve is pure: which rows of which datasets a change is about. An empty shop is every shop. why is set if there is none.
func resolve(datasets []Dataset, c change.Change) (rows []ledger.Pending, why string) {
	why = whyUnknown
	for _, d := range datasets {
		if !concerns(d, c) {
			continue
		}
		some, reason := ofDataset(d, c)
		if reason != "" {
			why = reason
		}
		rows = append(rows, some...)
	}
	if len(rows) > 0 {
		why = ""
	}
	return rows, why
}

func concerns(d Dataset, c change.Change) bool {
	return c.Dataset == d.Spec().Name || c.Dataset == "" && d.ReadsTable(c.Database, c.Table)
}

func ofDataset(d Dataset, c change.Change) (rows []ledger.Pending, why string) {
	found := map[ledger.Pending]bool{}
	add := func(shop, row string) {
		p := ledger.Pending{ShopID: shop, Dataset: d.Spec().Name, RowKey: row, Urgent: c.Urgent()}
		if utf8.RuneCountInString(row) > ledger.MaxRowKey {
			p.RowKey = ""
		}
		if !found[p] {
			found[p] = true
			rows = append(rows, p)
		}
	}
	images := []change.Row{c.Before, c.After}
	if c.Before == nil && c.After == nil {
		images = []change.Row{{}}
	}
	for _, image := range images {
		if image == nil {
			continue
		}
		told := toldBy(image)
		shop, reason := shopOf(d, c, told)
		if reason != "" {
			return nil, reason
		}
		row, ok := rowOf(d, c, told)
		if !ok {
			return nil, whyBadKey
		}
		add(shop, row)
		if shop == "" || d.Spec().Paged() && !d.KeyBeyondRow() {
			continue
		}
		// The row may have left this key, and what is read again does not tell.
		if key, ok := d.KeyTold(shop, withShop(told, d.Spec().Shop, shop)); ok && d.Encoder().PerRow() {
			add(shop, cachedKey+key)
		}
	}
	return rows, ""
}

// shopOf is the shop that a change is about; empty: all, as of a table that a query joins.
func shopOf(d Dataset, c change.Change, told source.Told) (shop, why string) {
	if c.Shop != "" {
		if d.CheckShop(c.Shop) != nil {
			return "", whyBadShop
		}
		return c.Shop, ""
	}
	if c.Dataset == "" {
		shop, _ = d.ShopTold(c.Database, c.Table, told)
	} else if column := d.Spec().Shop; column != "" {
		shop, _ = told(column)
		if shop != "" && d.CheckShop(shop) != nil {
			return "", whyBadShop
		}
	}
	if shop == "" && d.Spec().Paged() && c.Op != change.Refresh {
		return "", whyNoShop
	}
	return shop, ""
}

// rowOf is the cursor of the row that a change is about; empty: all of the shop's dataset.
func rowOf(d Dataset, c change.Change, told source.Told) (row string, ok bool) {
	if !d.Spec().Paged() {
		return "", true
	}
	by := d.Spec().By
	if c.Key != nil {
		if len(c.Key) != len(by) {
			return "", false
		}
		return d.RowTold(func(column string) (string, bool) {
			for i, name := range by {
				if strings.EqualFold(name, column) {
					return c.Key[i], true
				}
			}
			return "", false
		})
	}
	row, _ = d.RowTold(told)
	return row, true
}

// toldBy looks columns up as MySQL does, whatever their capitals.
func toldBy(r change.Row) source.Told {
	return func(column string) (string, bool) {
		v, ok := r[column]
		if !ok {
			for name, value := range r {
				if strings.EqualFold(name, column) {
					v = value
					break
				}
			}
		}
		if v == nil {
			return "", false
		}
		return *v, true
	}
}

func withShop(told source.Told, column, shop string) source.Told {
	return func(name string) (string, bool) {
		if column != "" && strings.EqualFold(name, column) {
			return shop, true
		}
		return told(name)
	}
}
