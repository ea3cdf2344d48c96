package app_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireUntil wants all of a shop's keys to expire in the ten minutes of the jitter behind until, and none of its keys to be missing.
func (c *cluster) requireUntil(shop int, until time.Time) {
	c.t.Helper()
	e := expect(c.t, c.source, shop)
	for key, at := range c.expiries(e) {
		if at.Before(until) || at.After(until.Add(10*time.Minute+time.Millisecond)) {
			c.t.Fatalf("%s expires at %s, and is needed until %s", key, at, until)
		}
	}
}

// flagOf is the ready flag of a broadcast of a shop, when it is there.
func (c *cluster) flagOf(shop int, broadcast string) (flag map[string]any) {
	c.t.Helper()
	key := fmt.Sprintf("prewarm:{%d}:ready:%s", shop, broadcast)
	c.until(soon, "flag "+key, func() bool { return c.queue.Exists(c.t.Context(), key).Val() == 1 })
	require.NoError(c.t, json.Unmarshal([]byte(c.queue.Get(c.t.Context(), key).Val()), &flag))
	return flag
}

// readied waits until all runs are ready, and nothing of them is open.
func (c *cluster) readied(runs int) {
	c.t.Helper()
	c.until(soon, fmt.Sprintf("%d runs ready", runs), func() bool {
		return c.number("SELECT COUNT(*) FROM runs WHERE state = 'ready' AND flagged_us > 0") == runs &&
			c.number("SELECT COUNT(*) FROM units u JOIN runs r ON r.run_id = u.run_id AND r.epoch = u.epoch WHERE u.state <> 'done' OR u.touch = 1") == 0
	})
}

// requireAudited wants an audit to find nothing.
func (c *cluster) requireAudited(p *pod) {
	c.t.Helper()
	got := c.audited(p, map[string]any{})
	for _, what := range []string{"missing", "different", "extra", "wrong_expiry"} {
		require.EqualValues(c.t, 0, got[what], what)
	}
	require.Equal(c.t, "passed", got["state"])
}

func TestKeysLiveAsLongAsTheShopsRunsWerePlannedWith(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 300)
	seed(t, c.source, 1002, 100)
	p := c.inProcess()
	for set, why := range map[string]string{"20s": "from 1m0s to 168h0m0s", "169h": "from 1m0s", "soon": "as 2h"} {
		status, doc := p.ask(t, "PUT", "/v1/shops/1001/settings", map[string]any{"after_end": set, "version": 0, "reason": "x"})
		require.Equal(t, 422, status)
		require.Contains(t, fmt.Sprint(doc), why)
	}

	// By the policy first; then a shorter broadcast whose keys live longer, and one that would shorten them.
	first := ka(1001, time.Now().Add(30*time.Minute))
	c.announce(first, ka(1002, time.Now().Add(30*time.Minute)))
	c.readied(2)
	c.requireUntil(1001, first.ends().Add(30*time.Minute))
	set := p.setShop(t, 1001, map[string]any{"after_end": "2h"})
	require.Equal(t, "2h0m0s", set["after_end"])
	require.Contains(t, set["note"], "1 runs of the shop that are planned, warming or ready keep")
	second := ka(1001, time.Now().Add(30*time.Minute))
	second["broadcast_id"], second["ends_at"] = "b-2", first.ends().Add(-time.Hour)
	c.announce(second)
	c.readied(3)
	long := second.ends().Add(2 * time.Hour)
	c.requireUntil(1001, long)
	p.setShop(t, 1001, map[string]any{"after_end": "1m"})
	third := ka(1001, time.Now().Add(30*time.Minute))
	third["broadcast_id"], third["ends_at"] = "b-3", first.ends().Add(10*time.Minute)
	c.announce(third)
	c.readied(4)
	c.requireUntil(1001, long)
	c.requireUntil(1002, first.ends().Add(30*time.Minute))
	for broadcast, until := range map[string]time.Time{"b-1": first.ends().Add(30 * time.Minute), "b-2": long, "b-3": third.ends().Add(time.Minute)} {
		require.Equal(t, until.Format(time.RFC3339), c.flagOf(1001, broadcast)["keys_until"], broadcast)
	}
	c.requireAudited(p)

	// What has changed lives as long.
	c.change("UPDATE shop_users SET nickname = 'edited' WHERE shop_id = 1001 AND user_id = 3")
	p.post(t, "/v1/changes", []any{map[string]any{"dataset": "users", "shop": "1001", "key": []string{"3"}}})
	c.handled()
	c.requireUntil(1001, long)

	// A broadcast that runs over moves them by its own time, found in the cache.
	rows := c.number("SELECT SUM(rows_done) FROM units")
	second["ends_at"] = first.ends().Add(time.Hour)
	p.post(t, "/v1/requests", request(second))
	long = second.ends().Add(2 * time.Hour)
	c.until(soon, "moved", func() bool { return c.number("SELECT COUNT(*) FROM events WHERE stage = 'expiries_moved'") == 2 })
	c.readied(4)
	c.requireUntil(1001, long)
	require.Equal(t, long.Format(time.RFC3339), c.flagOf(1001, "b-2")["keys_until"])
	require.Equal(t, rows, c.number("SELECT SUM(rows_done) FROM units"))
	c.requireAudited(p)
}

func TestARunThatIsRestartedFollowsItsShopsSettings(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.configureMissing()
	seed(t, c.source, 1001, 300)
	p := c.inProcess()
	p.setShop(t, 1001, map[string]any{"after_end": "3h"})
	b := ka(1001, time.Now().Add(30*time.Minute))
	c.announce(b)
	c.readied(1)
	c.requireUntil(1001, b.ends().Add(3*time.Hour))
	theirs := time.Now().Add(12 * time.Hour).Truncate(time.Second)
	require.NoError(t, c.cache.PExpireAt(t.Context(), "product:1001:100100001", theirs).Err())

	require.Contains(t, p.setShop(t, 1001, map[string]any{})["note"], "1 runs")
	run, _, _ := c.run(1001)
	p.post(t, "/v1/runs/"+run+"/restart", nil)
	c.until(soon, "planned anew", func() bool { return c.number("SELECT COUNT(*) FROM runs WHERE epoch = 2 AND planned_us > 0") == 1 })
	c.readied(1)
	require.Equal(t, theirs.UnixMilli(), c.cache.PExpireTime(t.Context(), "product:1001:100100001").Val().Milliseconds(), "the application's key is left alone")
	require.NoError(t, c.cache.PExpireAt(t.Context(), "product:1001:100100001", b.ends().Add(35*time.Minute)).Err())
	c.requireUntil(1001, b.ends().Add(30*time.Minute))
	require.Zero(t, c.number("SELECT after_us FROM runs"))
}

// configureMissing has the products written only where the application has none.
func (c *cluster) configureMissing() {
	c.rewrite("    value: hash\n  - name: marketing", "    value: hash\n    write: missing\n  - name: marketing")
}
