package app_test

import (
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestAStreamOfChangesIsReadInOrderAndGoneOnWith(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 300)
	text, err := os.ReadFile(c.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(c.config, append(text, "feed: {stream: {name: app.changes}}\n"...), 0o600))
	tell := func(values ...any) {
		require.NoError(t, c.queue.XAdd(t.Context(), &redis.XAddArgs{Stream: "app.changes", Values: values}).Err())
	}
	tell("value", `{"database":"app","table":"shop_users","type":"insert","ts":1,"data":{"shop_id":4242,"user_id":1}}`)
	c.inProcess()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.fresh(1001)

	c.change("UPDATE shop_users SET user_id = 100001 WHERE shop_id = 1001 AND user_id = 3", "DELETE FROM shop_users WHERE shop_id = 1001 AND user_id = 6",
		"UPDATE products SET stock = 7777 WHERE product_id = 100100002")
	tell("value", `{"data":[{"shop_id":"1001","user_id":"100001"}],"database":"","es":1795262400000,"isDdl":false,"old":[{"user_id":"3"}],"table":"shop_users","type":"UPDATE"}`)
	tell("key", "7", "value", `{"payload":{"before":{"shop_id":1001,"user_id":6},"after":null,"source":{"db":"","table":"shop_users"},"op":"d"}}`)
	tell("nonsense", "x")
	tell("value", `{"table":"products","op":"update","after":{"shop_id":1001,"product_id":100100002}}`)
	c.until(soon, "read", func() bool { return c.number("SELECT COALESCE(MAX(rows_read), 0) FROM feeds") == 4 })
	c.until(soon, "done", func() bool { return c.number("SELECT COUNT(*) FROM pending") == 0 })
	c.fresh(1001)
}
