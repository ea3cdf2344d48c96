package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// next waits for a client's next event.
func next(t *testing.T, events chan []byte) (name string, data tonight) {
	t.Helper()
	text, ok := <-events
	require.True(t, ok, "the stream has ended")
	return parsed(t, string(text))
}

func parsed(t *testing.T, text string) (name string, data tonight) {
	t.Helper()
	head, body, ok := strings.Cut(text, "\ndata: ")
	require.True(t, ok, text)
	require.True(t, strings.HasSuffix(body, "\n\n"), text)
	require.NoError(t, json.Unmarshal([]byte(body), &data), body)
	return strings.TrimPrefix(head, "event: "), data
}

// scene is what a live reads, and how often it did.
type scene struct {
	mu    sync.Mutex
	now   reading
	err   error
	reads int
}

func (s *scene) set(now reading, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.err = now, err
}

func (s *scene) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

func (s *scene) live(samples ...Sample) *live {
	return &live{history: &fake{samples: samples}, read: func(context.Context) (*reading, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reads++
		c := s.now
		return &c, s.err
	}}
}

func TestAStreamBeginsWithEverythingAndGoesOnWithWhatIsNew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s scene
		s.set(reading{order: []string{"b", "a"}, runs: map[string]string{"a": `{"r":1}`, "b": `{"r":2}`}, width: `{"w":1}`, pods: `[]`}, nil)
		l := s.live(Sample{At: noon, Reason: "much"}, Sample{At: noon.Add(time.Second), Reason: "much"})
		first, ok := l.join()
		require.True(t, ok)
		name, data := next(t, first)
		require.Equal(t, "tonight", name)
		require.Len(t, data.Runs, 2)
		require.JSONEq(t, `{"w":1}`, string(data.Width))
		require.Len(t, data.History, 2)
		require.Empty(t, data.History[1].Reason, "a reason is said once")

		later := reading{order: []string{"c", "b"}, runs: map[string]string{"b": `{"r":2}`, "c": `{"r":3}`}, width: `{"w":1}`, pods: `[1]`}
		s.set(later, nil)
		name, data = next(t, first)
		require.Equal(t, "change", name)
		require.Equal(t, []json.RawMessage{json.RawMessage(`{"r":3}`)}, data.Runs)
		require.Equal(t, []string{"a"}, data.Gone)
		require.Empty(t, data.Width, "it has not changed")
		require.JSONEq(t, `[1]`, string(data.Pods))
		require.Empty(t, data.History)

		second, ok := l.join()
		require.True(t, ok)
		name, data = next(t, second)
		require.Equal(t, "tonight", name, "whoever comes later begins with everything, at once")
		require.Len(t, data.Runs, 2)
		require.Len(t, data.History, 2)

		s.set(later, errors.New("the ledger does not answer"))
		text := string(<-second)
		require.Contains(t, text, "event: trouble\n")
		require.Contains(t, text, "does not answer")
		s.set(later, nil)
		<-first
		name, _ = next(t, first)
		require.Equal(t, "change", name, "it goes on from what was known before")
		l.leave(first)
		l.close()
		for range second {
		}
	})
}

func TestManyBoardsCostOneReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s scene
		l := s.live()
		var all []chan []byte
		for range 50 {
			events, ok := l.join()
			require.True(t, ok)
			all = append(all, events)
		}
		time.Sleep(10*liveEvery - time.Millisecond)
		synctest.Wait()
		require.Equal(t, 10, s.seen())
		for _, events := range all {
			require.Len(t, events, 10)
			l.leave(events)
		}
		time.Sleep(10 * liveEvery)
		require.Equal(t, 10, s.seen(), "when nobody looks nothing is read")
		again, ok := l.join()
		require.True(t, ok)
		name, _ := next(t, again)
		require.Equal(t, "tonight", name)
		l.close()
	})
}

func TestAClientThatIsBehindBeginsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s scene
		l := s.live()
		slow, _ := l.join()
		time.Sleep((liveBehind + 1) * liveEvery)
		n := 0
		for range slow { // it ends
			n++
		}
		require.Equal(t, liveBehind, n)
		l.leave(slow)
		l.close()
	})
}

func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s scene
		l := s.live()
		for range liveClients {
			_, ok := l.join()
			require.True(t, ok)
		}
		_, ok := l.join()
		require.False(t, ok)
		l.close()
		_, ok = l.join()
		require.False(t, ok, "the pod stops")
	})
}

func TestTheEveningIsStreamed(t *testing.T) {
	t.Parallel()
	f := &fake{samples: []Sample{{At: noon, Width: 4}}}
	a := newAPI(t, f, tokens)
	s := httptest.NewServer(a.Handler())
	defer s.Close()
	defer a.live.close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/v1/events", nil)
	require.NoError(t, err)
	res, err := s.Client().Do(req)
	require.NoError(t, err)
	require.Equal(t, 401, res.StatusCode)
	_ = res.Body.Close()

	req.Header.Set("Authorization", "Bearer "+viewerToken)
	res, err = s.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	in := bufio.NewReader(res.Body)
	event := func() string {
		var b strings.Builder
		for {
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			b.WriteString(line)
			if line == "\n" {
				return b.String()
			}
		}
	}
	require.Equal(t, "retry: 2000\n\n", event())
	name, data := parsed(t, event())
	require.Equal(t, "tonight", name)
	require.Len(t, data.Runs, 1)
	require.Equal(t, "r1", object(t, data.Runs[0])["run_id"])
	require.EqualValues(t, 4, object(t, data.Width)["width"])
	require.Contains(t, string(data.Pods), "pod-a")
	require.Contains(t, string(data.Alerts), "run_late")
	require.Equal(t, 4, data.History[0].Width)
	a.live.close()
	_, err = in.ReadString('\n')
	require.Error(t, err, "it ends with the pod")
	w := ask(a, "GET", "/v1/events", "", bearer(viewerToken))
	require.Equal(t, 503, w.Code)
	requireProblem(t, 503, w.Header(), w.Body.Bytes())
}
