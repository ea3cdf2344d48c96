package app_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/faults/proxy"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// axe finds what keeps people with a screen reader, a keyboard or weak eyes out of a page: axe-core 4.14.1, unchanged.
//
//go:embed testdata/axe/axe.min.js
var axe string

const (
	boardViewer   = "viewer-0123456789"
	boardOperator = "operator-0123456789"
)

// rewrite changes a line of the configuration.
func (c *cluster) rewrite(old, now string) {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	require.NoError(c.t, err)
	require.Contains(c.t, string(text), old)
	require.NoError(c.t, os.WriteFile(c.config, []byte(strings.Replace(string(text), old, now, 1)), 0o600))
}

// guarded gives the pods' HTTP two tokens, and the cluster a width that follows what people set.
func (c *cluster) guarded() {
	c.t.Helper()
	c.rewrite(`http: {listen: "127.0.0.1:0"}`, fmt.Sprintf(
		`http: {listen: "127.0.0.1:0", tokens: [{name: grafana, role: viewer, token: %s}, {name: on-call, role: operator, token: %s}]}`, boardViewer, boardOperator))
	c.rewrite("width: {min: 4, max: 8, max_per_pod: 4}", "width: {min: 1, max: 8, max_per_pod: 8}")
}

// onBoard is a board in a browser.
type onBoard struct {
	t *testing.T
	*testenv.Page
}

// logIn opens the board and gives a token.
func logIn(t *testing.T, p *testenv.Page, url, token string) onBoard {
	t.Helper()
	p.Go(url + "/")
	p.Until(soon, `document.querySelector("#token")`)
	p.Click(`document.querySelector("#token")`)
	p.Press(token, "Enter")
	p.Until(soon, `document.querySelector("#live.on")`)
	return onBoard{t, p}
}

func visible(selector string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((n) => n.checkVisibility())`, selector)
}

// press clicks on the button that is called so.
func (b onBoard) press(label string) {
	b.t.Helper()
	find := fmt.Sprintf(`%s.find((n) => n.textContent.startsWith(%q))`, visible("button"), label)
	b.Until(soon, find)
	b.Click(find)
}

// does answers the dialog that a button has opened: a value for each field, the reason last.
func (b onBoard) does(reason string, values map[string]string) {
	b.t.Helper()
	b.Until(soon, `document.querySelector("#ask").open`)
	for id, value := range values {
		b.Eval(fmt.Sprintf(`document.getElementById(%q).select()`, id), nil)
		b.Press(value)
	}
	b.Eval(`document.querySelector("#ask-reason").focus()`, nil)
	b.Press(reason, "Enter")
	b.Until(soon, `!document.querySelector("#ask").open`)
}

// lane is the expression for the lane of a shop.
func lane(shop int) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#lanes li")].find((n) => n.querySelector("b").textContent === "%d")`, shop)
}

func loaded(shop int) string {
	return fmt.Sprintf(`parseInt(%s.querySelector(".loaded").innerText.replace(/\D/g, ""))`, lane(shop))
}

// accessible fails on what axe finds.
func (b onBoard) accessible(what string) {
	b.t.Helper()
	accessible(b.t, b.Page, what)
}

func accessible(t *testing.T, p *testenv.Page, what string) {
	t.Helper()
	var found []struct {
		ID, Help string
		Nodes    []struct{ HTML, FailureSummary string }
	}
	p.Eval(axe+`; axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => ({id: v.id, help: v.help,
		nodes: v.nodes.slice(0, 3).map((n) => ({html: n.html, failureSummary: n.failureSummary}))})))`, &found)
	if len(found) > 0 {
		text, _ := json.MarshalIndent(found, "", " ")
		t.Errorf("axe finds in %s: %s", what, text)
	}
}

func TestAnEveningInABrowser(t *testing.T) {
	t.Parallel()
	browser := testenv.NewBrowser(t)
	c := newCluster(t, "page_rows: 3", "unit_rows: 200000") // one unit a dataset, in pages small enough to watch
	c.guarded()
	seed(t, c.source, 1001, 30000)
	seed(t, c.source, 1002, 200)
	seed(t, c.source, 1003, 200)
	pod := c.inProcess()
	link, err := proxy.New(t.Context(), strings.TrimPrefix(pod.url, "http://"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = link.Close() })
	url := "http://" + link.Addr()

	page := browser.Page(1400, 900, false)
	page.Go(url + "/")
	page.Until(soon, `document.querySelector("#token")`)
	accessible(t, page, "the login")
	page.Press("wrong", "Enter")
	page.Until(soon, `document.body.innerText.includes("not a token")`)
	b := logIn(t, page, url, boardOperator)
	b.Until(soon, `document.querySelector("#who").innerText === "on-call (operator)" && document.querySelector("#empty").checkVisibility()`)

	b.press("Warm a shop")
	b.accessible("a dialog")
	b.does("they asked for it", map[string]string{"warm-shop": "1001"})
	b.Until(soon, lane(1001))
	b.Until(soon, loaded(1001)+" > 0")
	var before int
	b.Eval(loaded(1001), &before)
	require.Less(t, before, 100)
	b.Until(soon, fmt.Sprintf("%s > %d", loaded(1001), before))

	b.Eval(lane(1001)+`.querySelector("a").click()`, nil)
	b.Until(soon, `document.querySelector("#run-units").innerText.includes("running")`)
	b.press("Cancel")
	b.does("the wrong shop", nil)
	b.Until(soon, `document.querySelector("#run-state").innerText.includes("cancelled")`)
	b.Until(soon, `document.querySelector("#run-timeline").innerText.includes("cancelled by on-call the wrong shop")`)
	b.accessible("a run")
	_, state, _ := c.run(1001)
	require.Equal(t, "cancelled", state)
	b.Eval(`document.querySelector("#run a").click()`, nil)

	b.press("Pin the width")
	b.does("a try", map[string]string{"pin-slots": "3", "pin-minutes": "5"})
	b.Until(soon, `document.querySelector("#override").innerText.startsWith("Set by on-call: pinned to 3, until")`)
	b.Until(soon, `document.querySelectorAll("#width-chart path.line").length === 3`)
	b.accessible("the evening")

	var status int
	b.Eval(`fetch("/v1/datasets/users/pause", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"reason": "its plan is bad"}'}).then((r) => r.status)`, &status)
	require.Equal(t, 200, status)
	b.Until(soon, `document.querySelector("#paused").innerText.includes("its plan is bad")`)
	b.press("Resume dataset users")
	b.does("there is an index now", nil)
	b.Until(soon, `!document.querySelector("#paused").checkVisibility()`)

	link.Set(proxy.Mode{Cut: true})
	b.Until(soon, `document.querySelector("#live").innerText.startsWith("no connection since")`)
	c.announce(ka(1002, time.Now().Add(time.Minute)))
	c.becomes(soon, 1002, "ready")
	link.Set(proxy.Mode{})
	b.Until(soon, `document.querySelector("#live.on")`)
	b.Until(soon, lane(1002)+`.innerText.includes("ready")`)
	require.Empty(t, b.Complaints())

	v := logIn(t, browser.Page(390, 844, true), url, boardViewer)
	v.Until(soon, lane(1002)+`.innerText.includes("ready")`)
	v.accessible("a phone in the dark")
	var buttons int
	v.Eval(visible("main button")+".length", &buttons)
	require.Zero(t, buttons, "a viewer has no buttons")
	for _, act := range []string{"/v1/shops/1003/warm", "/v1/pause", "/asynqmon/api/queues/warm:pause"} {
		var status int
		v.Eval(fmt.Sprintf(`fetch(%q, {method: "POST"}).then((r) => r.status)`, act), &status)
		require.Equal(t, 403, status, act)
	}
	require.Empty(t, v.Complaints())
	v.Go(url + "/asynqmon/")
	v.Until(soon, `document.querySelector("#root").innerText.includes("Queues")`)
	require.Equal(t, 3, c.number("SELECT COUNT(*) FROM actions WHERE who = 'grafana' AND status = 403"))
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM actions WHERE who = 'on-call' AND action LIKE 'POST /v1/runs/%/cancel' AND reason = 'the wrong shop'"))
}
