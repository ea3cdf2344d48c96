package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// audited asks for an audit and waits for its end.
func (c *cluster) audited(p *pod, ask map[string]any) (got map[string]any) {
	c.t.Helper()
	id := p.post(c.t, "/v1/audits", ask)["audit_id"].(string)
	c.until(soon, "audited", func() bool {
		got = nil
		require.NoError(c.t, json.Unmarshal([]byte(p.get(c.t, "/v1/audits/"+id)), &got))
		return got["state"] != "waiting" && got["state"] != "running"
	})
	return got
}

func TestAnAuditFindsWhatIsWrongAndRepairsIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 500)
	seed(t, c.source, 1002, 100)
	p := c.inProcess()
	b := ka(1001, time.Now().Add(time.Hour))
	c.announce(b, ka(1002, time.Now().Add(time.Hour)))
	c.becomes(soon, 1001, "ready")
	c.becomes(soon, 1002, "ready")
	got := c.audited(p, map[string]any{})
	require.Equal(t, "passed", got["state"])
	require.EqualValues(t, expect(t, c.source, 1001).keys()+expect(t, c.source, 1002).keys(), got["keys"])

	ctx := t.Context()
	require.NoError(t, c.cache.Del(ctx, "user:1001:3").Err())
	require.NoError(t, c.cache.Set(ctx, "user:1001:1", "{}", time.Hour).Err())
	require.NoError(t, c.cache.Persist(ctx, "product:1001:100100001").Err())
	got = c.audited(p, map[string]any{"shop_id": "1002"})
	require.Equal(t, "passed", got["state"], "the other shop is whole")
	got = c.audited(p, map[string]any{"shop_id": "1001"})
	require.Equal(t, "failed", got["state"])
	require.Equal(t, []any{1., 0., 1., 1., 0.}, []any{got["missing"], got["different"], got["extra"], got["wrong_expiry"], got["repaired"]})
	require.Len(t, got["findings"], 3)
	got = c.audited(p, map[string]any{"shop_id": "1001", "repair": true})
	require.Equal(t, "passed", got["state"])
	requireWarm(t, c.cache, expect(t, c.source, 1001), b.ends())
	require.Zero(t, c.cache.Exists(ctx, "user:1001:1").Val())
	require.Contains(t, p.get(t, "/v1/alerts"), "audit_failed")
	require.Contains(t, p.get(t, "/metrics"), `prewarm_audit_findings_total{kind="extra"} 2`)
}

func TestAPausedShopIsNotAudited(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seed(t, c.source, 1001, 100)
	p := c.inProcess()
	c.announce(ka(1001, time.Now().Add(time.Hour)))
	c.becomes(soon, 1001, "ready")
	p.post(t, "/v1/shops/1001/pause", nil)
	id := p.post(t, "/v1/audits", map[string]any{"shop_id": "1001"})["audit_id"].(string)
	c.until(soon, "claimed", func() bool { return c.number("SELECT COUNT(*) FROM audits WHERE state = 'running'") == 1 })
	reads := c.number("SELECT rows_read FROM audits")
	require.Zero(t, reads)
	p.post(t, "/v1/shops/1001/resume", nil)
	c.until(soon, "passed", func() bool {
		return c.number("SELECT COUNT(*) FROM audits WHERE audit_id = ? AND state = 'passed'", id) == 1
	})
}

func TestARunIsAnnouncedWhenItsAuditHasPassed(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"audited", "sampled"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "ready_when: "+when)
			seed(t, c.source, 1001, 300)
			c.inProcess()
			c.announce(ka(1001, time.Now().Add(time.Hour)))
			flag := "prewarm:{1001}:ready:b-1"
			c.until(soon, "announced", func() bool { return c.queue.Exists(t.Context(), flag).Val() == 1 })
			require.Equal(t, 1, c.number("SELECT COUNT(*) FROM audits WHERE kind = 'ready' AND state = 'passed' AND keys_seen > 0"))
			c.until(soon, "recorded, behind the flag", func() bool {
				return c.number("SELECT COUNT(*) FROM runs WHERE audited_us = ready_us AND flagged_us >= audited_us AND NOT late") == 1
			})
			c.until(soon, "lease released", func() bool { return c.queue.Exists(t.Context(), "prewarm:{1001}:lease").Val() == 0 })
		})
	}
}
