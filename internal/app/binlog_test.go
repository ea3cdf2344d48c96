package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// binlogged is a cluster whose source writes a binlog, which is read.
func binlogged(t *testing.T, args ...string) (*cluster, *testenv.MySQLServer) {
	t.Helper()
	server := testenv.BinlogMySQL(t, args...)
	c := &cluster{t: t, queueServer: testenv.OwnRedis(t), cacheServer: testenv.OwnRedis(t)}
	c.queue, c.cache = openRedis(t, c.queueServer.URL), openRedis(t, c.cacheServer.URL)
	ledgerDSN := testenv.MySQL(t)
	c.ledger, c.source = openMySQL(t, ledgerDSN), openMySQL(t, server.DSN)
	c.client, c.inspector = asynq.NewClientFromRedisClient(c.queue), asynq.NewInspectorFromRedisClient(c.queue)
	for _, table := range schema {
		_, err := c.source.ExecContext(t.Context(), table)
		require.NoError(t, err)
	}
	c.config = c.write(ledgerDSN, server.DSN)
	c.configure("datasets:\n", "feed: {binlog: {}}\ndatasets:\n")
	return c, server
}

// told waits until the whole binlog was read and what it told was done.
func (c *cluster) told() {
	c.t.Helper()
	c.until(soon, "the binlog is read to its end", func() bool {
		position := testenv.BinlogPosition(c.t, c.source)
		return c.number("SELECT COUNT(*) FROM feeds WHERE feed = 'binlog:main' AND position = ?", position) == 1 && c.number("SELECT COUNT(*) FROM pending") == 0
	})
}

func TestWhatTheBinlogTellsIsBroughtIntoTheCache(t *testing.T) {
	t.Parallel()
	c, server := binlogged(t)
	seed(t, c.source, 1001, 300)
	c.inProcess()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.told()
	c.fresh(1001)

	c.change(
		"UPDATE shop_users SET nickname = 'edited' WHERE shop_id = 1001 AND user_id = 3",
		"UPDATE shop_users SET user_id = 100001 WHERE shop_id = 1001 AND user_id = 6",
		"UPDATE shop_users SET deleted_at = NOW() WHERE shop_id = 1001 AND user_id = 9",
		"DELETE FROM shop_users WHERE shop_id = 1001 AND user_id = 12",
		"INSERT INTO shop_users VALUES (1001, 100000, 'new', 1, 2.5, NULL, NULL)",
		"UPDATE shop_users SET shop_id = 4242 WHERE shop_id = 1001 AND user_id = 15",
		"UPDATE products SET stock = 7777 WHERE product_id = 100100002",
		"DELETE FROM marketing WHERE id = 1001001",
		"UPDATE shops SET name = 'renamed' WHERE id = 1001",
	)
	c.fresh(1001)

	// What never was must not be seen; what was rolled back to a savepoint was not.
	tx, err := c.source.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	for _, s := range []string{"UPDATE shop_users SET nickname = 'first' WHERE shop_id = 1001 AND user_id = 18", "SAVEPOINT a",
		"UPDATE shop_users SET nickname = 'second' WHERE shop_id = 1001 AND user_id = 21", "ROLLBACK TO a", "DELETE FROM products WHERE product_id = 100100003"} {
		_, err := tx.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
	require.NoError(t, tx.Commit())
	c.fresh(1001)

	// A transaction in two phases is not seen before its second.
	conn, err := c.source.Conn(t.Context())
	require.NoError(t, err)
	for _, s := range []string{"XA START 'x'", "UPDATE shop_users SET nickname = 'prepared' WHERE shop_id = 1001 AND user_id = 24", "XA END 'x'", "XA PREPARE 'x'"} {
		_, err := conn.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
	c.told()
	_, err = conn.ExecContext(t.Context(), "XA COMMIT 'x'")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	c.fresh(1001)

	// More than is taken in together, in one transaction.
	c.change("INSERT INTO shop_users SELECT 1001, seq, 'many', 1, 1, NULL, NULL FROM " + testenv.Numbers(200001, 205000))
	c.fresh(1001)
	c.change("DELETE FROM shop_users WHERE shop_id = 1001 AND user_id > 200500")
	c.fresh(1001)

	// What sessions of MySQL may write in another form: whole transactions at once, GTIDs with a tag.
	if !testenv.IsMariaDB(t, c.source) {
		for i, setting := range []string{"binlog_transaction_compression = ON", "gtid_next = 'AUTOMATIC:deploy'"} {
			conn, err := c.source.Conn(t.Context())
			require.NoError(t, err)
			for _, s := range []string{"SET " + setting, fmt.Sprintf("UPDATE shop_users SET nickname = 'in another form' WHERE shop_id = 1001 AND user_id = %d", 27+3*i)} {
				_, err := conn.ExecContext(t.Context(), s)
				require.NoError(t, err, s)
			}
			c.fresh(1001)
			c.told()
			_, err = conn.ExecContext(t.Context(), "SET gtid_next = 'AUTOMATIC', binlog_transaction_compression = OFF")
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
	}

	// A definition that changes in between: columns that move, rows that are not told one by one.
	c.change("ALTER TABLE shop_users ADD COLUMN extra BIGINT NOT NULL DEFAULT 5 FIRST", "UPDATE shop_users SET nickname = 'after' WHERE shop_id = 1001 AND user_id < 60",
		"DELETE FROM shop_users WHERE shop_id = 1001 AND user_id = 30")
	c.fresh(1001)
	c.told()

	// The server goes away in the middle, and nothing is left out.
	c.change("UPDATE shop_users SET nickname = 'before the stop' WHERE shop_id = 1001")
	server.Stop()
	server.Restart()
	c.change("UPDATE shop_users SET nickname = 'behind it' WHERE shop_id = 1001 AND user_id > 600")
	c.fresh(1001)
	c.told()
}

func TestABinlogThatIsGoneIsToldAndReadingGoesOn(t *testing.T) {
	t.Parallel()
	c, _ := binlogged(t)
	seed(t, c.source, 1001, 300)
	p := c.serve()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.told()
	p.kill(t)
	c.change("UPDATE shop_users SET nickname = 'lost' WHERE shop_id = 1001 AND user_id = 3", "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
	c.until(soon, "purged", func() bool { // what is read by somebody is kept
		c.change("PURGE BINARY LOGS TO 'log.000003'")
		return testenv.OldestBinlog(t, c.source) == "log.000003"
	})
	c.serve()
	c.until(failover, "told", func() bool { return c.number("SELECT COUNT(*) FROM alerts WHERE name = 'feed_gap'") == 1 })
	c.change("UPDATE shop_users SET nickname = 'behind' WHERE shop_id = 1001 AND user_id = 3")
	c.fresh(1001)
}

func TestANewLeaderGoesOnWhereTheBinlogWasLeft(t *testing.T) {
	t.Parallel()
	c, _ := binlogged(t)
	seed(t, c.source, 1001, 300)
	first := c.serve()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.told()
	first.kill(t)
	c.change("DELETE FROM shop_users WHERE shop_id = 1001 AND user_id = 6", "UPDATE products SET stock = 1 WHERE product_id = 100100002")
	c.serve()
	c.until(failover, "done", func() bool { return stale(t, c.cache, expect(t, c.source, 1001)) == "" })
}

func TestAServerThatCannotBeReadIsTold(t *testing.T) {
	t.Parallel()
	c, _ := binlogged(t, "--binlog-format=STATEMENT")
	c.inProcess()
	c.until(soon, "told", func() bool {
		return c.number("SELECT COUNT(*) FROM alerts WHERE name = 'feed_lacks' AND summary LIKE '%binlog_format is STATEMENT%'") == 1
	})
}
