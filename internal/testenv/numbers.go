package testenv

import (
	"fmt"
	"strings"
)

// Numbers is a table to select from, `numbers`, whose column seq has the numbers from one to another, in no order. MariaDB's sequence engine
// has no counterpart in MySQL, and recursive queries end after 1,000 rounds.
func Numbers(from, to int) string {
	const digits = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 " +
		"UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	var sum, tables strings.Builder
	for n, place := 0, 1; place <= max(to-from, 1); n, place = n+1, place*10 {
		fmt.Fprintf(&sum, " + %d * p%d.d", place, n)
		if n > 0 {
			tables.WriteString(" CROSS JOIN ")
		}
		fmt.Fprintf(&tables, "%s AS p%d", digits, n)
	}
	return fmt.Sprintf("(SELECT seq FROM (SELECT %d%s AS seq FROM %s) AS every WHERE seq <= %d) AS numbers", from, &sum, &tables, to)
}
