package source

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// CountedRows is up to how many rows of a table Catalog and Largest count; beyond that the database's statistics speak.
const CountedRows = 100_000

// Listed is a table of the source's own schema with what helps to guess what it is for.
type Listed struct {
	Table
	Rows     int64             // exact below CountedRows, else what the statistics say
	Refers   map[string]string // by column: the table that a foreign key of this one column refers to
	OnUpdate []string          // columns that the database itself sets to the time of a row's last change
}

// ErrNoCatalog: this kind of database cannot be asked for its tables.
var ErrNoCatalog = errors.New("this database has no catalogue that can be asked")

// Catalog lists the tables of the connection's own schema.
func (s *Source) Catalog(ctx context.Context) ([]Listed, error) {
	d, ok := s.dialect.(mysqlDialect)
	if !ok {
		return nil, ErrNoCatalog
	}
	names, err := d.TableNames(ctx, s.db, "")
	if err != nil {
		return nil, fmt.Errorf("list the tables of source %s: %w", s.name, err)
	}
	all := make([]Listed, 0, len(names))
	for _, name := range names {
		t, err := d.Table(ctx, s.db, "", name)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.name, err)
		}
		l := Listed{Table: *t}
		if err := d.facts(ctx, s.db, &l); err != nil {
			return nil, fmt.Errorf("source %s: look at table %s: %w", s.name, name, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func (d mysqlDialect) facts(ctx context.Context, db *sql.DB, l *Listed) (err error) {
	if l.Refers, err = d.foreignKeys(ctx, db, l.Name); err != nil {
		return err
	}
	if l.OnUpdate, err = readStrings(ctx, db, `SELECT COLUMN_NAME FROM information_schema.COLUMNS
		WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND EXTRA LIKE '%on update current_timestamp%'`, l.Name); err != nil {
		return err
	}
	if l.View {
		return nil
	}
	count := fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT %d) AS counted", d.Quote(l.Name), CountedRows)
	if err := db.QueryRowContext(ctx, count).Scan(&l.Rows); err != nil || l.Rows < CountedRows {
		return err
	}
	var estimated int64
	err = db.QueryRowContext(ctx, `SELECT COALESCE(TABLE_ROWS, 0) FROM information_schema.TABLES
		WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?`, l.Name).Scan(&estimated)
	l.Rows = max(l.Rows, estimated)
	return err
}

// foreignKeys are those of one column that stay within the schema.
func (mysqlDialect) foreignKeys(ctx context.Context, db *sql.DB, table string) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT MIN(COLUMN_NAME), MIN(REFERENCED_TABLE_NAME) FROM information_schema.KEY_COLUMN_USAGE
		WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND REFERENCED_TABLE_SCHEMA = DATABASE()
		GROUP BY CONSTRAINT_NAME HAVING COUNT(*) = 1`, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	refers := map[string]string{}
	for rows.Next() {
		var column, to string
		if err := rows.Scan(&column, &to); err != nil {
			return nil, err
		}
		refers[column] = to
	}
	return refers, rows.Err()
}

// Largest is the number of rows of the value of a column that has the most. All rows are read: it is for tables of fewer
// than CountedRows.
func (s *Source) Largest(ctx context.Context, t *Table, column string) (int64, error) {
	name := s.dialect.Quote(column)
	var n int64
	err := s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM "+s.tableSQL(t)+
		" WHERE "+name+" IS NOT NULL GROUP BY "+name+") AS counted").Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("source %s: count the rows of table %s: %w", s.name, t.Name, err)
	}
	return n, nil
}
