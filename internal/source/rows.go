package source

import "context"

// ReadRows visits those of the rows that are there now, meet `where` and are in a part that is kept, in the order of `by`. rows are cursors (RowKey), a few
// hundred at most: one statement looks all of them up in the index.
func (b *Bound) ReadRows(ctx context.Context, shop string, rows []string, visit Visit) error {
	if len(rows) == 0 {
		return nil
	}
	s, err := b.pageScan(shop, "", "")
	if err != nil {
		return err
	}
	for _, row := range rows {
		values, err := b.args(row)
		if err != nil {
			return err
		}
		if values == nil {
			return &CursorError{Dataset: b.spec.Name, Cursor: row, Reason: "names no row"}
		}
		s.Rows = append(s.Rows, values)
	}
	s.Select = b.selects
	query, args := b.src.dialect.Scan(s)
	_, err = b.each(ctx, nil, false, query, args, visit)
	return err
}
