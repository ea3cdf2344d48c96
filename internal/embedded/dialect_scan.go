package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/prewarm-go/prewarm/internal/source"
)

// Scan writes the statement of an index range scan. SQLite runs a comparison of rows as a range on the index.
func (d SourceDialect) Scan(s source.Scan) (string, []any) {
	by := make([]string, len(s.By))
	for i, c := range s.By {
		by[i] = d.Quote(c.Name)
	}
	row := "(" + strings.Join(by, ", ") + ")"
	way := ""
	if s.Down {
		way = " DESC"
	}
	marks := "(?" + strings.Repeat(", ?", len(by)-1) + ")"

	var b strings.Builder
	if s.Total {
		b.WriteString("SELECT COUNT(*) FROM (SELECT 1")
	} else {
		b.WriteString("SELECT " + strings.Join(s.Select, ", "))
	}
	fmt.Fprintf(&b, " FROM %s.%s", d.Quote(orMain(s.Table.Schema)), d.Quote(s.Table.Name))
	if s.Index.Name != rowidIndex && !strings.HasPrefix(s.Index.Name, "sqlite_") {
		b.WriteString(" INDEXED BY " + d.Quote(s.Index.Name))
	}
	fmt.Fprintf(&b, " WHERE %s = ?", d.Quote(s.Shop.Name))
	args := []any{s.ShopArg}
	span := func(s source.Span) {
		if s.After != nil {
			n := len(s.After)
			fmt.Fprintf(&b, " AND (%s) > (?%s)", strings.Join(by[:n], ", "), strings.Repeat(", ?", n-1))
			args = append(args, s.After...)
		}
		if s.To != nil {
			fmt.Fprintf(&b, " AND %s <= %s", row, marks)
			args = append(args, s.To...)
		}
		if s.Since != nil {
			fmt.Fprintf(&b, " AND %s >= ?", d.Quote(s.Column.Name))
			args = append(args, s.Since)
		}
	}
	span(source.Span{After: s.After, To: s.To})
	if s.Rows != nil {
		fmt.Fprintf(&b, " AND %s IN (VALUES %s%s)", row, marks, strings.Repeat(", "+marks, len(s.Rows)-1))
		for _, values := range s.Rows {
			args = append(args, values...)
		}
	}
	for i, part := range s.Parts {
		b.WriteString([]string{" AND ((1 = 1", ") OR (1 = 1"}[min(i, 1)])
		span(part)
	}
	if s.Parts != nil {
		b.WriteString("))")
	}
	if s.Where != "" {
		fmt.Fprintf(&b, " AND (%s\n)", s.Where)
	}
	fmt.Fprintf(&b, " ORDER BY %s%s", strings.Join(by, way+", "), way)
	if s.Limit > 0 || s.Offset > 0 {
		limit := s.Limit
		if limit == 0 {
			limit = -1
		}
		b.WriteString(" LIMIT ? OFFSET ?")
		args = append(args, limit, s.Offset)
	}
	if s.Total {
		b.WriteString(")")
	}
	return b.String(), args
}

// Query implements source.Dialect.
func (SourceDialect) Query(query string) string { return query }

// Explain says how SQLite would run a scan.
func (d SourceDialect) Explain(ctx context.Context, db *sql.DB, s source.Scan) (source.Plan, error) {
	query, args := d.Scan(s)
	rows, err := db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		return source.Plan{}, fmt.Errorf("explain scan of %s: %w", s.Table.Name, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return source.Plan{}, fmt.Errorf("explain scan of %s: %w", s.Table.Name, err)
		}
		steps = append(steps, detail)
	}
	// One step that searches; sorting would be another. `(shop=? AND id>?)` or, for rows, `(shop=? AND (a,b)>(?,?))`.
	ranged := len(steps) == 1 && strings.HasPrefix(steps[0], "SEARCH ") &&
		strings.Contains(steps[0], s.Shop.Name+"=?") && (s.After == nil || strings.Contains(steps[0], ">"))
	return source.Plan{Range: ranged, Text: strings.Join(steps, "; ")}, rows.Err()
}
