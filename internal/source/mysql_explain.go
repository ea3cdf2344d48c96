package source

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// explained is one line of EXPLAIN, by column, in small letters.
type explained map[string]string

// Explain looks at the plan, and at how much of the index key the range uses: a scan from s.After must use more of it
// than a scan of the whole shop, else it would begin at the shop's first row and drop rows up to After.
func (d mysqlDialect) Explain(ctx context.Context, db *sql.DB, s Scan) (Plan, error) {
	plan, used, err := d.explain(ctx, db, s)
	if err != nil || !plan.Range || s.After == nil {
		return plan, err
	}
	s.After, s.To = nil, nil
	whole, usedByShop, err := d.explain(ctx, db, s)
	if err != nil {
		return Plan{}, err
	}
	plan.Range = !whole.Range || used > usedByShop
	return plan, nil
}

func (d mysqlDialect) explain(ctx context.Context, db *sql.DB, s Scan) (plan Plan, keyLen int, err error) {
	query, args := d.Scan(s)
	rows, err := db.QueryContext(ctx, "EXPLAIN FORMAT=TRADITIONAL "+query, args...)
	if err != nil {
		return Plan{}, 0, err
	}
	defer rows.Close()
	var lines []explained
	err = eachRow(rows, func(names []string, row []sql.RawBytes) {
		line := explained{}
		for i, name := range names {
			line[strings.ToLower(name)] = string(row[i])
		}
		lines = append(lines, line)
	})
	if err != nil {
		return Plan{}, 0, err
	}
	if len(lines) == 0 {
		return Plan{}, 0, fmt.Errorf("EXPLAIN told nothing about %s", query)
	}
	first := lines[0]
	keyLen, _ = strconv.Atoi(first["key_len"])
	estimate, _ := strconv.ParseInt(first["rows"], 10, 64)
	extra := first["extra"]
	return Plan{
		Rows: estimate,
		Range: len(lines) == 1 && first["type"] == "range" && strings.EqualFold(first["key"], s.Index.Name) &&
			!strings.Contains(extra, "filesort") && !strings.Contains(extra, "temporary"),
		Empty: strings.Contains(extra, "Impossible") || strings.Contains(extra, "no matching row"),
		Text: fmt.Sprintf("type=%s key=%s key_len=%s rows=%s Extra=%s", first["type"], first["key"], first["key_len"],
			first["rows"], extra),
	}, keyLen, nil
}
