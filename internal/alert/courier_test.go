package alert_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// sink keeps what it is told.
type sink struct {
	mu   sync.Mutex
	got  []alert.Message
	fail error
}

func (s *sink) Send(_ context.Context, m alert.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.got = append(s.got, m)
	}
	return s.fail
}

// told is what it was told so far, as "status name fingerprint".
func (s *sink) told() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for _, m := range s.got {
		for _, i := range m.Items {
			count[i.Status()+" "+i.Name+" "+i.About]++
		}
	}
	return count
}

// post is an outbox on SQLite and pods that share it and a sink.
type post struct {
	t    *testing.T
	db   *sql.DB
	sink *sink
}

func newPost(t *testing.T) (*post, *ledger.Store) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "ledger.db")+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_pragma=synchronous(off)&_txlock=immediate")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	store := ledger.New(db, ledger.SQLite)
	require.NoError(t, store.Migrate(t.Context()))
	require.NoError(t, store.MeetSink(t.Context(), "chat"))
	return &post{t, db, &sink{}}, store
}

func (p *post) pod(outbox alert.Outbox, name string) *alert.Courier {
	return &alert.Courier{
		Dispatcher: alert.New(alert.Config{Log: quiet()}), Outbox: outbox, Self: name, ResolveAfter: 10 * time.Minute, Log: quiet(),
		Targets: []alert.Target{{Name: "chat", Sink: p.sink, MinSeverity: alert.Info, Repeat: time.Hour}},
	}
}

// pass moves all that has happened into the past.
func (p *post) pass(d time.Duration) {
	p.t.Helper()
	for _, columns := range []string{
		"alerts SET since_us = since_us - ?1, raised_us = raised_us - ?1, resolved_us = MAX(0, resolved_us - ?1)",
		"alert_sends SET sent_us = sent_us - ?1", "alert_sinks SET since_us = since_us - ?1, until_us = until_us - ?1, next_us = next_us - ?1",
	} {
		_, err := p.db.ExecContext(p.t.Context(), "UPDATE "+columns, d.Microseconds())
		require.NoError(p.t, err)
	}
}

func TestAnAlertIsToldRepeatedResolvedAndToldAgain(t *testing.T) {
	t.Parallel()
	p, store := newPost(t)
	c := p.pod(store, "a")
	one := alert.Alert{Name: alert.GuardStop, Severity: alert.Critical, Summary: "stopped"}
	c.Dispatcher.Raise(t.Context(), one)
	require.NoError(t, c.Flush(t.Context()))
	for range 2 {
		require.NoError(t, c.Deliver(t.Context()))
	}
	require.Equal(t, map[string]int{"critical guard_stop ": 1}, p.sink.told())

	p.pass(61 * time.Minute)
	c.Dispatcher.Raise(t.Context(), one)
	require.NoError(t, c.Keep(t.Context()))
	for range 2 {
		require.NoError(t, c.Deliver(t.Context()))
	}
	require.Equal(t, map[string]int{"critical guard_stop ": 2}, p.sink.told(), "it still stands after alerts.repeat")

	p.pass(11 * time.Minute)
	require.NoError(t, c.Keep(t.Context()))
	for range 2 {
		require.NoError(t, c.Deliver(t.Context()))
	}
	require.Equal(t, map[string]int{"critical guard_stop ": 2, "resolved guard_stop ": 1}, p.sink.told())

	c.Dispatcher.Raise(t.Context(), one)
	require.NoError(t, c.Flush(t.Context()))
	require.NoError(t, c.Deliver(t.Context()))
	require.Equal(t, 3, p.sink.told()["critical guard_stop "])

	p.pass(30 * 24 * time.Hour)
	require.NoError(t, c.Keep(t.Context())) // resolves
	p.pass(8 * 24 * time.Hour)
	require.NoError(t, c.Forget(t.Context()))
	all, err := store.Alerts(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestAnyNumberOfPodsTellOnceAndInFewMessages(t *testing.T) {
	t.Parallel()
	p, store := newPost(t)
	var pods []*alert.Courier
	for i := range 4 {
		pods = append(pods, p.pod(store, fmt.Sprint("pod-", i)))
	}
	const alerts = 30
	var wg sync.WaitGroup
	for _, c := range pods {
		wg.Go(func() {
			for i := range alerts { // every pod finds the same
				c.Dispatcher.Raise(t.Context(), alert.Alert{Name: alert.BadTask, Severity: alert.Warning, About: fmt.Sprint(i), Summary: "x"})
			}
			if err := errors.Join(c.Flush(t.Context()), c.Deliver(t.Context()), c.Deliver(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, pods[0].Deliver(t.Context()))
	told := p.sink.told()
	require.Len(t, told, alerts)
	for what, times := range told {
		require.Equal(t, 1, times, what)
	}
	require.LessOrEqual(t, len(p.sink.got), 2*len(pods)+1)
}

func TestNothingIsLostOverARestart(t *testing.T) {
	t.Parallel()
	p, store := newPost(t)
	p.sink.fail = errors.New("down")
	first := p.pod(store, "first")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		first.Run(ctx)
	}()
	for i := range 20 {
		first.Dispatcher.Raise(t.Context(), alert.Alert{Name: alert.BadTask, Severity: alert.Warning, About: fmt.Sprint(i), Summary: "x"})
	}
	stop()
	<-ended
	p.sink.fail = nil
	p.pass(time.Hour) // the sink has rested
	second := p.pod(store, "second")
	require.NoError(t, second.Deliver(t.Context()))
	require.Len(t, p.sink.told(), 20)
}

func TestASinkThatFailsRestsLongerAndLongerAndIsTold(t *testing.T) {
	t.Parallel()
	p, store := newPost(t)
	p.sink.fail = errors.New("down")
	c := p.pod(store, "a")
	c.Dispatcher.Raise(t.Context(), alert.Alert{Name: alert.BadTask, Severity: alert.Warning, About: "1", Summary: "x"})
	require.NoError(t, c.Flush(t.Context()))
	for failures, rest := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
		require.ErrorContains(t, c.Deliver(t.Context()), "down")
		require.NoError(t, c.Deliver(t.Context()), "it rests")
		mail, err := store.Mail(t.Context(), "chat")
		require.NoError(t, err)
		require.Equal(t, failures+1, mail.Sink.Failures)
		require.Equal(t, "send to chat: down", mail.Sink.Error)
		require.InDelta(t, rest.Seconds(), mail.Sink.Next.Sub(mail.Now).Seconds(), 2)
		p.pass(rest)
	}
	c.Dispatcher.Raise(t.Context(), alert.Alert{Name: alert.BadTask, Severity: alert.Warning, About: "2", Summary: "x"})
	require.NoError(t, c.Flush(t.Context()))
	p.sink.fail = nil
	require.NoError(t, c.Deliver(t.Context()))
	require.Equal(t, map[string]int{"warning bad_task 1": 1, "warning bad_task 2": 1}, p.sink.told())
	require.Len(t, p.sink.got, 1, "what came up meanwhile is one message")
	mail, err := store.Mail(t.Context(), "chat")
	require.NoError(t, err)
	require.Zero(t, mail.Sink.Failures)
	require.Empty(t, mail.Sink.Error)
}

// forgetful is an outbox of a pod that dies before it has recorded what it sent.
type forgetful struct{ alert.Outbox }

var errDied = errors.New("died")

func (forgetful) AlertsSent(context.Context, string, string, []alert.Record, time.Duration) error {
	return errDied
}

func TestWhatWasSentAndNotRecordedIsSentAgainUnderTheSameFingerprint(t *testing.T) {
	t.Parallel()
	p, store := newPost(t)
	dies, lives := p.pod(forgetful{store}, "dies"), p.pod(store, "lives")
	dies.Dispatcher.Raise(t.Context(), alert.Alert{Name: alert.BadTask, Severity: alert.Warning, About: "1", Summary: "x"})
	require.NoError(t, dies.Flush(t.Context()))
	require.ErrorIs(t, dies.Deliver(t.Context()), errDied)
	require.NoError(t, lives.Deliver(t.Context()))
	require.Len(t, p.sink.got, 1, "the dead pod's claim holds for a while")
	p.pass(time.Minute)
	require.NoError(t, lives.Deliver(t.Context()))
	require.NoError(t, lives.Deliver(t.Context()))
	require.Len(t, p.sink.got, 2)
	require.Equal(t, p.sink.got[0].Items[0].Fingerprint, p.sink.got[1].Items[0].Fingerprint)
}

func TestATestIsSentAtOnceAndNotKept(t *testing.T) {
	t.Parallel()
	p, store := newPost(t)
	c := p.pod(store, "a")
	tested, err := c.Test(t.Context(), "", "ann")
	require.NoError(t, err)
	require.Equal(t, []alert.Tested{{Sink: "chat"}}, tested)
	require.Equal(t, "ann has asked for it", p.sink.got[0].Items[0].Why)
	p.sink.fail = errors.New("down")
	tested, err = c.Test(t.Context(), "chat", "ann")
	require.NoError(t, err)
	require.Equal(t, []alert.Tested{{Sink: "chat", Error: "send to chat: down"}}, tested)
	_, err = c.Test(t.Context(), "mail", "ann")
	require.ErrorIs(t, err, alert.ErrNoSink)
	all, err := store.Alerts(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, all)
}
