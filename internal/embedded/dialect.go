package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
)

// SourceDialect reads SQLite as a source. It knows the types of schema/sqlite.sql and no others.
type SourceDialect struct{}

var _ source.Dialect = SourceDialect{}

// Quote makes an identifier of a name.
func (SourceDialect) Quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// TableNames lists the tables and views of a schema.
func (d SourceDialect) TableNames(ctx context.Context, db *sql.DB, schema string) ([]string, error) {
	query := "SELECT name FROM " + d.Quote(orMain(schema)) +
		".sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("list tables: %w", err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// Describe tells the columns that a query returns. They must be plain columns: an expression has no type in SQLite.
func (SourceDialect) Describe(ctx context.Context, db *sql.DB, query string, args []any, _ []*source.Table,
) ([]source.Column, error) {
	rows, err := db.QueryContext(ctx, "SELECT * FROM ("+query+") LIMIT 0", args...)
	if err != nil {
		return nil, fmt.Errorf("describe query: %w", err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, fmt.Errorf("describe query: %w", err)
	}
	columns := make([]source.Column, 0, len(types))
	for _, t := range types {
		c, err := column(t.Name(), t.DatabaseTypeName(), true)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// column describes a column by its declared type.
func column(name, declared string, nullable bool) (source.Column, error) {
	c := source.Column{Column: dataset.Column{Name: name, Type: declared, Nullable: nullable}}
	switch strings.ToUpper(declared) {
	case "INTEGER":
		c.Kind, c.Min, c.Max, c.Sortable = dataset.KindInt, math.MinInt64, math.MaxInt64, true
	case "TEXT":
		c.Kind, c.Sortable = dataset.KindText, true
	case "BLOB":
		c.Kind, c.Sortable = dataset.KindBinary, true
	case "REAL":
		c.Kind = dataset.KindFloat
	case "DECIMAL_TEXT":
		c.Kind = dataset.KindDecimal // '9' > '10': not sortable
	case "DATETIME_TEXT":
		c.Kind, c.Sortable = dataset.KindTime, true
	case "JSON_TEXT":
		c.Kind = dataset.KindJSON
	default:
		return c, fmt.Errorf("column %s is of type %q, which the embedded source does not know", name, declared)
	}
	return c, nil
}

// Select is the column's name, and for bytes a cast that copies them: the driver gives an empty BLOB as NULL.
func (d SourceDialect) Select(c source.Column) string {
	if c.Kind == dataset.KindBinary {
		return "CAST(" + d.Quote(c.Name) + " AS TEXT)"
	}
	return d.Quote(c.Name)
}

// Null is NULL: SQLite's has no type.
func (SourceDialect) Null(source.Column) string { return "NULL" }

// Examined is not to be had of SQLite.
func (SourceDialect) Examined(context.Context, *sql.Conn) (int64, error) {
	return 0, source.ErrNotCounted
}

// Now is the database's clock.
func (SourceDialect) Now() string { return "CAST(unixepoch('subsec') * 1000000 AS INTEGER)" }

func orMain(schema string) string {
	if schema == "" {
		return "main"
	}
	return schema
}
