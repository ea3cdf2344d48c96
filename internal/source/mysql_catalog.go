package source

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

func (d mysqlDialect) Table(ctx context.Context, db *sql.DB, schema, name string) (*Table, error) {
	t := &Table{Schema: schema}
	var inSchema, kind string
	var engine sql.NullString
	err := db.QueryRowContext(ctx, `SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE FROM information_schema.TABLES
		WHERE TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND TABLE_NAME = ?`, schema, name).
		Scan(&inSchema, &t.Name, &kind, &engine)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoTable
	}
	if err != nil {
		return nil, fmt.Errorf("look for table %s: %w", name, err)
	}
	t.View = kind != "BASE TABLE"
	if err := d.columns(ctx, db, t, inSchema); err != nil {
		return nil, fmt.Errorf("describe table %s: %w", name, err)
	}
	parts, err := d.indexParts(ctx, db, inSchema, t.Name)
	if err != nil {
		return nil, fmt.Errorf("describe the indexes of table %s: %w", name, err)
	}
	t.Indexes = indexesOf(parts, engine.String == "InnoDB")
	return t, nil
}

func (mysqlDialect) TableNames(ctx context.Context, db *sql.DB, schema string) ([]string, error) {
	return readStrings(ctx, db, `SELECT TABLE_NAME FROM information_schema.TABLES
		WHERE TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) ORDER BY TABLE_NAME`, schema)
}

func (d mysqlDialect) columns(ctx context.Context, db *sql.DB, t *Table, schema string) error {
	documents, err := d.documents(ctx, db, schema, t.Name)
	if err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, `SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE = 'YES',
		COALESCE(CHARACTER_MAXIMUM_LENGTH, 0), COALESCE(NUMERIC_PRECISION, 0), COALESCE(NUMERIC_SCALE, 0),
		COALESCE(CHARACTER_SET_NAME, '')
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`, schema, t.Name)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c Column
		var dataType string
		if err := rows.Scan(&c.Name, &dataType, &c.Type, &c.Nullable, &c.Length, &c.Precision, &c.Scale, &c.Charset); err != nil {
			return err
		}
		c.typeOf(dataType, strings.Contains(c.Type, "unsigned"))
		if slices.Contains(documents, c.Name) {
			c.Kind, c.Sortable = dataset.KindJSON, false
		}
		t.Columns = append(t.Columns, c)
	}
	return rows.Err()
}

var jsonCheck = regexp.MustCompile("(?i)json_valid\\(`((?:[^`]|``)+)`\\)")

// documents lists the columns that MariaDB checks to be JSON: its type JSON is LONGTEXT with such a check.
func (d mysqlDialect) documents(ctx context.Context, db *sql.DB, schema, table string) ([]string, error) {
	if !d.mariadb {
		return nil, nil
	}
	checks, err := readStrings(ctx, db, `SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
		WHERE CONSTRAINT_SCHEMA = ? AND TABLE_NAME = ?`, schema, table)
	var names []string
	for _, clause := range checks {
		if strings.Contains(strings.ToLower(clause), " or ") {
			continue // something else is valid too
		}
		for _, m := range jsonCheck.FindAllStringSubmatch(clause, -1) {
			names = append(names, strings.ReplaceAll(m[1], "``", "`"))
		}
	}
	return names, err
}

func readStrings(ctx context.Context, db *sql.DB, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}
