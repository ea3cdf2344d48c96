package dataset

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	datasetName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	plainName   = regexp.MustCompile(`^[\p{L}\p{N}_$-]+$`)
)

// maxName is the ledger's limit for a dataset's name.
const maxName = 64

// WrittenAs is Value with its default.
func (s Spec) WrittenAs() string {
	if s.Value == "" {
		return ValueJSON
	}
	return s.Value
}

// Validate says what is wrong with a declaration as far as that can be seen without the database: every finding at
// once, each a *SpecError.
func (s Spec) Validate() error {
	v := &validator{spec: s}
	v.name()
	switch {
	case s.Query == "" && s.Table == "":
		v.add("query", "give a query, or table, shop, by and columns", "is missing")
	case s.Query != "" && s.Table != "":
		v.add("table", "leave out one of them", "is given beside query")
	case s.Query != "":
		v.queryForm()
	default:
		v.tableForm()
	}
	v.value()
	v.write()
	v.hints()
	v.protection()
	v.refresh()
	v.window()
	return errors.Join(v.errs...)
}

type validator struct {
	spec Spec
	errs []error
}

func (v *validator) add(field, remedy, format string, args ...any) {
	v.errs = append(v.errs, v.spec.Err(field, remedy, format, args...))
}

func (v *validator) name() {
	switch n := v.spec.Name; {
	case n == "":
		v.add("name", "give it a name such as users", "is missing")
	case !datasetName.MatchString(n):
		v.add("name", "use small letters, digits and _, beginning with a letter", "cannot be %q", n)
	case len(n) > maxName:
		v.add("name", fmt.Sprintf("use at most %d characters", maxName), "is too long")
	}
}

func (v *validator) queryForm() {
	s := v.spec
	for _, f := range []struct {
		name  string
		given bool
	}{{"shop", s.Shop != ""}, {"by", len(s.By) > 0}, {"columns", len(s.Columns) > 0}, {"where", s.Where != ""}} {
		if f.given {
			v.add(f.name, "leave it out, or give table instead of query", "belongs to the table form")
		}
	}
	if _, err := ParseQuery(s.Query); err != nil {
		v.add("query", "write one SELECT with :shop for the shop's id", "%v", err)
	}
}

func (v *validator) tableForm() {
	s := v.spec
	parts := strings.Split(s.Table, ".")
	if len(parts) > 2 || slices.ContainsFunc(parts, func(p string) bool { return !plainName.MatchString(p) }) {
		v.add("table", "write table or schema.table, without quotes", "cannot be %q", s.Table)
	}
	if s.Shop == "" {
		v.add("shop", "name the column that holds the shop's id", "is missing")
	} else {
		v.names("shop", []string{s.Shop})
	}
	if len(s.By) == 0 {
		v.add("by", "name the column or columns that are unique within a shop", "is missing")
	}
	if len(s.Columns) == 0 {
		v.add("columns", "name the columns that the value holds", "is missing")
	}
	v.names("by", s.By)
	v.names("columns", s.Columns)
	if slices.ContainsFunc(s.By, func(c string) bool { return strings.EqualFold(c, s.Shop) }) {
		v.add("by", "leave it out", "contains %s, which is the shop's column", s.Shop)
	}
	if s.Where != "" {
		if err := checkCondition(s.Where); err != nil {
			v.add("where", "write a condition as after WHERE", "%v", err)
		}
	}
	if s.ShopType != "" {
		v.add("shop_type", "leave it out", "is for the query form; here the column's type is known")
	}
}

// names checks columns: plain, and none twice. MySQL does not tell capitals from small letters in them.
func (v *validator) names(field string, names []string) {
	seen := map[string]bool{}
	for _, n := range names {
		if !plainName.MatchString(n) {
			v.add(field, "write names of columns only, without quotes and expressions", "cannot contain %q", n)
		}
		if seen[strings.ToLower(n)] {
			v.add(field, "leave it out once", "names %s twice", n)
		}
		seen[strings.ToLower(n)] = true
	}
}

func (v *validator) hints() {
	s := v.spec
	if s.ShopType != "" && s.ShopType != ShopInteger && s.ShopType != ShopText {
		v.add("shop_type", "use integer or text", "%q is not known", s.ShopType)
	}
	if s.ChangedAt != "" {
		v.names("changed_at", []string{s.ChangedAt})
	}
	switch {
	case s.Order == "":
	case !s.Paged():
		v.add("order", "leave it out", "is for the table form; a query is read in one go")
	case s.Order != OrderOldest && s.Order != OrderNewest:
		v.add("order", "write newest or oldest: rows are read along the index, by the columns of by", "cannot be %q", s.Order)
	}
	v.names("json", s.JSON)
	for _, n := range s.JSON {
		if s.Table != "" && !slices.Contains(s.Columns, n) {
			v.add("json", "add it to columns, or leave it out here", "names %s, which is not among columns", n)
		}
	}
}
