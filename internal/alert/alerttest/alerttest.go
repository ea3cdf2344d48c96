// Package alerttest gives the tests of sinks something to send and somebody who takes it.
package alerttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// Now is when Messages are made.
var Now = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// Item is an alert that has everything: a late run, with text that means something to chats.
func Item(n int) alert.Item {
	deadline := Now.Add(-4 * time.Minute)
	a := alert.Alert{
		Name: alert.RunLate, Severity: alert.Warning, Shop: fmt.Sprint(1001 + n), Run: fmt.Sprintf("%032x", n),
		Summary: fmt.Sprintf("shop %d is not warm <b> *at* its [deadline](http://x) & @all 直播", 1001+n),
		Why:     "the source is \"slow\"\nvery", Remedy: "give it slots with `prewarm width --min 8`", At: Now,
	}
	return alert.Item{
		Record: alert.Record{Alert: a, Fingerprint: a.Fingerprint(), State: alert.Firing, Since: Now.Add(-time.Minute), Times: 3, Seq: 1,
			Broadcast: "b-1", Deadline: &deadline, RunState: "warming", EndsAt: Now.Add(time.Hour)},
		Link: "https://prewarm.example.com/#run=r&x=1", Runbook: "https://example.com/runbooks/run_late.md", Margin: "4m0s late",
	}
}

// Over is an Item that is resolved.
func Over(n int) alert.Item {
	i, at := Item(n), Now
	i.State, i.ResolvedAt, i.Ended, i.Seq = alert.Resolved, &at, "the run is ready", 2
	return i
}

// Messages are what every sink must be able to send: one alert, one that is over, and more than fit.
func Messages() map[string]alert.Message {
	many, long := alert.Message{Board: "https://prewarm.example.com/"}, Item(1)
	for n := range 200 {
		many.Items = append(many.Items, Item(n))
	}
	long.Summary, long.Why = strings.Repeat("直播 ", 5000), strings.Repeat("&<", 20_000)
	return map[string]alert.Message{
		"one":  {Items: []alert.Item{Item(1)}, Board: "https://prewarm.example.com/"},
		"over": {Items: []alert.Item{Over(1)}},
		"many": many,
		"long": {Items: []alert.Item{long, Item(2)}},
	}
}

// Vendor is a server that takes what is posted to it.
type Vendor struct {
	URL string

	mu     sync.Mutex
	got    []Posted
	status int
	answer string
}

// Posted is one request.
type Posted struct {
	Request *http.Request
	Body    []byte
}

// NewVendor answers everything with a status and a body.
func NewVendor(t testing.TB, status int, answer string) *Vendor {
	t.Helper()
	v := &Vendor{status: status, answer: answer}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.got = append(v.got, Posted{r, body})
		w.WriteHeader(v.status)
		_, _ = io.WriteString(w, v.answer)
	}))
	t.Cleanup(s.Close)
	v.URL = s.URL
	return v
}

// Last is what was posted last.
func (v *Vendor) Last(t testing.TB) Posted {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.got) == 0 {
		t.Fatal("nothing was posted")
	}
	return v.got[len(v.got)-1]
}

// Strict decodes a body that may have no field which the schema, as T, does not know.
func Strict[T any](t testing.TB, body []byte) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}
