package source

import (
	"fmt"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// mysqlDialect reads MySQL 8 and MariaDB 10.11 or newer.
type mysqlDialect struct {
	mariadb bool
	group   string // MySQL's resource group that rows are read in; "": that of everybody
}

func (mysqlDialect) Quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Select reads a FLOAT as the double that the server computes with: its own text of a FLOAT has six digits.
func (d mysqlDialect) Select(c Column) string {
	if c.Kind == dataset.KindFloat {
		return d.Quote(c.Name) + " + 0e0"
	}
	return d.Quote(c.Name)
}

// Null has no type for text: a typed one would have a collation, which might not mix with the column's.
func (mysqlDialect) Null(c Column) string {
	if c.Kind == dataset.KindInt {
		return "CAST(NULL AS SIGNED)"
	}
	return "NULL"
}

func (mysqlDialect) Now() string { return "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)" }

// Scan compares the shop with >= and <=, not with =. With = MariaDB reads a secondary index as `ref` on the shop and
// drops the rows up to After one by one, so that every page begins at the shop's first row.
func (d mysqlDialect) Scan(s Scan) (string, []any) {
	way := ""
	if s.Down {
		way = " DESC"
	}
	shop, order := d.Quote(s.Shop.Name), d.Quote(s.Shop.Name)+way
	for _, c := range s.By {
		order += ", " + d.Quote(c.Name) + way
	}
	var b strings.Builder
	if s.Total {
		b.WriteString("SELECT " + d.hints(false) + "COUNT(*) FROM (SELECT 1")
	} else {
		b.WriteString("SELECT " + d.hints(s.Counted) + strings.Join(s.Select, ", "))
	}
	fmt.Fprintf(&b, " FROM %s FORCE INDEX (%s) WHERE %s >= ? AND %s <= ?", d.table(s.Table), d.Quote(s.Index.Name), shop, shop)
	args := []any{s.ShopArg, s.ShopArg}
	args = d.span(&b, args, s.By, Span{After: s.After, To: s.To})
	if s.Rows != nil {
		args = d.oneOf(&b, args, s.By, s.Rows)
	}
	for i, part := range s.Parts {
		b.WriteString([]string{" AND ((1 = 1", ") OR (1 = 1"}[min(i, 1)])
		args = d.span(&b, args, s.By, part)
	}
	if s.Parts != nil {
		b.WriteString("))")
	}
	if s.Where != "" {
		b.WriteString(" AND (" + s.Where + "\n)") // on a line of its own, as a comment may end the condition
	}
	b.WriteString(" ORDER BY " + order)
	if s.Limit > 0 { // as an argument: pages differ in it, and are to be the same statement
		b.WriteString(" LIMIT ?")
		args = append(args, s.Limit)
	}
	if s.Offset > 0 {
		b.WriteString(" OFFSET ?")
		args = append(args, s.Offset)
	}
	if s.Total {
		b.WriteString(") AS counted")
	}
	return b.String(), args
}

// span writes the bounds of a span, each with an AND before it.
func (d mysqlDialect) span(b *strings.Builder, args []any, by []Column, s Span) []any {
	if s.After != nil {
		b.WriteString(" AND ")
		args = d.compare(b, args, by[:len(s.After)], s.After, ">", ">")
	}
	if s.To != nil {
		b.WriteString(" AND ")
		args = d.compare(b, args, by, s.To, "<", "<=")
	}
	if s.Since != nil {
		fmt.Fprintf(b, " AND %s >= %s", d.Quote(s.Column.Name), placeholder(s.Column))
		args = append(args, s.Since)
	}
	return args
}

// compare writes the comparison of a row in the form that is run as a range: (a > ? OR (a = ? AND b > ?)). op compares
// all columns but the last.
func (d mysqlDialect) compare(b *strings.Builder, args []any, by []Column, values []any, op, last string) []any {
	c, mark := d.Quote(by[0].Name), placeholder(by[0])
	if len(by) == 1 {
		fmt.Fprintf(b, "%s %s %s", c, last, mark)
		return append(args, values[0])
	}
	fmt.Fprintf(b, "(%s %s %s OR (%s = %s AND ", c, op, mark, c, mark)
	args = d.compare(b, append(args, values[0], values[0]), by[1:], values[1:], op, last)
	b.WriteString("))")
	return args
}

// oneOf writes that a row is one of these.
func (d mysqlDialect) oneOf(b *strings.Builder, args []any, by []Column, rows [][]any) []any {
	for i, values := range rows {
		b.WriteString([]string{" AND ((", ") OR ("}[min(i, 1)])
		for j, c := range by {
			if j > 0 {
				b.WriteString(" AND ")
			}
			fmt.Fprintf(b, "%s = %s", d.Quote(c.Name), placeholder(c))
		}
		args = append(args, values...)
	}
	b.WriteString("))")
	return args
}

// placeholder is how a value of the column is bound. A DECIMAL compared with a string would be compared as a float.
func placeholder(c Column) string {
	if c.Kind == dataset.KindDecimal {
		return fmt.Sprintf("CAST(? AS DECIMAL(%d, %d))", c.Precision, c.Scale)
	}
	return "?"
}

func (d mysqlDialect) table(t *Table) string {
	if t.Schema == "" {
		return d.Quote(t.Name)
	}
	return d.Quote(t.Schema) + "." + d.Quote(t.Name)
}
