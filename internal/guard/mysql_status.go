package guard

import (
	"context"
	"database/sql"
	"fmt"
)

// globalStatus is one number of SHOW GLOBAL STATUS, the form that MySQL and MariaDB of all versions understand. name is a
// constant of this package.
func globalStatus(ctx context.Context, db *sql.DB, name string) (float64, error) {
	return namedNumber(ctx, db, "SHOW GLOBAL STATUS LIKE '"+name+"'", name)
}

func globalVariable(ctx context.Context, db *sql.DB, name string) (float64, error) {
	return namedNumber(ctx, db, "SHOW GLOBAL VARIABLES LIKE '"+name+"'", name)
}

func namedNumber(ctx context.Context, db *sql.DB, query, name string) (float64, error) {
	var got string
	var value float64
	if err := db.QueryRowContext(ctx, query).Scan(&got, &value); err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return value, nil
}
