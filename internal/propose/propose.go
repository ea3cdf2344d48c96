package propose

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
)

// A table is big, and read in pages, if a shop may have this many rows in it. Fewer are read whole, and become one value.
const bigShop = 200

// scanned is how many rows a table without an index on the shop's column may have to be read whole for every shop.
const scanned = 10_000

// Dataset is what is proposed for a table.
type Dataset struct {
	Spec     dataset.Spec
	Table    string
	Rows     int64    // of the table, about
	Withheld []string // columns that were left out: secrets, binary data, names that cannot be used
	Personal []string // columns of the value that look like what is nobody's business
	Note     string
}

// LeftOut is a table that nothing is proposed for.
type LeftOut struct {
	Table  string `json:"table"`
	Why    string `json:"why"`
	Remedy string `json:"remedy,omitempty"`
}

// ForTable proposes a dataset. largest is how many rows the shop with the most has; taken are the names of other datasets.
func ForTable(t source.Listed, o Owners, largest int64, taken []string) (Dataset, *LeftOut) {
	shop := o.Of[t.Name]
	switch {
	case t.View:
		return Dataset{}, &LeftOut{t.Name, "is a view", "write a query over it, if shops need it"}
	case shop == "":
		return Dataset{}, &LeftOut{t.Name, "has no column of the shop", "write a query that joins it with a table that has, if shops need it"}
	}
	d := Dataset{Table: t.Name, Rows: t.Rows, Spec: dataset.Spec{Name: name(t.Name, taken)}}
	if t.Name == o.Root || uniqueBy(t, []string{shop}) {
		return one(d, t, shop), nil
	}
	big := t.Rows >= source.CountedRows || largest >= bigShop
	by, pageable := pagedBy(t, shop)
	switch {
	case big && pageable:
		return paged(d, t, shop, by), nil
	case big:
		return Dataset{}, &LeftOut{t.Name, fmt.Sprintf("is big (%d rows), and no index leads from %s to what makes a row unique", t.Rows, shop), indexFor(t, shop)}
	case !leads(t, shop) && t.Rows > scanned:
		return Dataset{}, &LeftOut{t.Name, fmt.Sprintf("has %d rows and no index that begins with %s", t.Rows, shop), indexFor(t, shop)}
	}
	return whole(d, t, shop), nil
}

// one is a table with one row per shop.
func one(d Dataset, t source.Listed, shop string) Dataset {
	columns := d.columns(t, true)
	d.Spec.Query = "SELECT " + selects(columns) + " FROM " + quote(t.Name) + " WHERE " + quote(shop) + " = :shop"
	d.Spec.Key, d.Spec.Value = d.Spec.Name+":{shop}", dataset.ValueJSON
	d.Spec.ChangedAt = changedAt(t, columns)
	return d
}

// whole is a small table: all rows of a shop become one value.
func whole(d Dataset, t source.Listed, shop string) Dataset {
	columns := d.columns(t, true)
	d.Spec.Query = "SELECT " + selects(columns) + " FROM " + quote(t.Name) + " WHERE " + quote(shop) + " = :shop"
	if live := notDeleted(t); live != "" {
		d.Spec.Query += " AND " + live
	}
	if order := orderOf(t, shop); order != "" {
		d.Spec.Query += " ORDER BY " + order
	}
	d.Spec.Key, d.Spec.Value = d.Spec.Name+":{shop}", dataset.ValueJSONArray
	if !leads(t, shop) {
		d.Note = "no index begins with " + shop + ": every shop reads the whole table"
	}
	return d
}

// paged is a big table.
func paged(d Dataset, t source.Listed, shop string, by []string) Dataset {
	columns := d.columns(t, false)
	d.Spec.Table, d.Spec.Shop, d.Spec.By = t.Name, shop, by
	for _, c := range columns {
		d.Spec.Columns = append(d.Spec.Columns, c.Name)
	}
	d.Spec.Where = notDeleted(t)
	d.Spec.Key = d.Spec.Name + ":{shop}"
	for _, c := range by {
		d.Spec.Key += ":{" + c + "}"
	}
	d.Spec.Value = dataset.ValueJSON
	d.Spec.ChangedAt = changedAt(t, columns)
	return d
}

// pagedBy is the shortest row of columns behind the shop's in an index that makes a row unique and can hold a cursor.
func pagedBy(t source.Listed, shop string) (by []string, ok bool) {
	best := func(i source.Index) {
		for n := 1; n < len(i.Order) && strings.EqualFold(i.Order[0], shop); n++ {
			if next := i.Order[1 : n+1]; canPage(t, shop, next) && (by == nil || n < len(by)) {
				by = next
				return
			}
		}
	}
	for _, i := range t.Indexes { // the primary key first: it holds the rows themselves
		if i.Name == "PRIMARY" {
			best(i)
		}
	}
	for _, i := range t.Indexes {
		best(i)
	}
	return by, by != nil
}

func canPage(t source.Listed, shop string, by []string) bool {
	for _, name := range by {
		c := column(t, name)
		if c.Nullable || !c.Sortable || !usable.MatchString(name) {
			return false
		}
	}
	return usable.MatchString(shop) && uniqueBy(t, append([]string{shop}, by...))
}

// uniqueBy says whether a unique index proves that no two rows agree in all of the columns.
func uniqueBy(t source.Listed, columns []string) bool {
	return slices.ContainsFunc(t.Indexes, func(i source.Index) bool {
		return i.Unique && len(i.Key) > 0 && !slices.ContainsFunc(i.Key, func(c string) bool {
			return column(t, c).Nullable || !slices.ContainsFunc(columns, func(o string) bool { return strings.EqualFold(o, c) })
		})
	})
}

// indexFor is the index that would help.
func indexFor(t source.Listed, shop string) string {
	order := []string{quote(shop)}
	for _, i := range t.Indexes {
		for _, c := range i.Key {
			if i.Name == "PRIMARY" && !strings.EqualFold(c, shop) {
				order = append(order, quote(c))
			}
		}
	}
	if len(order) == 1 && !uniqueBy(t, []string{shop}) {
		return "give it a primary key, and an index that begins with " + shop
	}
	return "run CREATE INDEX prewarm_shop ON " + quote(t.Name) + " (" + strings.Join(order, ", ") + ") and try again"
}

// usable are names that a key and a list of columns can hold.
var usable = regexp.MustCompile(`^[\p{L}\p{N}_$-]+$`)

// secret are columns that should not be copied anywhere without a thought.
var secret = regexp.MustCompile(`(?i)passw|pwd|secret|token|salt$|private_?key|api_?key|credential|^otp|_otp|cvv|card_?(no|num)|id_?card|ssn`)

// personal are columns that many who read a cache have no need to see.
var personal = regexp.MustCompile(`(?i)phone|mobile|^tel$|_tel$|e_?mail|passport|real_?name|birth|address|wechat|open_?id|union_?id`)

// columns are those that the value holds. anyName: they are read by a query, which quotes them.
func (d *Dataset) columns(t source.Listed, anyName bool) []source.Column {
	var all []source.Column
	for _, c := range t.Columns {
		bytes := c.Kind == dataset.KindBinary && !c.Sortable
		if secret.MatchString(c.Name) || bytes || !anyName && !usable.MatchString(c.Name) {
			d.Withheld = append(d.Withheld, c.Name)
			continue
		}
		if personal.MatchString(c.Name) && usable.MatchString(c.Name) && !slices.ContainsFunc(t.Indexes, func(i source.Index) bool { return slices.Contains(i.Key, c.Name) && i.Unique }) {
			d.Personal = append(d.Personal, c.Name)
		}
		all = append(all, c)
	}
	return all
}

// selects is a query's list of columns. MySQL's text form of a FLOAT has six digits; computed with, it has all.
func selects(columns []source.Column) string {
	var all []string
	for _, c := range columns {
		expr := quote(c.Name)
		if strings.HasPrefix(strings.ToLower(c.Type), "float") {
			expr += " + 0e0 AS " + expr
		}
		all = append(all, expr)
	}
	return strings.Join(all, ", ")
}

// orderOf is the primary key without the shop, so that a value is the same each time.
func orderOf(t source.Listed, shop string) string {
	var order []string
	for _, i := range t.Indexes {
		for _, c := range i.Key {
			if i.Name == "PRIMARY" && !strings.EqualFold(c, shop) {
				order = append(order, quote(c))
			}
		}
	}
	return strings.Join(order, ", ")
}

var (
	deletedWhen = []string{"deletedat", "deletetime", "deletedtime", "removedat", "gmtdeleted", "deletedon"}
	deletedFlag = []string{"isdeleted", "deleted", "isdelete", "isdel", "delflag", "deleteflag"}
	changed     = []string{"updatedat", "updatetime", "updatedtime", "modifiedat", "modifytime", "modifiedtime", "changedat", "gmtmodified",
		"lastmodified", "lastupdated", "updatedon", "modifiedon", "mtime", "updated", "modified"}
)

// notDeleted is the condition of a row that counts, if the table marks those that do not.
func notDeleted(t source.Listed) string {
	for _, c := range t.Columns {
		switch {
		case c.Kind == dataset.KindTime && c.Nullable && slices.Contains(deletedWhen, plain(c.Name)):
			return quote(c.Name) + " IS NULL"
		case c.Kind == dataset.KindInt && slices.Contains(deletedFlag, plain(c.Name)):
			return quote(c.Name) + " = 0"
		}
	}
	return ""
}

// changedAt is the column that says when a row changed: the one that the database keeps, or one that is called so.
func changedAt(t source.Listed, columns []source.Column) string {
	for _, c := range columns {
		if slices.Contains(t.OnUpdate, c.Name) && usable.MatchString(c.Name) {
			return c.Name
		}
	}
	for _, c := range columns {
		if c.Kind == dataset.KindTime && slices.Contains(changed, plain(c.Name)) && usable.MatchString(c.Name) {
			return c.Name
		}
	}
	return ""
}

func column(t source.Listed, name string) source.Column {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c
		}
	}
	return source.Column{}
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// longest is below the limit of a dataset's name, so that a number can be added.
const longest = 60

// name makes a dataset's name of a table's.
func name(table string, taken []string) string {
	n := strings.Trim(notInName.ReplaceAllString(strings.ToLower(table), "_"), "_")
	if n == "" || n[0] < 'a' || n[0] > 'z' {
		n = "t_" + n
	}
	n = strings.TrimRight(n[:min(len(n), longest)], "_")
	free := n
	for i := 2; slices.Contains(taken, free); i++ {
		free = fmt.Sprintf("%s_%d", n, i)
	}
	return free
}
