package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// TestTheDoctorKnowsTheLeastRights gives the users what docs/grants.md says, then more, then less.
func TestTheDoctorKnowsTheLeastRights(t *testing.T) {
	t.Parallel()
	server, db := testenv.BinlogMySQL(t), testenv.OwnRedis(t)
	execute(t, server.DSN, "CREATE DATABASE shop", "CREATE TABLE shop.shops (id BIGINT PRIMARY KEY, name VARCHAR(20))",
		"CREATE TABLE shop.users (shop_id BIGINT, user_id BIGINT, nick VARCHAR(20), PRIMARY KEY (shop_id, user_id))")
	opts, err := redis.ParseURL(db.URL)
	require.NoError(t, err)
	root := redis.NewClient(opts)
	defer func() { require.NoError(t, root.Close()) }()
	acl := func(words ...string) {
		args := []any{"acl", "setuser"}
		for _, w := range words {
			args = append(args, w)
		}
		require.NoError(t, root.Do(t.Context(), args...).Err())
	}
	for _, b := range blocks(pageText(t, "grants")) {
		switch {
		case b.language == "sql" && b.of(server):
			for _, statement := range strings.Split(strings.TrimSpace(b.text), ";\n") {
				execute(t, server.DSN, strings.TrimSuffix(statement, ";"))
			}
		case b.language == "acl":
			acl(strings.Fields(b.text)[1:]...)
		}
	}
	url := func(user string) string { return fmt.Sprintf("redis://%s:change-me@%s/0", user, db.Addr) }
	s := stage{queue: url("prewarm_queue"), cache: url("prewarm_cache"), datasets: goodDatasets + "\nfeed: {binlog: {}}\n",
		ledger: "prewarm:change-me@tcp(" + server.Addr + ")/prewarm", source: "prewarm_reader:change-me-too@tcp(" + server.Addr + ")/shop"}
	file := s.file(t, "")
	require.Zero(t, prewarm(t, "", "migrate", "-c", file).code)
	all := []string{"queue rights", "cache rights", "ledger rights", "source main rights", "source main binlog"}
	found, code := examined(t, file)
	require.Zero(t, code, found)
	for _, check := range all {
		require.Equal(t, ok, found[check].Status, "%s: %+v", check, found[check])
	}

	acl("prewarm_queue", "+config|get", "allkeys")
	acl("prewarm_cache", "+client|list")
	execute(t, server.DSN, "GRANT TRIGGER ON prewarm.* TO prewarm", "GRANT INSERT ON shop.users TO prewarm_reader")
	found, code = examined(t, file)
	require.Zero(t, code, "more than is needed works")
	for check, want := range map[string]string{"queue rights": "run CONFIG", "cache rights": "connections", "ledger rights": "TRIGGER on `prewarm`.*",
		"source main rights": "INSERT on `shop`.`users`"} {
		require.Equal(t, warn, found[check].Status, "%s: %+v", check, found[check])
		require.Contains(t, found[check].Detail, want)
		require.Contains(t, found[check].Remedy, "prewarm help grants")
	}

	for _, right := range []string{"scan", "watch", "unwatch", "unlink"} { // what only audits and their repairs need
		acl("prewarm_cache", "-"+right)
		found, code = examined(t, file)
		require.Equal(t, exitFailed, code)
		require.Contains(t, found["cache rights"].Detail, right)
		acl("prewarm_cache", "+"+right)
	}
	keys, err := root.Keys(t.Context(), "*doctor:*").Result()
	require.NoError(t, err)
	require.Empty(t, keys, "nothing is left of what was tried")

	acl("prewarm_queue", "-zadd")
	acl("prewarm_cache", "resetkeys", "~prewarm:*", "~shop:*")
	found, code = examined(t, file)
	require.Equal(t, exitFailed, code)
	require.Contains(t, found["queue rights"].Detail, "zadd on keys such as asynq:")
	require.Contains(t, found["cache rights"].Detail, "user:doctor:doctor")
}
