package source

import (
	"context"
	"database/sql"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestWhatAReplicaLacks(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"log_bin": "ON"}
	well := map[string]string{"Master_Server_Id": "1", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Replicate_Do_DB": ""}
	with := func(name, value string) []map[string]string {
		c := maps.Clone(well)
		c[name] = value
		return []map[string]string{c}
	}
	for name, c := range map[string]struct {
		primary          map[string]string
		channels         []map[string]string
		theirs, position string
		what             string
		stops            bool
	}{
		"well":                 {settings, with("Connection_name", ""), "0-1-7", "0-1-9", "", false},
		"of several channels":  {settings, append([]map[string]string{{"Master_Server_Id": "8"}}, well), "0-1-7,5-8-99", "0-1-9", "", false},
		"no replica":           {settings, nil, "", "0-1-9", "it is no replica", true},
		"another's":            {settings, with("Master_Server_Id", "3"), "0-3-7", "0-1-9", "replicates from another server", true},
		"another's, same id":   {settings, with("Connection_name", ""), "0-1-10", "0-1-9", "ahead of the primary", true},
		"filters":              {settings, with("Replicate_Wild_Ignore_Table", "a.%"), "", "0-1-9", "Replicate_Wild_Ignore_Table", true},
		"stopped":              {settings, with("Slave_SQL_Running", "No"), "0-1-7", "0-1-9", "Replica_SQL_Running is No", false},
		"no connection":        {settings, with("Slave_IO_Running", "Connecting"), "0-1-7", "0-1-9", "Replica_IO_Running is Connecting", false},
		"a primary without it": {map[string]string{"log_bin": "OFF"}, with("Connection_name", ""), "", "", "writes no binlog", true},
	} {
		lacks := replicaLacks(true, c.primary, "1", c.channels, ahead(c.theirs, c.position), c.position)
		if c.what == "" {
			require.Empty(t, lacks, name)
			continue
		}
		require.Len(t, lacks, 1, name)
		require.Contains(t, lacks[0].What, c.what, name)
		require.NotEmpty(t, lacks[0].Remedy, name)
		require.Equal(t, c.stops, lacks[0].Stops, name)
	}
	mysql := []map[string]string{{"Source_UUID": "u", "Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes"}}
	require.Empty(t, replicaLacks(false, map[string]string{"log_bin": "ON", "gtid_mode": "ON"}, "u", mysql, false, "u:1-5"))
	require.Len(t, replicaLacks(false, map[string]string{"log_bin": "ON", "gtid_mode": "OFF"}, "u", mysql, false, "u:1-5"), 1)
	require.Len(t, replicaLacks(false, map[string]string{"log_bin": "ON", "gtid_mode": "ON"}, "v", mysql, false, "v:1-5"), 1)
}

func TestWhatOfAPositionIsAServersOwn(t *testing.T) {
	t.Parallel()
	const position = "a-1:1-5:7,\na-11:1-3,\nb-2:1-9:tag:4"
	require.Equal(t, "a-1:1-5:7", ownOf(position, "a-1"))
	require.Equal(t, "b-2:1-9:tag:4", ownOf(position, "b-2"))
	require.Empty(t, ownOf(position, "c-3"))
	require.Empty(t, ownOf("0-1-7", "1"), "MariaDB's")
}

// TestAReplicaOfAPrimaryThatHasBegunAnewIsNotRead: its numbers are those of other transactions, and MySQL has it pass over what comes under them.
func TestAReplicaOfAPrimaryThatHasBegunAnewIsNotRead(t *testing.T) {
	t.Parallel()
	primaryServer := testenv.BinlogMySQL(t)
	replicaServer := testenv.ReplicaMySQL(t, primaryServer, 2)
	primary, err := OpenReplica(t.Context(), "main", 0, config.Source{Replicas: []string{primaryServer.DSN}}, 4)
	require.NoError(t, err)
	defer primary.Close()
	replica, err := OpenReplica(t.Context(), "main", 0, config.Source{Replicas: []string{replicaServer.DSN}}, 4)
	require.NoError(t, err)
	defer replica.Close()
	execute := func(dsn string, statements ...string) {
		db, err := sql.Open("mysql", dsn)
		require.NoError(t, err)
		defer db.Close()
		for _, s := range statements {
			_, err := db.ExecContext(t.Context(), s)
			require.NoError(t, err, s)
		}
	}
	execute(primaryServer.DSN, "CREATE TABLE one (id INT PRIMARY KEY)", "CREATE TABLE two (id INT PRIMARY KEY)")
	testenv.AwaitReplica(t, primaryServer, replicaServer)
	lacks, err := primary.ReplicaLacks(t.Context(), replica)
	require.NoError(t, err)
	require.Empty(t, lacks)

	begin := "RESET BINARY LOGS AND GTIDS"
	if primaryServer.MariaDB() {
		begin = "RESET MASTER"
	}
	execute(replicaServer.DSN, "STOP REPLICA IO_THREAD")
	execute(primaryServer.DSN, begin, "INSERT INTO one VALUES (1)")
	lacks, err = primary.ReplicaLacks(t.Context(), replica)
	require.NoError(t, err)
	require.Len(t, lacks, 1)
	require.Contains(t, lacks[0].What, "it is ahead of the primary")
	require.True(t, lacks[0].Stops)
}

func TestAReplicaIsKnownAndItsPositionAwaited(t *testing.T) {
	t.Parallel()
	primaryServer := testenv.BinlogMySQL(t)
	replicaServer := testenv.ReplicaMySQL(t, primaryServer, 2)
	other := testenv.BinlogMySQL(t)
	open := func(dsn string) *Source {
		s, err := OpenReplica(t.Context(), "main", 0, config.Source{Replicas: []string{dsn}}, 4)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		require.Equal(t, "main/1", s.Name())
		return s
	}
	exec := func(dsn string, statements ...string) {
		db, err := sql.Open("mysql", dsn)
		require.NoError(t, err)
		defer db.Close()
		for _, s := range statements {
			_, err := db.ExecContext(context.WithoutCancel(t.Context()), s)
			require.NoError(t, err, s)
		}
	}
	exec(primaryServer.DSN, "CREATE TABLE users (shop_id INT, user_id INT, nick VARCHAR(20), PRIMARY KEY (shop_id, user_id))")
	primary, replica := open(primaryServer.DSN), open(replicaServer.DSN)
	lacks, err := primary.ReplicaLacks(t.Context(), replica)
	require.NoError(t, err)
	require.Empty(t, lacks)
	lacks, err = primary.ReplicaLacks(t.Context(), open(other.DSN))
	require.NoError(t, err)
	require.Equal(t, "it is no replica", lacks[0].What)

	session, err := replica.DB().Conn(t.Context())
	require.NoError(t, err)
	defer session.Close()
	reached := func(within time.Duration) bool {
		position, err := primary.BinlogPosition(t.Context())
		require.NoError(t, err)
		ok, err := replica.Reached(t.Context(), session, position, within)
		require.NoError(t, err)
		return ok
	}
	exec(primaryServer.DSN, "INSERT INTO users VALUES (1, 1, 'a')")
	require.True(t, reached(20*time.Second))
	spec := dataset.Spec{Name: "users", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "nick"}, Key: "u:{shop}:{user_id}"}
	bound, err := replica.Bind(t.Context(), spec)
	require.NoError(t, err)
	page, err := bound.On(session).ReadPage(t.Context(), "1", "", "", 10, func([]sql.RawBytes) (bool, error) { return true, nil })
	require.NoError(t, err)
	require.Equal(t, 1, page.Rows)

	exec(replicaServer.DSN, "STOP REPLICA SQL_THREAD")
	require.True(t, reached(20*time.Second), "nothing new has come")
	exec(primaryServer.DSN, "ALTER TABLE users MODIFY nick VARCHAR(40)")
	require.False(t, reached(50*time.Millisecond))
	_, err = replica.Reached(t.Context(), session, "", time.Second)
	require.ErrorIs(t, err, errNoPosition, "nothing is not reached at once")
	lacks, err = primary.ReplicaLacks(t.Context(), replica)
	require.NoError(t, err)
	require.Equal(t, "Replica_SQL_Running is No", lacks[0].What)

	at, err := primary.Bind(t.Context(), spec)
	require.NoError(t, err)
	require.ErrorContains(t, at.Alike(bound), "column nick")
	exec(replicaServer.DSN, "START REPLICA SQL_THREAD")
	require.True(t, reached(20*time.Second))
	bound, err = replica.Bind(t.Context(), spec)
	require.NoError(t, err)
	require.NoError(t, at.Alike(bound))
}
