package testenv_test

import (
	"database/sql"
	"net"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func openMySQL(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func openRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	require.NoError(t, err)
	opts.ContextTimeoutEnabled = true
	opts.MaxRetries = -1
	c := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestEachTestHasItsOwnSchemaThatIsDroppedAfterwards(t *testing.T) {
	var first string
	t.Run("first", func(t *testing.T) {
		first = testenv.MySQL(t)
		_, err := openMySQL(t, first).ExecContext(t.Context(), "CREATE TABLE x (id INT PRIMARY KEY)")
		require.NoError(t, err)
	})
	second := testenv.MySQL(t)
	require.NotEqual(t, first, second)
	schema := first[strings.LastIndex(first, "/")+1:]
	var n int
	require.NoError(t, openMySQL(t, second).QueryRowContext(t.Context(),
		"SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", schema).Scan(&n))
	require.Zero(t, n)
}

func TestEachTestHasItsOwnRedisDatabase(t *testing.T) {
	a, b := openRedis(t, testenv.Redis(t).URL), openRedis(t, testenv.Redis(t).URL)
	require.NoError(t, a.Set(t.Context(), "k", "a", 0).Err())
	require.ErrorIs(t, b.Get(t.Context(), "k").Err(), redis.Nil)
	require.NoError(t, b.FlushDB(t.Context()).Err())
	require.Equal(t, "a", a.Get(t.Context(), "k").Val())
}

func TestOwnRedisComesBackAtItsAddressWithWhatItKept(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	c := openRedis(t, server.URL)
	require.NoError(t, c.Set(t.Context(), "k", "v", 0).Err())
	server.Kill()
	require.Error(t, c.Ping(t.Context()).Err())
	server.Restart()
	require.Equal(t, "v", c.Get(t.Context(), "k").Val())
	server.Stop()
	require.Error(t, c.Ping(t.Context()).Err())
	server.Restart()
	require.Equal(t, "v", c.Get(t.Context(), "k").Val())
}

func TestAFrozenServerKeepsItsConnectionsAndAnswersLater(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	conn, err := net.Dial("tcp", server.Addr)
	require.NoError(t, err)
	defer conn.Close()
	server.Freeze()
	_, err = conn.Write([]byte("PING\r\n"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	answer := make([]byte, 7)
	_, err = conn.Read(answer)
	require.Error(t, err, "a frozen server answered")
	server.Thaw()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Read(answer)
	require.NoError(t, err)
	require.Equal(t, "+PONG\r\n", string(answer))
}

func TestOwnMySQLComesBackWithItsCommittedRows(t *testing.T) {
	t.Parallel()
	server := testenv.OwnMySQL(t)
	db := openMySQL(t, server.DSN)
	_, err := db.ExecContext(t.Context(), "CREATE TABLE x (id INT PRIMARY KEY)")
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "INSERT INTO x VALUES (7)")
	require.NoError(t, err)
	server.Stop()
	require.Error(t, db.PingContext(t.Context()))
	server.Restart()
	var id int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT id FROM x").Scan(&id))
	require.Equal(t, 7, id)
}
