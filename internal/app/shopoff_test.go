package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask sends a document and answers the status and what came back.
func (p *pod) ask(t *testing.T, method, path string, body any) (int, map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, bytes.NewReader(text))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	doc := map[string]any{}
	require.NoError(t, json.Unmarshal(answer, &doc), string(answer))
	return res.StatusCode, doc
}

// setShop replaces a shop's settings, as somebody who has just looked at them.
func (p *pod) setShop(t *testing.T, shop int, set map[string]any) map[string]any {
	t.Helper()
	path := fmt.Sprintf("/v1/shops/%d/settings", shop)
	_, is := p.ask(t, "GET", path, nil)
	set["version"], set["reason"] = is["version"], "the test says so"
	status, doc := p.ask(t, "PUT", path, set)
	require.Equal(t, 200, status, doc)
	return doc
}

// writes remembers when the cache was last told to write a key of a shop.
type writes struct {
	mu   sync.Mutex
	last time.Time
	n    int
}

func (w *writes) now() (last time.Time, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last, w.n
}

// watchWrites listens to all that the cache is told.
func (c *cluster) watchWrites(shop int) *writes {
	c.t.Helper()
	write := regexp.MustCompile(fmt.Sprintf(`(?i)\] "(set|hset|hdel|pexpireat|pexpire)" "(user|product|shop):%d[":]`, shop))
	conn, err := (&net.Dialer{}).DialContext(c.t.Context(), "tcp", c.cacheServer.Addr)
	require.NoError(c.t, err)
	_, err = io.WriteString(conn, "MONITOR\r\n")
	require.NoError(c.t, err)
	w, done := &writes{}, make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewReader(conn); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if write.MatchString(line) {
				w.mu.Lock()
				w.last, w.n = time.Now(), w.n+1
				w.mu.Unlock()
			}
		}
	}()
	c.t.Cleanup(func() { _ = conn.Close(); <-done })
	return w
}

// edit writes to shops' tables, only by their keys, until the test ends or stop is called.
func (c *cluster) edit(shops ...int) (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		pace := time.NewTicker(20 * time.Millisecond) // 300 statements a second
		defer pace.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-pace.C
			for _, shop := range shops {
				for _, statement := range []string{
					fmt.Sprintf("UPDATE shop_users SET nickname = 'edit %d' WHERE shop_id = %d AND user_id = %d", i, shop, 3+i%90*3),
					fmt.Sprintf("UPDATE staff SET name = 'edit %d' WHERE id = %d", i, shop*1000+1),
					fmt.Sprintf("INSERT INTO shop_users (shop_id, user_id, nickname, level, balance) VALUES (%d, %d, 'new', 1, 2.5)", shop, 1_000_000+i),
				} {
					_, _ = c.source.ExecContext(c.t.Context(), statement) // one that is broken off may still be carried out, after stop has returned
				}
			}
		}
	}()
	stop = func() { cancel(); <-done }
	c.t.Cleanup(stop)
	return stop
}

// keysOf are the keys of the cache with the forms that a shop's have.
func (c *cluster) keysOf(shop int) (keys []string) {
	c.t.Helper()
	for _, glob := range []string{"user:%d:*", "product:%d:*", "shop:%d", "shop:%d:*"} {
		keys = append(keys, c.cache.Keys(c.t.Context(), fmt.Sprintf(glob, shop)).Val()...)
	}
	slices.Sort(keys)
	return keys
}

// foreign are keys that look as a shop's and are not prewarm's.
var foreign = []string{"product:1001:best", "shop:1001:cart", "user:1001:7:cart", "user:1001:ann"}

func TestAShopThatIsSwitchedOffIsNeitherReadNorWrittenAfterASecond(t *testing.T) {
	t.Parallel()
	c, _ := binlogged(t, "--log-output=TABLE", "--general-log=1")
	c.refreshed()
	c.configure("policy:\n", "policy:\n  page_rows: 1\n  unit_rows: 300\n")
	seed(t, c.source, 1001, manyRows/4)
	seed(t, c.source, 10011, 100)
	p := c.serve()
	c.serve()
	c.serve()
	c.announce(ka(10011, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 10011, "ready")
	for _, key := range foreign {
		require.NoError(t, c.cache.Set(t.Context(), key, "the application's", 0).Err())
	}
	written := c.watchWrites(1001)
	stop := c.edit(1001, 10011)
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.until(soon, "all pods at work, and a refresh", func() bool {
		return c.number("SELECT COUNT(DISTINCT owner) FROM units WHERE state = 'running'") == 3 &&
			c.number("SELECT COUNT(*) FROM freshness WHERE shop_id = '1001' AND refreshed_us > 0") > 0
	})

	set := p.setShop(t, 1001, map[string]any{"off": true, "keys": "remove"})
	answered := time.Now()
	require.EqualValues(t, 1, set["cancelled"])
	var since string
	require.NoError(t, c.source.QueryRowContext(t.Context(), "SELECT NOW(6) + INTERVAL 1 SECOND").Scan(&since))
	_, state, _ := c.run(1001)
	require.Equal(t, "cancelled", state)
	c.until(soon, "its keys are removed", func() bool {
		return c.number("SELECT COUNT(*) FROM removals WHERE shop_id = '1001' AND state = 'done'") == 1 && time.Since(answered) > 4*time.Second
	})
	last, n := written.now()
	require.NotZero(t, n)
	require.Less(t, last.Sub(answered), time.Second)
	t.Logf("the last of %d writes of its keys was seen %s after the answer", n, last.Sub(answered))
	rows, err := c.source.QueryContext(t.Context(), `SELECT argument FROM mysql.general_log WHERE event_time > ? AND argument LIKE '%SELECT%'
		AND argument REGEXP 'shop_users|products|staff|marketing|shops' AND argument REGEXP '[^0-9]1001[^0-9]' AND argument NOT LIKE '%general_log%'`, since)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var text string
		require.NoError(t, rows.Scan(&text))
		t.Error("its tables were read: " + text)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, foreign, c.keysOf(1001), "only what is the application's is left")
	stop()
	c.told()
	c.until(soon, "the other shop is right", func() bool { return len(c.wrong(10011)) == 0 })

	// Nothing gets it going again but the switch.
	again := ka(1001, time.Now().Add(30*time.Minute))
	again["force"] = true
	outcome := p.post(t, "/v1/requests", request(again))["outcomes"].([]any)[0].(map[string]any)
	require.Equal(t, "skipped", outcome["outcome"])
	require.Contains(t, outcome["reason"], "shop 1001 is switched off by ")
	require.Contains(t, outcome["reason"], "the test says so; neither tier nor force overrides that")
	require.Equal(t, "skipped", p.post(t, "/v1/shops/1001/warm", map[string]any{})["outcome"])
	run, _, _ := c.run(1001)
	status, doc := p.ask(t, "POST", "/v1/runs/"+run+"/restart", nil)
	require.Equal(t, 409, status)
	require.Contains(t, doc["detail"], "is switched off")
	told := p.post(t, "/v1/changes", []any{map[string]any{"dataset": "users", "shop": "1001", "key": []string{"3"}}})
	require.Equal(t, map[string]any{"the shop is switched off": 1.0}, told["unneeded"])
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM changes WHERE needed = 0 AND why LIKE 'shop 1001 is switched off by %: the test says so'"))
	require.Zero(t, c.number("SELECT COUNT(*) FROM runs WHERE shop_id = '1001' AND state NOT IN ('cancelled', 'skipped')"))

	require.Contains(t, p.setShop(t, 1001, map[string]any{})["note"], "announced again")
	c.announce(again)
	c.until(failover, "it is warm again", func() bool {
		return c.number("SELECT COUNT(*) FROM runs WHERE shop_id = '1001' AND state = 'ready'") == 1
	})
	c.until(soon, "all of it is right", func() bool { return len(c.wrong(1001)) == 0 })
}

// wrong are keys of a shop that are not in the cache.
func (c *cluster) wrong(shop int) (keys []string) {
	c.t.Helper()
	e := expect(c.t, c.source, shop)
	all := map[string]bool{}
	for _, key := range c.keysOf(shop) {
		all[key] = true
	}
	for key := range e.texts {
		if !all[key] {
			keys = append(keys, key)
		}
	}
	for key := range e.hashes {
		if !all[key] {
			keys = append(keys, key)
		}
	}
	return keys
}
