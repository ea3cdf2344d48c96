// Package grants reads what a user of MySQL or MariaDB may do, and tells what of it is more than is needed.
package grants

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Needed is what a user must have.
type Needed struct {
	Rights     []string // on the schemas or tables that it works with
	Everywhere []string // that exist on *.* only
}

// What prewarm's users need; docs/grants.md says it to people.
var (
	Ledger = Needed{Rights: []string{"CREATE", "ALTER", "DROP", "INDEX", "SELECT", "INSERT", "UPDATE", "DELETE"}}
	Reader = Needed{Rights: []string{"SELECT"}, Everywhere: []string{"REPLICATION CLIENT", "BINLOG MONITOR", "REPLICA MONITOR", "SLAVE MONITOR", "RESOURCE_GROUP_USER"}}
	// Follower reads the binlog too.
	Follower = Needed{Rights: Reader.Rights, Everywhere: append([]string{"REPLICATION SLAVE"}, Reader.Everywhere...)}
)

// Read lists the rights of the user that db is logged in with, as the server writes them.
func Read(ctx context.Context, db *sql.DB) (lines []string, err error) {
	rows, err := db.QueryContext(ctx, "SHOW GRANTS")
	if err != nil {
		return nil, fmt.Errorf("list the user's rights: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, fmt.Errorf("list the user's rights: %w", err)
		}
		lines = append(lines, line)
	}
	return lines, rows.Err()
}

// line is GRANT rights ON where TO whom; where is a user for PROXY. A password's hash may follow, and is not looked at.
var line = regexp.MustCompile("(?is)^GRANT (.+?) ON (?:TABLE |FUNCTION |PROCEDURE )?(" + name + "(?:[.@]" + name + ")?) TO ")

const name = "(?:`(?:[^`]|``)*`|\\*|[^ .`]+)"

var columns = regexp.MustCompile(`\([^)]*\)`)

// Beyond are the rights that are not needed, as "DROP on *.*". What is needed, but given on all databases, is more than that too.
func (n Needed) Beyond(lines []string) (all []string) {
	for _, text := range lines {
		m := line.FindStringSubmatch(text)
		if m == nil {
			continue // a role, or what a later release has thought of
		}
		for _, right := range strings.Split(columns.ReplaceAllString(m[1], ""), ",") {
			right = strings.ToUpper(strings.Join(strings.Fields(right), " "))
			enough := right == "USAGE" || slices.Contains(n.Everywhere, right) || slices.Contains(n.Rights, right) && m[2] != "*.*"
			if !enough {
				all = append(all, right+" on "+m[2])
			}
		}
		if strings.Contains(strings.ToUpper(text[len(m[0]):]), "WITH GRANT OPTION") {
			all = append(all, "GRANT OPTION on "+m[2])
		}
	}
	return all
}
