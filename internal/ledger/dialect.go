package ledger

import (
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// Dialect is what differs between the two engines; all other SQL is written once in what they have in common.
type Dialect struct {
	Name string

	now          string // microseconds since 1970 UTC, as an integer
	insertIgnore string // an INSERT that does nothing when the primary or a unique key is taken
	onTaken      string // what begins the part of an INSERT that changes the row which has the key already
	share        string // the end of a SELECT whose rows others may read and not change until the transaction ends
	goose        goose.Dialect
}

// MySQL is MySQL 8 and MariaDB 10.11 and later; sessions must run at time_zone '+00:00'.
var MySQL = Dialect{
	Name:         "mysql",
	now:          "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)",
	insertIgnore: "INSERT IGNORE",
	onTaken:      "ON DUPLICATE KEY UPDATE",
	share:        " LOCK IN SHARE MODE",
	goose:        goose.DialectMySQL,
}

// SQLite is what `demo` and the fast tests run on.
var SQLite = Dialect{
	Name:         "sqlite",
	now:          "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
	insertIgnore: "INSERT OR IGNORE",
	onTaken:      "ON CONFLICT DO UPDATE SET",
	share:        "", // its transactions lock all
	goose:        goose.DialectSQLite3,
}

func (d Dialect) migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations/"+d.Name)
	if err != nil {
		panic(err) //nolint:forbidigo // the directory is embedded above
	}
	return sub
}
