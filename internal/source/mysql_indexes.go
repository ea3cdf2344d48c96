package source

import (
	"context"
	"database/sql"
	"slices"
)

// indexPart is a row of information_schema.STATISTICS, whose columns differ between MySQL and MariaDB.
type indexPart map[string]string

func (mysqlDialect) indexParts(ctx context.Context, db *sql.DB, schema, table string) ([]indexPart, error) {
	rows, err := db.QueryContext(ctx, `SELECT * FROM information_schema.STATISTICS
		WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX`, schema, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var parts []indexPart
	err = eachRow(rows, func(names []string, row []sql.RawBytes) {
		p := indexPart{}
		for i, name := range names {
			p[name] = string(row[i])
		}
		parts = append(parts, p)
	})
	return parts, err
}

// eachRow reads rows whose columns are not known beforehand.
func eachRow(rows *sql.Rows, visit func(names []string, row []sql.RawBytes)) error {
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := rowBuffer(len(names))
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		visit(names, row)
	}
	return rows.Err()
}

// hidden says that the optimizer may not use the index: invisible in MySQL, ignored in MariaDB.
func (p indexPart) hidden() bool { return p["IS_VISIBLE"] == "NO" || p["IGNORED"] == "YES" }

// sorted says that the part orders the index by the whole column, ascending.
func (p indexPart) sorted() bool {
	return p["COLUMN_NAME"] != "" && p["SUB_PART"] == "" && p["COLLATION"] == "A" && p["INDEX_TYPE"] == "BTREE" && !p.hidden()
}

// indexesOf puts the indexes together. InnoDB appends to each the columns of the primary key that it lacks.
func indexesOf(parts []indexPart, innodb bool) []Index {
	byName := map[string][]indexPart{}
	var names []string
	for _, p := range parts {
		name := p["INDEX_NAME"]
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], p)
	}
	var indexes []Index
	for _, name := range names {
		own := byName[name]
		i := Index{Name: name, Unique: own[0]["NON_UNIQUE"] == "0", Key: keyOf(own)}
		all := slices.Clone(own)
		if innodb && name != "PRIMARY" {
			all = append(all, byName["PRIMARY"]...)
		}
		for _, p := range all {
			if !p.sorted() || own[0].hidden() {
				break
			}
			if !slices.Contains(i.Order, p["COLUMN_NAME"]) {
				i.Order = append(i.Order, p["COLUMN_NAME"])
			}
		}
		indexes = append(indexes, i)
	}
	return indexes
}

func keyOf(parts []indexPart) []string {
	var key []string
	for _, p := range parts {
		if p["COLUMN_NAME"] == "" {
			return nil // an expression
		}
		key = append(key, p["COLUMN_NAME"])
	}
	return key
}
