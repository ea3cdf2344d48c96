package source

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// Describe runs the query, which finds nothing with NULL for the shop, and looks at its columns. Asking for the columns
// of a derived table would answer with the types of a temporary table.
func (d mysqlDialect) Describe(ctx context.Context, db *sql.DB, query string, args []any, tables []*Table) ([]Column, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns := make([]Column, len(types))
	for i, t := range types {
		c := &columns[i]
		name, unsigned := strings.CutPrefix(t.DatabaseTypeName(), "UNSIGNED ")
		c.Name, c.Type = t.Name(), name
		c.Nullable = true // the columns of an outer join are nullable whatever the table says
		c.typeOf(name, unsigned)
		if name == "FLOAT" {
			return nil, floatError(c.Name)
		}
		if d.mariadb && c.Kind == dataset.KindText && isDocument(tables, c.Name) {
			c.Kind = dataset.KindJSON
		}
	}
	return columns, rows.Err()
}

// floatError is a FLOAT column of a query. In the table form Select takes care of it.
type floatError string

func (e floatError) Error() string {
	return fmt.Sprintf("column %s is FLOAT, of which MySQL's text form keeps only six digits; write `%s + 0e0 AS %s`",
		string(e), string(e), string(e))
}

// Definitive says that a retry does not help.
func (floatError) Definitive() bool { return true }

// isDocument says whether every column of the name in the tables that the query names is JSON, and there is one.
func isDocument(tables []*Table, name string) bool {
	found := false
	for _, t := range tables {
		if c, ok := t.column(name); ok {
			if c.Kind != dataset.KindJSON {
				return false
			}
			found = true
		}
	}
	return found
}

// column finds a column; MySQL does not tell capitals from small letters in their names.
func (t *Table) column(name string) (Column, bool) {
	for _, c := range t.Columns {
		if strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	return Column{}, false
}
