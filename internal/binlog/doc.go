// Package binlog owns reading the binary log of a MySQL or MariaDB as a replica does: the login, the dump, and the events in
// row format, as far as it takes to tell which rows changed. It decides nothing; positions are GTIDs, as text.
//
// It is a reader of its own because no library does it: go-mysql-org/go-mysql cannot be had as a module, and the client of
// dolthub/vitess cannot log in with caching_sha2_password, which MySQL 8 gives its users, knows no deadlines, reads DECIMAL
// wrongly and brings gRPC along. The login, the part with the secrets, is left to go-sql-driver; only what it has no words
// for is done here.
//
// What a server sends is not trusted: each length is checked, and a value that is not understood is "not told", never a
// guess.
package binlog
