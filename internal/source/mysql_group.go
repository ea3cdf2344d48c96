package source

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// hints begin a statement that reads rows: each in the resource group, whose thread priority lets the statements of others go first.
//
// It is a hint of each statement, and not SET RESOURCE GROUP: a session that ends in a group leaves its thread to the server's thread cache as it is,
// and whoever connects next has our priority (seen with MySQL 9.7.4, also when the group was dropped meanwhile). The hint's ends with its
// statement, also when the client is killed in the middle.
func (d mysqlDialect) hints(counted bool) string {
	var all []string
	if d.group != "" {
		all = append(all, "RESOURCE_GROUP("+d.Quote(d.group)+")")
	}
	if counted && !d.mariadb { // it counts only the rows that the storage engine hands on
		all = append(all, "SET_VAR(optimizer_switch='index_condition_pushdown=off')")
	}
	if all == nil {
		return ""
	}
	return "/*+ " + strings.Join(all, " ") + " */ "
}

// Query implements Dialect. A query that does not begin with SELECT, or that has hints of its own, is left as it is.
func (d mysqlDialect) Query(query string) string {
	const word = "SELECT"
	text := strings.TrimLeftFunc(query, unicode.IsSpace)
	if d.group == "" || len(text) <= len(word) || !strings.EqualFold(text[:len(word)], word) {
		return query
	}
	rest := text[len(word):]
	if next := strings.TrimLeftFunc(rest, unicode.IsSpace); next == rest || strings.HasPrefix(next, "/*+") {
		return query
	}
	return text[:len(word)] + " " + d.hints(false) + rest
}

// checkGroup says whether the server lets us into the resource group; with a hint it does not do so it only warns.
func (d mysqlDialect) checkGroup(ctx context.Context, at place, connector driver.Connector) error {
	switch {
	case d.group == "":
		return nil
	case d.mariadb:
		return fmt.Errorf("source %s: %s.resource_group is %q, and MariaDB has no resource groups; leave it out", at.name, at.of, d.group)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	db.SetMaxOpenConns(1) // whose warnings are shown
	var level, text string
	var code int
	if err := db.QueryRowContext(ctx, "SELECT "+d.hints(false)+"1").Scan(&code); err != nil {
		return fmt.Errorf("source %s: try its resource group: %w", at.name, err)
	}
	err := db.QueryRowContext(ctx, "SHOW WARNINGS").Scan(&level, &code, &text)
	switch {
	case err == nil:
		return fmt.Errorf("source %s: resource group %s cannot be used: %s; check %s.resource_group, that the group is there and enabled, and that the user has RESOURCE_GROUP_USER",
			at.name, d.group, text, at.of)
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("source %s: try its resource group: %w", at.name, err)
	}
	return nil
}
