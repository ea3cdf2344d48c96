// Package embedded owns what `prewarm demo` and the fast tests run on: a stack of two Redis servers (queue and cache) and
// two databases (ledger and source), and the shops that the demo warms.
//
// Start makes the stack inside the process: miniredis on loopback TCP and SQLite files. LocalStack makes it of private
// redis-server and mariadbd processes from PATH. Neither stands in for the other silently.
//
// The files that link miniredis and SQLite are left out by the build tag noembed, and only cmd imports the package, from
// one file under the same tag: a production binary has none of it.
package embedded
