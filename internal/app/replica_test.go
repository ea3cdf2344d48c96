package app_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// replicated is a cluster whose source has replicas that pages are read from, and the binlog that is read.
func replicated(t *testing.T, replicas int) (c *cluster, primary *testenv.MySQLServer, all []*testenv.MySQLServer) {
	t.Helper()
	primary = testenv.BinlogMySQL(t)
	var list []string
	for i := range replicas {
		r := testenv.ReplicaMySQL(t, primary, 2+i, "--performance-schema=ON")
		all, list = append(all, r), append(list, strconv.Quote(r.DSN))
	}
	c = &cluster{t: t, queueServer: testenv.OwnRedis(t), cacheServer: testenv.OwnRedis(t)}
	c.queue, c.cache = openRedis(t, c.queueServer.URL), openRedis(t, c.cacheServer.URL)
	ledgerDSN := testenv.MySQL(t)
	c.ledger, c.source = openMySQL(t, ledgerDSN), openMySQL(t, primary.DSN)
	c.client, c.inspector = asynq.NewClientFromRedisClient(c.queue), asynq.NewInspectorFromRedisClient(c.queue)
	c.change(schema...)
	c.config = c.write(ledgerDSN, primary.DSN, "page_rows: 100", "page_rows_max: 100", "unit_rows: 1000")
	c.configure(fmt.Sprintf("dsn: %q}}\n", primary.DSN), fmt.Sprintf("dsn: %q, read_from: replica, replicas: [%s]}}\n", primary.DSN, strings.Join(list, ", ")))
	c.configure("datasets:\n", "feed: {binlog: {}}\ndatasets:\n")
	return c, primary, all
}

// metric is the value of a metric of a pod, 0 if there is none.
func (p *pod) metric(t *testing.T, name string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(p.get(t, "/metrics"))
	if m == nil {
		return 0
	}
	value, err := strconv.ParseFloat(m[1], 64)
	require.NoError(t, err)
	return value
}

func pagesAt(server string) string {
	return fmt.Sprintf(`prewarm_replica_pages_total{server=%q,source="main"}`, server)
}

// reads waits until a pod reads from a replica, or does not.
func (c *cluster) reads(p *pod, replica string, want float64) {
	c.t.Helper()
	c.until(soon, replica+" is read or not", func() bool { return p.metric(c.t, fmt.Sprintf("prewarm_replica_read{replica=%q}", replica)) == want })
}

// rowsRead is how many rows of users a server has sent to those who asked; what it has replicated is not among them.
func rowsRead(t *testing.T, server *testenv.MySQLServer) (n int) {
	t.Helper()
	require.NoError(t, openMySQL(t, server.DSN).QueryRowContext(t.Context(),
		"SELECT COALESCE(SUM(SUM_ROWS_SENT), 0) FROM performance_schema.events_statements_summary_by_digest WHERE DIGEST_TEXT LIKE 'SELECT%shop_users%'").Scan(&n))
	return n
}

// right wants an audit of a shop, which reads the primary, to find nothing.
func (c *cluster) right(p *pod, shop int) {
	c.t.Helper()
	got := c.audited(p, map[string]any{"shop_id": fmt.Sprint(shop)})
	require.Equal(c.t, "passed", got["state"], "%v", got)
	require.Positive(c.t, got["keys"])
}

func TestPagesAreReadAtReplicasThatHaveWhatThePrimaryHas(t *testing.T) {
	t.Parallel()
	c, primary, replicas := replicated(t, 2)
	seed(t, c.source, 1001, 6000)
	seed(t, c.source, 1002, 3000)
	seed(t, c.source, 1003, 3000)
	p := c.inProcess()
	for i := range replicas {
		c.reads(p, fmt.Sprintf("main/%d", i+1), 1)
	}

	// While it is written to, and two replicas are read in turn.
	c.told() // the feed has begun
	stop := c.edit(1001)
	c.announce(ka(1001, time.Now().Add(time.Hour)))
	c.becomes(failover, 1001, "ready")
	stop()
	c.told()
	c.fresh(1001)
	c.right(p, 1001)
	require.Positive(t, p.metric(t, pagesAt("main/1")))
	require.Positive(t, p.metric(t, pagesAt("main/2")))
	for _, r := range replicas {
		require.Greater(t, rowsRead(t, r), 100, "users read at it, by its own account, and not only a few to know its tables by")
	}

	// One that stands still is not read, and one that is there is.
	at := func(i int, statements ...string) {
		db := openMySQL(t, replicas[i].DSN)
		for _, s := range statements {
			_, err := db.ExecContext(t.Context(), s)
			require.NoError(t, err, s)
		}
	}
	at(0, "STOP REPLICA SQL_THREAD")
	testenv.DelayReplica(replicas[1], time.Hour)
	c.change("UPDATE shop_users SET nickname = 'behind' WHERE shop_id = 1002")
	c.announce(ka(1002, time.Now().Add(time.Hour)))
	c.becomes(failover, 1002, "ready")
	c.right(p, 1002)
	c.reads(p, "main/1", 0)
	c.reads(p, "main/2", 0)
	require.Positive(t, p.metric(t, pagesAt("primary")))
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE attempts > 1"))

	// When they have caught up, they are read again.
	at(0, "START REPLICA SQL_THREAD")
	testenv.DelayReplica(replicas[1], 0)
	testenv.AwaitReplica(t, primary, replicas[0])
	c.reads(p, "main/1", 1)
	before := p.metric(t, pagesAt("main/1"))
	c.announce(ka(1003, time.Now().Add(time.Hour)))
	c.becomes(failover, 1003, "ready")
	c.right(p, 1003)
	require.Greater(t, p.metric(t, pagesAt("main/1")), before)
}

func TestARunIsReadyThoughItsReplicaGoesAwayInTheMiddle(t *testing.T) {
	t.Parallel()
	c, _, replicas := replicated(t, 1)
	seed(t, c.source, 1001, 60_000)
	p := c.inProcess()
	c.reads(p, "main/1", 1)
	c.announce(ka(1001, time.Now().Add(time.Hour)))
	c.until(soon, "in the middle", func() bool { return p.metric(t, pagesAt("main/1")) > 20 })
	replicas[0].Kill()
	_, state, _ := c.run(1001)
	require.Equal(t, "warming", state)
	c.becomes(failover, 1001, "ready")
	c.fresh(1001)
	require.Zero(t, c.number("SELECT COUNT(*) FROM units WHERE attempts > 1"))
	require.Positive(t, p.metric(t, pagesAt("primary")))
	require.Positive(t, p.metric(t, `prewarm_replica_out_total{reason="away",replica="main/1"}`))

	seed(t, c.source, 1002, 3000)
	replicas[0].Restart()
	c.reads(p, "main/1", 1)
	before := p.metric(t, pagesAt("main/1"))
	c.announce(ka(1002, time.Now().Add(time.Hour)))
	c.becomes(failover, 1002, "ready")
	c.right(p, 1002)
	require.Greater(t, p.metric(t, pagesAt("main/1")), before)
}
