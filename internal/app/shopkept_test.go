package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// only drops the keys that do not begin with any of these.
func (e expected) only(prefixes ...string) expected {
	other := func(key string) bool {
		return !slices.ContainsFunc(prefixes, func(p string) bool { return key == p || strings.HasSuffix(p, ":") && strings.HasPrefix(key, p) })
	}
	for key := range e.texts {
		if other(key) {
			delete(e.texts, key)
		}
	}
	for key := range e.hashes {
		if other(key) {
			delete(e.hashes, key)
		}
	}
	return e
}

// handled waits until nothing that was told is left to be done.
func (c *cluster) handled() {
	c.t.Helper()
	c.until(soon, "all changes handled", func() bool {
		return c.number("SELECT COUNT(*) FROM pending") == 0 && c.number("SELECT COUNT(*) FROM changes WHERE needed = 1 AND handled_us = 0") == 0
	})
}

func TestAShopHasTheDatasetsThatItsRunWasPlannedWith(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 300)
	seed(t, c.source, 1002, 100)
	p := c.inProcess()
	status, doc := p.ask(t, "PUT", "/v1/shops/1001/settings", map[string]any{"datasets": []string{"shop", "user"}, "version": 0, "reason": "x"})
	require.Equal(t, 422, status)
	require.Contains(t, fmt.Sprint(doc), "there is no dataset user; there are shop, staff, users, products, marketing")
	require.Empty(t, p.setShop(t, 1001, map[string]any{"datasets": []string{"shop", "products"}})["note"])
	b := ka(1001, time.Now().Add(30*time.Minute))
	c.announce(b, ka(1002, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.becomes(soon, 1002, "ready")
	want := func() expected { return expect(t, c.source, 1001).only("shop:1001", "product:1001:") }
	require.Len(t, c.keysOf(1001), want().keys())
	requireWarm(t, c.cache, want(), b.ends())
	requireWarm(t, c.cache, expect(t, c.source, 1002), b.ends())

	// What is changed: of the dataset that it has it is brought, of the others it is not.
	c.change("UPDATE products SET stock = 5 WHERE product_id = 100100001", "UPDATE shop_users SET nickname = 'edited' WHERE shop_id = 1001 AND user_id = 3")
	told := p.post(t, "/v1/changes", []any{
		map[string]any{"dataset": "users", "shop": "1001", "key": []string{"3"}}, map[string]any{"dataset": "staff"},
		map[string]any{"dataset": "products", "shop": "1001", "key": []string{"100100001"}},
	})
	require.Equal(t, map[string]any{"the shop was warmed without the dataset": 1.0}, told["unneeded"], "the other shop has its staff")
	require.EqualValues(t, 2, told["needed"])
	require.Equal(t, 2, c.number("SELECT COUNT(*) FROM changes WHERE needed = 0 AND shop_id = '1001' AND why = 'the shop was warmed without the dataset'"))
	c.handled()
	require.Zero(t, c.number("SELECT COUNT(*) FROM freshness WHERE shop_id = '1001' AND dataset NOT IN ('shop', 'products')"), "nobody looks for what has changed")
	requireWarm(t, c.cache, want(), b.ends())
	require.Len(t, c.keysOf(1001), want().keys())
	got := c.audited(p, map[string]any{})
	require.Equal(t, []any{"passed", 0.0, 0.0}, []any{got["state"], got["missing"], got["extra"]})
	require.EqualValues(t, want().keys()+expect(t, c.source, 1002).keys(), got["keys"])

	// Given back, they come when the run is restarted, and are kept right.
	require.Contains(t, p.setShop(t, 1001, map[string]any{})["note"], "1 runs of the shop that are planned, warming or ready keep what they were planned with")
	require.Len(t, c.keysOf(1001), want().keys())
	run, _, _ := c.run(1001)
	p.post(t, "/v1/runs/"+run+"/restart", nil)
	c.until(soon, "all of it is there", func() bool { _, state, _ := c.run(1001); return state == "ready" && len(c.wrong(1001)) == 0 })
	c.change("UPDATE shop_users SET nickname = 'again' WHERE shop_id = 1001 AND user_id = 3")
	require.EqualValues(t, 1, p.post(t, "/v1/changes", []any{map[string]any{"dataset": "users", "shop": "1001", "key": []string{"3"}}})["needed"])
	c.handled()
	requireWarm(t, c.cache, expect(t, c.source, 1001), b.ends())
}
