package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/prewarm-go/prewarm/internal/source"
)

// rowidIndex is the name that an INTEGER PRIMARY KEY goes by here: it is the table itself, not an index with a name.
const rowidIndex = "PRIMARY"

// Table describes one table.
func (d SourceDialect) Table(ctx context.Context, db *sql.DB, schema, name string) (*source.Table, error) {
	t := &source.Table{Schema: schema, Name: name}
	var kind string
	err := db.QueryRowContext(ctx, "SELECT type FROM "+d.Quote(orMain(schema))+
		".sqlite_schema WHERE name = ? AND type IN ('table', 'view')", name).Scan(&kind)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, source.ErrNoTable
	}
	if err != nil {
		return nil, fmt.Errorf("look for table %s: %w", name, err)
	}
	t.View = kind == "view"
	primary, err := readColumns(ctx, db, t)
	if err != nil {
		return nil, fmt.Errorf("describe table %s: %w", name, err)
	}
	if err := readIndexes(ctx, db, t, primary); err != nil {
		return nil, fmt.Errorf("describe the indexes of table %s: %w", name, err)
	}
	return t, nil
}

// readColumns fills t.Columns and returns the columns of the primary key.
func readColumns(ctx context.Context, db *sql.DB, t *source.Table) (primary []string, err error) {
	rows, err := db.QueryContext(ctx,
		"SELECT name, type, \"notnull\", pk FROM pragma_table_info(?, ?) ORDER BY cid", t.Name, orMain(t.Schema))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	places := map[string]int{} // in the primary key, from 1
	for rows.Next() {
		var name, declared string
		var notNull bool
		var place int
		if err := rows.Scan(&name, &declared, &notNull, &place); err != nil {
			return nil, err
		}
		c, err := column(name, declared, !notNull)
		if err != nil {
			return nil, err
		}
		t.Columns = append(t.Columns, c)
		if place > 0 {
			places[name] = place
			primary = append(primary, name)
		}
	}
	slices.SortFunc(primary, func(a, b string) int { return places[a] - places[b] })
	return primary, rows.Err()
}

func readIndexes(ctx context.Context, db *sql.DB, t *source.Table, primary []string) error {
	rows, err := db.QueryContext(ctx, `
		SELECT l.name, l."unique", l.origin, i.name, i."desc", i.coll
		FROM pragma_index_list(?1, ?2) l JOIN pragma_index_xinfo(l.name, ?2) i
		WHERE i.key = 1 AND l.partial = 0 ORDER BY l.seq, i.seqno`, t.Name, orMain(t.Schema))
	if err != nil {
		return err
	}
	defer rows.Close()
	hasPrimary := false
	for rows.Next() {
		var name, origin, collation string
		var columnName sql.NullString // NULL: an expression
		var unique, descending bool
		if err := rows.Scan(&name, &unique, &origin, &columnName, &descending, &collation); err != nil {
			return err
		}
		hasPrimary = hasPrimary || origin == "pk"
		if n := len(t.Indexes); n == 0 || t.Indexes[n-1].Name != name {
			t.Indexes = append(t.Indexes, source.Index{Name: name, Unique: unique})
		}
		index := &t.Indexes[len(t.Indexes)-1]
		if columnName.Valid && !descending && collation == "BINARY" && len(index.Key) == len(index.Order) {
			index.Order = append(index.Order, columnName.String)
		}
		index.Key = append(index.Key, columnName.String)
	}
	if !hasPrimary && len(primary) == 1 {
		t.Indexes = append(t.Indexes, source.Index{Name: rowidIndex, Unique: true, Key: primary, Order: primary})
	}
	appendPrimary(t, primary)
	return rows.Err()
}

// appendPrimary completes what the indexes are ordered by: SQLite ends their entries with the primary key, as InnoDB does.
func appendPrimary(t *source.Table, primary []string) {
	for i := range t.Indexes {
		index := &t.Indexes[i]
		if slices.Contains(index.Key, "") {
			index.Key = nil
			continue
		}
		if len(index.Order) < len(index.Key) {
			continue
		}
		for _, name := range primary {
			if !slices.Contains(index.Order, name) {
				index.Order = append(slices.Clip(index.Order), name)
			}
		}
	}
}
