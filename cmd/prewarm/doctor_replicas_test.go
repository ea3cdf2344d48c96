package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestTheDoctorChecksReplicasThatAreRead(t *testing.T) {
	t.Parallel()
	primary, other := testenv.BinlogMySQL(t), testenv.BinlogMySQL(t)
	execute(t, primary.DSN, "CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
		"CREATE TABLE users (shop_id BIGINT, user_id BIGINT, nick VARCHAR(20), PRIMARY KEY (shop_id, user_id))",
		"CREATE USER r IDENTIFIED BY 'hunter2'", "GRANT SELECT ON test.* TO r")
	replica := testenv.ReplicaMySQL(t, primary, 2)
	s := newStage(t)
	poor := strings.Replace(replica.DSN, "root@", "r:hunter2@", 1)
	text := fmt.Sprintf("%s\nsources: {main: {dsn: %q, read_from: replica, replicas: [%q, %q, %q, %q]}}\n", s.datasets,
		primary.DSN, replica.DSN, other.DSN, "r:hunter2@tcp(127.0.0.1:1)/test", poor)
	file := write(t, "prewarm.yaml", fmt.Sprintf("queue: {url: %q}\ncache: {url: %q}\nledger: {dsn: %q}\ndatasets:%s", s.queue, s.cache, s.ledger, text))
	require.Zero(t, prewarm(t, "", "migrate", "-c", file).code)

	found, code := examined(t, file)
	require.Equal(t, exitFailed, code)
	for _, check := range []string{"replica main/1", "replica main/1 tables", "replica main/1 position"} {
		require.Equal(t, ok, found[check].Status, "%s: %+v", check, found[check])
	}
	require.Equal(t, warn, found["replica main/1 rights"].Status, "root has more")
	for check, want := range map[string]string{"replica main/2": "it is no replica", "replica main/2 tables": "there is no table", "replica main/3": "cannot reach",
		"replica main/4": "ask how it replicates"} {
		require.Equal(t, fail, found[check].Status, "%s: %+v", check, found[check])
		require.Contains(t, found[check].Detail, want)
	}
	require.Contains(t, found["replica main/3"].Remedy, "sources.main.replicas[2]")
	require.NotContains(t, fmt.Sprint(found), "hunter2")

	execute(t, replica.DSN, "STOP REPLICA SQL_THREAD")
	found, _ = examined(t, file)
	require.Equal(t, warn, found["replica main/1"].Status)
	require.Equal(t, "Replica_SQL_Running is No", found["replica main/1"].Detail)
	testenv.DelayReplica(replica, time.Hour)
	execute(t, primary.DSN, "INSERT INTO shops VALUES (7, 'seven')")
	found, _ = examined(t, file)
	require.Equal(t, warn, found["replica main/1 position"].Status, "%+v", found)
}
