package alert_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// fragile is an outbox whose pod may die between sending and writing that down.
type fragile struct {
	*ledger.Store
	dies *bool
}

func (f fragile) AlertsSent(ctx context.Context, sink, holder string, all []alert.Record, rest time.Duration) error {
	if *f.dies {
		return errDied
	}
	return f.Store.AlertsSent(ctx, sink, holder, all, rest)
}

// Whatever pods, sinks and time do: in the end the sink knows of every alert how it stands, and it was never told the same
// twice in a row, unless a pod died or the time to repeat it had come.
func TestTheSinkKnowsInTheEnd(t *testing.T) {
	t.Parallel()
	p, store := newPost(t)
	rapid.Check(t, func(r *rapid.T) {
		for _, table := range []string{"alerts", "alert_sinks", "alert_sends"} {
			_, err := p.db.ExecContext(t.Context(), "DELETE FROM "+table)
			require.NoError(r, err)
		}
		require.NoError(r, store.MeetSink(t.Context(), "chat"))
		dies, excused := false, false
		p.sink = &sink{}
		pods := []*alert.Courier{p.pod(fragile{store, &dies}, "a"), p.pod(fragile{store, &dies}, "b")}
		step := func(err error) {
			if err != nil && !errors.Is(err, errDied) && !errors.Is(err, errDown) {
				r.Fatal(err)
			}
		}
		pod := rapid.SampledFrom(pods)
		r.Repeat(map[string]func(*rapid.T){
			"raise": func(r *rapid.T) {
				c := pod.Draw(r, "pod")
				c.Dispatcher.Raise(t.Context(), alert.Alert{
					Name: alert.BadTask, Severity: alert.Warning, About: fmt.Sprint(rapid.IntRange(0, 2).Draw(r, "about")), Summary: "x",
				})
				step(c.Flush(t.Context()))
			},
			"deliver": func(r *rapid.T) { step(pod.Draw(r, "pod").Deliver(t.Context())) },
			"die": func(r *rapid.T) {
				dies, excused = true, true
				step(pod.Draw(r, "pod").Deliver(t.Context()))
				dies = false
			},
			"keep": func(r *rapid.T) { step(pod.Draw(r, "pod").Keep(t.Context())) },
			"fail": func(r *rapid.T) {
				p.sink.fail = nil
				if rapid.Bool().Draw(r, "down") {
					p.sink.fail = errDown
				}
			},
			"pass": func(r *rapid.T) {
				d := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 11 * time.Minute, 61 * time.Minute}).Draw(r, "time")
				excused = excused || d > time.Hour // alerts.repeat of these pods
				p.pass(d)
			},
		})
		p.sink.fail = nil
		p.pass(12 * time.Minute) // longer than any rest; together with what passed before, some may be due for a repeat
		step(pods[0].Deliver(t.Context()))
		p.requireKnown(r, store, excused)
	})
}

var errDown = errors.New("down")

func (p *post) requireKnown(r *rapid.T, store *ledger.Store, excused bool) {
	last := map[string]string{}
	for _, m := range p.sink.got {
		for _, i := range m.Items {
			if !excused && last[i.Fingerprint] == i.State {
				r.Fatalf("told twice that %s is %s", i.About, i.State)
			}
			last[i.Fingerprint] = i.State
		}
	}
	all, err := store.Alerts(p.t.Context(), 100)
	require.NoError(r, err)
	for _, a := range all {
		if a.State != last[a.Fingerprint] {
			r.Fatalf("%s is %s, and the sink was told %q", a.About, a.State, last[a.Fingerprint])
		}
	}
}
