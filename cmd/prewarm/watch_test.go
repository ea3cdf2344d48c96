package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/api"
)

// evenings answers status' questions: the progress grows with each look, and the look in the middle meets no server.
func evenings(t *testing.T, cutOff func(look int) int) *httptest.Server {
	t.Helper()
	var mu sync.Mutex
	look := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/v1/me" {
			look++
		}
		if status := cutOff(look); status != 0 {
			w.WriteHeader(status)
			return
		}
		run := `{"run_id": "r1", "shop_id": "7", "broadcast_id": "b", "state": "warming", "rows_done": ` + []string{"0", "0", "300", "600", "900"}[min(look, 4)] + `, "rows_estimated": 1000}`
		answer := map[string]string{"/v1/me": `{"version": "1"}`, "/v1/runs": `{"runs": [` + run + `]}`}[r.URL.Path]
		_, _ = io.WriteString(w, cmp.Or(answer, "{}"))
	}))
	t.Cleanup(s.Close)
	return s
}

// until is a writer that ends what writes to it once it has seen a text.
type until struct {
	seen bytes.Buffer
	text string
	end  func()
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.seen.Write(p)
	if strings.Contains(u.seen.String(), u.text) {
		u.end()
	}
	return n, err
}

func watched(t *testing.T, url, text string, view func(io.Writer) viewer) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := &until{text: text, end: cancel}
	c := &statusCmd{remote: remote{Server: url}, Every: time.Millisecond}
	v := view(out)
	err := c.watch(ctx, &terminal{out: out, err: out}, v)
	require.NoError(t, v.close())
	return out.seen.String(), err
}

func TestWatchTellsChangesAndOutlivesTheServer(t *testing.T) {
	t.Parallel()
	s := evenings(t, func(look int) int { return map[int]int{3: 503}[look] })
	said, err := watched(t, s.URL, "90%", func(w io.Writer) viewer { return &changes{out: w, said: map[string]string{}} })
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(said, "prewarm 1: 0 pods"), "what has not changed is not said again")
	for _, want := range []string{"warming 0%", "warming 30%", "asking again", "answers again", "warming 90%"} {
		require.Contains(t, said, want)
	}
}

func TestWatchDrawsInPlace(t *testing.T) {
	t.Parallel()
	s := evenings(t, func(look int) int { return map[int]int{3: 503}[look] })
	said, err := watched(t, s.URL, "90%", func(w io.Writer) viewer { return newScreen(w, func() (int, int, error) { return 60, 12, nil }) })
	require.NoError(t, err)
	require.Contains(t, said, "[######..............]  30%")
	require.Contains(t, said, "asking again")
	require.Regexp(t, `slots, \d+ rows/s`, said)
	require.Equal(t, 1, strings.Count(said, enter))
	drawn, after, left := strings.Cut(said, leave)
	require.True(t, left, "the first screen is back at the end")
	require.Contains(t, after, "90%", "what was seen last stays")
	for _, frame := range strings.Split(drawn, home)[1:] {
		require.Less(t, strings.Count(frame, "\n"), 12, "no frame scrolls")
	}
}

func TestAFrameFitsTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := newScreen(&out, func() (int, int, error) { return 20, 5, nil })
	require.NoError(t, v.draw(strings.Repeat("0123456789012345678901234\n", 9)))
	require.Equal(t, enter+home+strings.Repeat("01234567890123456789"+lineEnd, 3)+"…"+lineEnd+clearEnd, out.String())
}

func TestWatchEndsWhereAskingAgainIsOfNoUse(t *testing.T) {
	t.Parallel()
	s := evenings(t, func(int) int { return 401 })
	_, err := watched(t, s.URL, "never", func(w io.Writer) viewer { return documents{w} })
	require.ErrorIs(t, err, errToken)
	require.Equal(t, exitUsage, prewarm(t, "", "status", "--watch", "--every=0s").code)
	broken := errors.New("pipe")
	c := &statusCmd{remote: remote{Server: evenings(t, func(int) int { return 0 }).URL}, Every: time.Millisecond}
	err = c.watch(t.Context(), &terminal{}, &changes{out: failing{broken}, said: map[string]string{}})
	require.ErrorIs(t, err, broken)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWatchWithJSONIsADocumentPerLine(t *testing.T) {
	t.Parallel()
	s := evenings(t, func(int) int { return 0 })
	said, err := watched(t, s.URL, `"rows_done":900`, func(w io.Writer) viewer { return documents{w} })
	require.NoError(t, err)
	for line := range strings.Lines(said) {
		require.Equal(t, "1", document(t, line)["server"])
	}
}

func TestTheSpeedIsOfAllRunsSinceTheLookBefore(t *testing.T) {
	t.Parallel()
	v := newScreen(io.Discard, nil)
	at := time.Now()
	require.Empty(t, v.speed([]api.Run{{RunID: "a", RowsDone: 100}}, at))
	require.Equal(t, ", 150 rows/s", v.speed([]api.Run{{RunID: "a", RowsDone: 400}, {RunID: "b", RowsDone: 999}}, at.Add(2*time.Second)))
}
