package source

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// unavailable are the errors by which a MySQL or MariaDB says that it cannot serve now, whatever it is asked.
var unavailable = map[uint16]bool{
	1021: true,                                     // disk full
	1040: true,                                     // too many connections
	1041: true,                                     // out of resources
	1053: true,                                     // server shutdown
	1077: true,                                     // normal shutdown
	1079: true,                                     // shutdown complete
	1114: true,                                     // table full
	1129: true,                                     // host blocked for its connection errors
	1152: true,                                     // aborted connection
	1184: true,                                     // the same, of a new connection
	1158: true, 1159: true, 1160: true, 1161: true, // network read and write errors
	1203: true, // too many connections of the user
	1205: true, // lock wait
	1213: true, // deadlock
	1226: true, // the user's resources are used up
	1290: true, // read-only
	1836: true, // read-only mode
	1927: true, // connection killed
	3100: true, // before commit, by the replication's own check
	3168: true, // server is not ready
	3032: true, // offline mode
	4031: true, // MySQL's last word on a connection that said nothing for too long; MariaDB just closes it
}

// Unavailable says whether an error of a MySQL or MariaDB, a source or the ledger, means that the server cannot be reached
// or cannot serve at the moment. The work is not to blame: it is repeated when the server is back, and no attempt is
// counted. A statement that took too long is not of them: the server answered.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return unavailable[e.Number]
	}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}
