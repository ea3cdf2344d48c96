package guard

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func openDB(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func openRedis(t testing.TB, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	require.NoError(t, err)
	opts.ContextTimeoutEnabled = true
	client := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestThreadsRunningCountsWhatRuns(t *testing.T) {
	t.Parallel()
	server := testenv.OwnMySQL(t)
	db := openDB(t, server.DSN)
	alone := 1.0 // the reading itself; a server that has just started may have more at first
	if !server.MariaDB() {
		alone++ // its event scheduler runs unless it is told not to
	}
	require.Eventually(t, func() bool {
		now, err := ReadThreadsRunning(t.Context(), db)
		return err == nil && now == alone
	}, 10*time.Second, 10*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	for range 3 {
		go func() {
			defer func() { done <- struct{}{} }()
			_, _ = db.ExecContext(ctx, "SELECT SLEEP(20)")
		}()
	}
	require.Eventually(t, func() bool {
		now, err := ReadThreadsRunning(t.Context(), db)
		return err == nil && now == alone+3
	}, 10*time.Second, 10*time.Millisecond)
	cancel()
	for range 3 {
		<-done
	}
}

func TestConnectionsAreAShareOfTheLimit(t *testing.T) {
	t.Parallel()
	db := openDB(t, testenv.OwnMySQL(t, "--max-connections=20").DSN)
	var conns []*sql.Conn
	for range 9 {
		c, err := db.Conn(t.Context())
		require.NoError(t, err)
		conns = append(conns, c)
	}
	share, err := ReadConnections(t.Context(), db)
	require.NoError(t, err)
	require.InDelta(t, 10.0/20, share, 1.0/20)
	for _, c := range conns {
		require.NoError(t, c.Close())
	}
}

func TestReplicaLag(t *testing.T) {
	t.Parallel()
	replica := testenv.OwnMySQL(t, "--server-id=2")
	db := openDB(t, replica.DSN)
	_, err := ReadReplicaLag(t.Context(), db)
	require.ErrorIs(t, err, ErrNotReplicating, "a server without a source has no lag")

	// The address is that of nobody: replication is set up and does not run.
	from := "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=1, SOURCE_USER='x', SOURCE_PASSWORD='x'"
	if replica.MariaDB() {
		from = "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x', MASTER_PASSWORD='x'"
	}
	_, err = db.ExecContext(t.Context(), from)
	require.NoError(t, err)
	_, err = ReadReplicaLag(t.Context(), db)
	require.ErrorIs(t, err, ErrNotReplicating)
}

func TestTheLagOfARunningReplica(t *testing.T) {
	t.Parallel()
	primary := testenv.BinlogMySQL(t)
	replica := testenv.ReplicaMySQL(t, primary, 2)
	here, there := openDB(t, primary.DSN), openDB(t, replica.DSN)
	becomes := func(what string, is func(lag float64, err error) bool) {
		t.Helper()
		require.Eventually(t, func() bool { return is(ReadReplicaLag(t.Context(), there)) }, 20*time.Second, 20*time.Millisecond, what)
	}
	becomes("caught up", func(lag float64, err error) bool { return err == nil && lag == 0 })
	testenv.DelayReplica(replica, time.Hour)
	_, err := here.ExecContext(t.Context(), "CREATE TABLE late (id INT PRIMARY KEY)")
	require.NoError(t, err)
	becomes("behind", func(lag float64, err error) bool { return err == nil && lag >= 1 })
	_, err = there.ExecContext(t.Context(), "STOP REPLICA SQL_THREAD")
	require.NoError(t, err)
	becomes("stopped", func(_ float64, err error) bool { return errors.Is(err, ErrNotReplicating) })
}

func TestReplicaLagIsTheGreatestOfAllChannels(t *testing.T) {
	t.Parallel()
	lag, err := lagOf([]map[string]string{{"Channel_Name": "a", "Seconds_Behind_Master": "3"}, {"Channel_Name": "b", "Seconds_Behind_Master": "12"}})
	require.NoError(t, err)
	require.InEpsilon(t, 12.0, lag, 1e-9)
	lag, err = lagOf([]map[string]string{{"Seconds_Behind_Source": "0"}})
	require.NoError(t, err)
	require.Zero(t, lag)
	_, err = lagOf([]map[string]string{{"Seconds_Behind_Source": "3"}, {"Seconds_Behind_Source": ""}})
	require.ErrorIs(t, err, ErrNotReplicating)
}

func TestCanaryMeasuresAndATimeoutIsAReading(t *testing.T) {
	t.Parallel()
	db := openDB(t, testenv.MySQL(t))
	took, err := ReadCanary(t.Context(), db, "SELECT SLEEP(0.05)")
	require.NoError(t, err)
	require.GreaterOrEqual(t, took, 0.05)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	took, err = ReadCanary(ctx, db, "SELECT SLEEP(20)")
	require.NoError(t, err)
	require.GreaterOrEqual(t, took, 0.1)

	_, err = ReadCanary(t.Context(), db, "SELECT nonsense")
	require.ErrorContains(t, err, "canary")
}

func TestTheMemoryThatMayBeCountedOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m    Memory
		size int64
		want float64
	}{
		"no limit is known":                  {Memory{Used: 100}, 0, 0},
		"what the server allows":             {Memory{Used: 100, Fullest: 0.5}, 0, 0.5},
		"a size less than that":              {Memory{Used: 100, Fullest: 0.5}, 125, 0.8},
		"a size beyond it":                   {Memory{Used: 100, Fullest: 0.5}, 1000, 0.5},
		"a size, and no limit is known":      {Memory{Used: 100}, 1000, 0.1},
		"a size, and a full master of a few": {Memory{Used: 100, Fullest: 0.9}, 400, 0.9},
	} {
		require.InDelta(t, c.want, c.m.Share(c.size), 1e-9, name)
	}
}

func TestRedisReaders(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t, "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
	db := openRedis(t, server.URL)
	took, err := ReadRedisLatency(t.Context(), pinger(t, db))
	require.NoError(t, err)
	require.Greater(t, took, 0.0)

	var evictions RedisEvictionsReader
	began := time.Now()
	rate, err := evictions.Read(t.Context(), db, began)
	require.NoError(t, err)
	require.Zero(t, rate, "there is no rate on the first reading")

	used, err := ReadRedisMemory(t.Context(), db, 0)
	require.NoError(t, err)
	require.Greater(t, used, 0.05)
	for i := range 600 {
		require.NoError(t, db.Set(t.Context(), fmt.Sprint("k", i), make([]byte, 16<<10), 0).Err())
	}
	full, err := ReadRedisMemory(t.Context(), db, 0)
	require.NoError(t, err)
	require.Greater(t, full, 0.9)
	twice, err := ReadRedisMemory(t.Context(), db, 2<<20)
	require.NoError(t, err)
	require.Greater(t, twice, 1.8, "half of maxmemory may be counted on")
	rate, err = evictions.Read(t.Context(), db, began.Add(2*time.Second))
	require.NoError(t, err)
	require.Greater(t, rate, 10.0, "600 keys of 16 KiB do not fit into 4 MiB")

	free, err := ReadRedisBlocked(t.Context(), db)
	require.NoError(t, err)
	require.InEpsilon(t, 1.0, free, 1e-9)
	blocked := make(chan error, 1)
	waiting := openRedis(t, server.URL)
	go func() { blocked <- waiting.BLPop(t.Context(), 20*time.Second, "nothing").Err() }()
	require.Eventually(t, func() bool {
		n, err := ReadRedisBlocked(t.Context(), db)
		return err == nil && n == 2
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, db.RPush(t.Context(), "nothing", "x").Err())
	require.NoError(t, <-blocked)
}

func TestEvictionsAfterARestartCountFromZero(t *testing.T) {
	t.Parallel()
	r := &RedisEvictionsReader{last: map[string]float64{"": 1e6}, at: time.Unix(100, 0)}
	rate, err := r.Read(t.Context(), openRedis(t, testenv.Redis(t).URL), time.Unix(101, 0))
	require.NoError(t, err)
	require.Zero(t, rate)
}

func TestAFrozenRedisIsALatency(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	db := openRedis(t, server.URL)
	require.NoError(t, db.Ping(t.Context()).Err())
	server.Freeze()
	defer server.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	took, err := ReadRedisLatency(ctx, pinger(t, db))
	require.NoError(t, err)
	require.Greater(t, took, 0.1, "the context's 200 ms had begun a moment before")
}

func TestTheLagOfAReplicaThatIsReadHoldsNothing(t *testing.T) {
	t.Parallel()
	g, now := ReadReplica("main/1"), time.Now()
	require.Equal(t, Grow, g.Judge(now).Zone, "it was never reached")
	g.Observe(3600, now)
	v := g.Judge(now)
	require.Equal(t, Grow, v.Zone)
	require.Equal(t, "replica_lag{main/1} 1h0m0s", v.Reason)
	g.Fail(ErrNotReplicating)
	require.Equal(t, Grow, g.Judge(now).Zone)
}

func pinger(t *testing.T, db redis.UniversalClient) func(context.Context) (time.Duration, error) {
	p := redisconn.NewPinger(db)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p.Ping
}
