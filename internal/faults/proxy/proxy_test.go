package proxy_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prewarm-go/prewarm/internal/faults/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// moment is long enough for a loopback connection to have delivered what it is going to deliver.
const moment = 100 * time.Millisecond

// echo is a server that sends each line back.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		wg.Wait()
	})
	return l.Addr().String()
}

func start(t *testing.T, tap func(int64, []byte)) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(t.Context(), echo(t), tap)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return client{t, c, bufio.NewReader(c)}
}

// ask sends a line and waits so long for its echo.
func (c client) ask(line string, wait time.Duration) (string, error) {
	c.t.Helper()
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	return c.hear(wait)
}

func (c client) hear(wait time.Duration) (string, error) {
	require.NoError(c.t, c.SetReadDeadline(time.Now().Add(wait)))
	return c.in.ReadString('\n')
}

func (c client) wants(line string) {
	c.t.Helper()
	got, err := c.ask(line, 10*time.Second)
	require.NoError(c.t, err)
	require.Equal(c.t, line+"\n", got)
}

func TestItPassesOnAndShowsWhatReachedTheServer(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := ""
	p := start(t, func(_ int64, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen += string(b)
	})
	c := dial(t, p)
	c.wants("one")
	c.wants("two")
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen == "one\ntwo\n"
	}, 10*time.Second, time.Millisecond, "an answer may come before what it answers is told")
}

func TestADelayHoldsEachAnswerBack(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	c := dial(t, p)
	c.wants("warm")
	p.Set(proxy.Mode{Up: proxy.Rule{Delay: moment}, Down: proxy.Rule{Delay: moment}})
	began := time.Now()
	c.wants("late")
	require.GreaterOrEqual(t, time.Since(began), 2*moment)
	p.Set(proxy.Mode{})
	c.wants("again")
}

func TestACutResetsWhatStandsAndWhatComes(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	c := dial(t, p)
	c.wants("warm")
	p.Set(proxy.Mode{Cut: true})
	_, err := c.hear(10 * time.Second)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	if c2, err := net.Dial("tcp", p.Addr()); err == nil {
		_, err = client{t, c2, bufio.NewReader(c2)}.ask("x", 10*time.Second)
		require.Error(t, err)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		_ = c2.Close()
	}
	p.Set(proxy.Mode{})
	dial(t, p).wants("healed")
}

func TestAHalfOpenConnectionAcceptsAndNeverAnswers(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	old := dial(t, p)
	old.wants("warm")
	p.Set(proxy.Mode{Up: proxy.Rule{Swallow: true}, Down: proxy.Rule{Swallow: true}})
	for _, c := range []client{old, dial(t, p)} {
		_, err := c.ask("lost", moment)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	p.Set(proxy.Mode{})
	_, err := old.hear(10 * time.Second)
	require.Error(t, err, "what follows lost bytes would make no sense")
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	dial(t, p).wants("healed")
}

func TestOneDirectionCanBeLostAlone(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	p := start(t, func(_ int64, b []byte) { got <- string(b) })
	c := dial(t, p)
	p.Set(proxy.Mode{Down: proxy.Rule{Swallow: true}})
	_, err := c.ask("done?", moment)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the reply is lost")
	require.Equal(t, "done?\n", <-got, "though it was done")
}

func TestWhatWasFrozenArrivesInOrderWhenItThaws(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	c := dial(t, p)
	c.wants("warm")
	p.Set(proxy.Mode{Up: proxy.Rule{Freeze: true}})
	_, err := c.ask("one", moment)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = c.ask("two", moment)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	p.Set(proxy.Mode{})
	for _, want := range []string{"one\n", "two\n"} {
		line, err := c.hear(10 * time.Second)
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
}
