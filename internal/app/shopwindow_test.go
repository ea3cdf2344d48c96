package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// since is what the ready flag says of the users that are too old.
func (c *cluster) since() time.Time {
	c.t.Helper()
	of := c.flagOf(1001, "b-1")["parts"].(map[string]any)["users"].(map[string]any)
	require.Equal(c.t, "created", of["column"])
	at, err := time.Parse(time.DateTime, of["since"].(string))
	require.NoError(c.t, err)
	return at
}

func TestRowsAreKeptThatAreNotTooOldForTheRun(t *testing.T) {
	t.Parallel()
	c := newCluster(t, "page_rows: 10", "unit_rows: 30")
	c.rewrite("    key: user:", "    order: newest\n    window: {column: created, keep: 240h}\n    key: user:")
	seed(t, c.source, 1001, 300)
	c.change("ALTER TABLE shop_users ADD COLUMN created DATETIME", "UPDATE shop_users SET created = UTC_TIMESTAMP() - INTERVAL user_id HOUR",
		"UPDATE shop_users SET created = NULL WHERE user_id = 30")
	p := c.inProcess()
	for _, refused := range []struct {
		set map[string]any
		why string
	}{
		{map[string]any{"products": "24h"}, "dataset products has no window"},
		{map[string]any{"people": "24h"}, "there is no dataset people"},
		{map[string]any{"users": "5m"}, "write a time from 1h0m0s"},
	} {
		status, doc := p.ask(t, "PUT", "/v1/shops/1001/settings", map[string]any{"windows": refused.set, "version": 0, "reason": "x"})
		require.Equal(t, 422, status)
		require.Contains(t, fmt.Sprint(doc), refused.why)
	}
	b := ka(1001, time.Now().Add(30*time.Minute))
	c.announce(b)
	c.readied(1)
	first := c.since()
	require.WithinDuration(t, time.Now().Add(-240*time.Hour), first, time.Minute)
	want := expect(t, c.source, 1001).users(func(id int) bool { return id < 240 && id != 30 })
	c.requireOnly(want, b.ends())
	c.requireAudited(p)

	// The cutoff stands still while the run lasts: rows come and go by what their column says.
	c.change("INSERT INTO shop_users (shop_id, user_id, nickname, level, balance, created) VALUES (1001, 5000, 'new', 1, 2.5, UTC_TIMESTAMP())",
		"UPDATE shop_users SET created = '2020-01-01' WHERE shop_id = 1001 AND user_id = 3", "UPDATE shop_users SET created = UTC_TIMESTAMP() WHERE shop_id = 1001 AND user_id = 600",
		"UPDATE shop_users SET nickname = 'old' WHERE shop_id = 1001 AND user_id = 300", "UPDATE shop_users SET nickname = 'edited' WHERE shop_id = 1001 AND user_id = 6")
	c.tell(p, 5000, 3, 600, 300, 6)
	kept := func(id int) bool { return id < 240 && id != 30 && id != 3 || id == 600 || id == 5000 }
	c.requireOnly(expect(t, c.source, 1001).users(kept), b.ends())
	p.post(t, "/v1/changes", []any{map[string]any{"dataset": "users", "shop": "1001", "op": "refresh"}})
	c.handled()
	c.requireOnly(expect(t, c.source, 1001).users(kept), b.ends())
	c.requireAudited(p)
	require.NoError(t, c.cache.Del(t.Context(), "user:1001:6").Err())
	got := c.audited(p, map[string]any{"repair": true})
	require.Equal(t, []any{1.0, 0.0, 1.0}, []any{got["missing"], got["extra"], got["repaired"]})

	// Planned anew it is moved forward; here by the shop's own, beside a number of rows.
	set := p.setShop(t, 1001, map[string]any{"windows": map[string]any{"users": "72h"}, "max_rows": map[string]any{"users": 290}})
	require.Equal(t, map[string]any{"users": "72h0m0s"}, set["windows"])
	run, _, _ := c.run(1001)
	p.post(t, "/v1/runs/"+run+"/restart", nil)
	c.until(soon, "planned anew", func() bool { return c.number("SELECT COUNT(*) FROM runs WHERE epoch = 2 AND planned_us > 0") == 1 })
	c.readied(1)
	require.WithinDuration(t, first.Add(168*time.Hour), c.since(), time.Minute)
	require.Equal(t, []any{"33"}, c.flagOf(1001, "b-1")["parts"].(map[string]any)["users"].(map[string]any)["after"], "of 301 rows")
	c.requireAudited(p)
	c.change("UPDATE shop_users SET nickname = 'again' WHERE shop_id = 1001 AND user_id IN (27, 36, 69, 81)")
	c.tell(p, 27, 36, 69, 81)
	for id, there := range map[int]int64{27: 0, 36: 1, 69: 1, 81: 0} {
		require.Equal(t, there, c.cache.Exists(t.Context(), fmt.Sprintf("user:1001:%d", id)).Val(), id)
	}
	c.requireAudited(p)
}
