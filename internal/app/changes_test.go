package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/tasks"
)

// stale says what of a shop is not in the cache as it should be, or "".
func stale(t *testing.T, cache *redis.Client, e expected) string {
	t.Helper()
	texts, hashes := map[string]*redis.StringCmd{}, map[string]*redis.MapStringStringCmd{}
	_, err := cache.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for key := range e.texts {
			texts[key] = p.Get(t.Context(), key)
		}
		for key := range e.hashes {
			hashes[key] = p.HGetAll(t.Context(), key)
		}
		return nil
	})
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it bare
		require.NoError(t, err)
	}
	for key, want := range e.texts {
		var got any
		d := json.NewDecoder(strings.NewReader(texts[key].Val()))
		d.UseNumber()
		if d.Decode(&got) != nil || !equal(want, got) && fmt.Sprint(want) != fmt.Sprint(got) {
			return fmt.Sprintf("%s is %v, not %v", key, got, want)
		}
	}
	for key, want := range e.hashes {
		if got := hashes[key].Val(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Sprintf("%s is %v, not %v", key, got, want)
		}
	}
	if n := dataKeys(t, cache); n != e.keys() {
		return fmt.Sprintf("there are %d keys, not %d", n, e.keys())
	}
	return ""
}

// fresh waits until a shop is in the cache as it stands in the source, and nothing else is.
func (c *cluster) fresh(shop int) {
	c.t.Helper()
	deadline := time.Now().Add(soon)
	for {
		why := stale(c.t, c.cache, expect(c.t, c.source, shop))
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			c.dump()
			c.t.Fatal(why)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *cluster) change(statements ...string) {
	c.t.Helper()
	for _, s := range statements {
		_, err := c.source.ExecContext(c.t.Context(), s)
		require.NoError(c.t, err, s)
	}
}

func TestWhatIsToldOfChangesIsBroughtIntoTheCache(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 300)
	p := c.inProcess()
	starts := time.Now().Add(30 * time.Minute)
	c.announce(ka(1001, starts))
	c.becomes(soon, 1001, "ready")
	c.fresh(1001)

	c.change(
		"UPDATE shop_users SET nickname = 'edited' WHERE shop_id = 1001 AND user_id = 3",
		"DELETE FROM shop_users WHERE shop_id = 1001 AND user_id = 6",
		"UPDATE shop_users SET deleted_at = NOW() WHERE shop_id = 1001 AND user_id = 9",
		"INSERT INTO shop_users VALUES (1001, 100000, 'new', 1, 2.5, NULL, NULL)",
		"UPDATE products SET note = NULL, stock = 5 WHERE product_id = 100100001",
		"UPDATE staff SET name = 'Bob' WHERE id = 1001001",
		"DELETE FROM marketing WHERE id = 1001001",
	)
	answer := p.post(t, "/v1/changes", []any{
		map[string]any{"dataset": "users", "shop": "1001", "key": []string{"3"}, "op": "update", "who": "crm"},
		map[string]any{"dataset": "users", "shop": 1001, "key": 6, "op": "delete"},
		map[string]any{"table": "shop_users", "after": map[string]any{"shop_id": 1001, "user_id": 9}, "op": "hide"},
		map[string]any{"database": "elsewhere", "table": "shop_users", "type": "insert", "ts": 1, "data": map[string]any{"shop_id": 1001, "user_id": 100000}},
		map[string]any{"table": "nothing_of_ours", "shop": "1001"},
		map[string]any{"dataset": "users", "shop": "4242", "key": []string{"1"}},
		map[string]any{"dataset": "users", "shop": "12abc", "key": []string{"1"}},
		map[string]any{"dataset": "users", "shop": "1001", "key": []string{"1", "2"}},
		7,
	})
	require.EqualValues(t, 8, answer["changes"])
	require.EqualValues(t, 3, answer["needed"])
	require.Len(t, answer["invalid"], 1)
	require.Equal(t, map[string]any{"no dataset is read from it": 2.0, "the shop is not in the cache": 1.0, "there can be no such shop": 1.0, "the key does not fit the dataset": 1.0}, answer["unneeded"])

	task, err := tasks.NewChanges(tasks.Changes{Changes: []tasks.Change{
		{Table: "shop_users", After: map[string]any{"shop_id": 1001, "user_id": 100000}, Op: "insert"},
		{Dataset: "products", Shop: "1001", Key: []string{"100100001"}},
		{Table: "staff", After: map[string]any{"id": 1001001, "shop_id": 1001}, Op: "update"},
		{Dataset: "marketing", Shop: "1001"},
	}})
	require.NoError(t, err)
	_, err = c.client.EnqueueContext(t.Context(), task, asynq.TaskID("changes"))
	require.NoError(t, err)
	c.fresh(1001)
	requireWarm(t, c.cache, expect(t, c.source, 1001), starts.Truncate(time.Second).Add(2*time.Hour))
	t.Cleanup(func() {
		if t.Failed() {
			c.show("SELECT CONCAT_WS(' ', via, about, shop_id, op, needed, handled_us) FROM changes")
			c.show("SELECT CONCAT_WS(' ', shop_id, dataset, row_key) FROM pending")
		}
	})
	c.until(soon, "all handled", func() bool { // a task may be worked on twice, and then says so twice
		return c.number("SELECT COUNT(*) FROM pending") == 0 && c.number("SELECT COUNT(*) FROM changes WHERE needed = 1 AND handled_us = 0") == 0 &&
			c.number("SELECT COUNT(*) FROM changes WHERE needed = 1") >= 7
	})
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM changes WHERE who = 'crm' AND via = 'http' AND handled_by = '"+p.id+"'"))
}

func TestAFloodOfChangesIsNoMoreWorkThanTheRowsItTouches(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 1000)
	p := c.inProcess()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.change("UPDATE shop_users SET nickname = 'flood' WHERE shop_id = 1001", "DELETE FROM shop_users WHERE shop_id = 1001 AND user_id % 9 = 0")
	for range 2 {
		var doc []any
		for i := range 5000 {
			doc = append(doc, map[string]any{"dataset": "users", "shop": "1001", "key": []string{fmt.Sprint(3 + i%1000*3)}})
		}
		require.EqualValues(t, 5000, p.post(t, "/v1/changes", doc)["needed"])
		require.LessOrEqual(t, c.number("SELECT COUNT(*) FROM pending"), 1000)
	}
	c.fresh(1001)
	c.until(soon, "all handled", func() bool { return c.number("SELECT COUNT(*) FROM pending") == 0 })
	require.Zero(t, c.number("SELECT COUNT(*) FROM changes WHERE needed = 1 AND handled_us = 0"))
}

// show logs what a query finds, a text a row.
func (c *cluster) show(query string) {
	rows, err := c.ledger.Query(query)
	if err != nil {
		c.t.Log(err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		c.t.Log(rows.Scan(&text), text)
	}
}
