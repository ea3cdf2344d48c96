package source

import (
	"errors"
	"fmt"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/prewarm-go/prewarm/internal/mysqlconn"
)

// ShopError is an id that cannot be a shop's. Asking again does not help.
type ShopError struct {
	Shop   string
	Reason string
}

func (e *ShopError) Error() string { return fmt.Sprintf("shop id %.64q %s", e.Shop, e.Reason) }

// Definitive says that a retry does not help.
func (e *ShopError) Definitive() bool { return true }

// CursorError is a cursor that does not belong to the dataset: `by` was changed, or the ledger was edited by hand.
type CursorError struct {
	Dataset string
	Cursor  string
	Reason  string
}

func (e *CursorError) Error() string {
	return fmt.Sprintf("dataset %s: cursor %.200q %s; restart the run", e.Dataset, e.Cursor, e.Reason)
}

// Definitive says that a retry does not help.
func (e *CursorError) Definitive() bool { return true }

// Definitive says whether an error comes from what was asked, so that asking again does not help: bad SQL, a table or a
// column that is not there, a missing privilege, a wrong type. All else may pass: a lost connection, a deadlock, a lock
// wait, the statement limit, too many connections, a server that shuts down.
func Definitive(err error) bool {
	if own, ok := errors.AsType[interface {
		error
		Definitive() bool
	}](err); ok {
		return own.Definitive()
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return definitiveMySQL(e)
	}
	return false
}

// definitiveMySQL goes by the class of the SQLSTATE, which is stable where the numbers differ between MySQL and MariaDB.
func definitiveMySQL(e *mysql.MySQLError) bool {
	switch e.Number {
	case 1203, 1226: // too many connections of this user: in class 42, but they pass
		return false
	case 1267, 1270, 1271, 1356, 1366: // mix of collations, broken view, wrong string: without a class of their own
		return true
	}
	switch string(e.SQLState[:2]) {
	case "0A", // not supported
		"21", // number of columns or rows does not match
		"22", // value that does not fit its type
		"25", // write on a read-only session
		"28", // login refused
		"3D", // no such database
		"42": // syntax, unknown name, missing privilege
		return true
	}
	return false
}

// loginError says what to do about a server that cannot be used. It never holds the password: neither the driver's nor
// the server's messages repeat it, and the DSN is not printed.
func loginError(at place, cfg *mysql.Config, err error) error {
	name, field := at.name, at.field
	if what, remedy := mysqlconn.Explain(at.of, cfg, err); what != "" {
		return fmt.Errorf("source %s: the server at %s %s: %w; %s", name, cfg.Addr, what, err, remedy)
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch e.Number {
		case 1044, 1142:
			return fmt.Errorf("source %s: user %q may not use database %q: %w; grant it SELECT", name, cfg.User, cfg.DBName, err)
		case 1698:
			return fmt.Errorf("source %s: the server at %s refuses user %q: %w; check user and password in %s",
				name, cfg.Addr, cfg.User, err, field)
		case 1049:
			return fmt.Errorf("source %s: there is no database %q at %s: %w; check %s", name, cfg.DBName, cfg.Addr, err, field)
		}
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return fmt.Errorf("source %s: cannot reach %s %s: %w; check that it runs, and the address in %s",
			name, cfg.Net, cfg.Addr, err, field)
	}
	return fmt.Errorf("source %s: connect to %s: %w", name, cfg.Addr, err)
}
