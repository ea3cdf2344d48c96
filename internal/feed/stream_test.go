package feed

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// book is a ledger that keeps what was taken in.
type book struct {
	mu     sync.Mutex
	feed   *ledger.Feed
	keys   []string
	unread []error
	away   bool
	news   chan struct{} // gets one for each time that something was taken in
}

var errAway = errors.New("away")

func (b *book) ReadFeed(context.Context, string) (ledger.Feed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.feed == nil {
		return ledger.Feed{}, ledger.ErrNotFound
	}
	return *b.feed, nil
}

func (b *book) Take(_ context.Context, changes []change.Change, _ string, f ledger.Feed) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return errAway
	}
	for _, c := range changes {
		b.keys = append(b.keys, c.Key...)
	}
	b.feed = &f
	b.news <- struct{}{}
	return nil
}

func (b *book) Unread(_ string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unread = append(b.unread, err)
}

func (b *book) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.keys)
}

// streamed is a stream in a Redis, and what reads it.
func streamed(t *testing.T) (*redis.Client, *book, *Stream, *alert.Dispatcher) {
	t.Helper()
	opts, err := redis.ParseURL(testenv.Redis(t).URL)
	require.NoError(t, err)
	opts.ContextTimeoutEnabled = true
	client := redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	b := &book{news: make(chan struct{}, 100)}
	log := slog.New(slog.DiscardHandler)
	alerts := alert.New(alert.Config{Log: log, Registry: prometheus.NewRegistry()})
	return client, b, &Stream{Client: client, Name: "changes", Ledger: b, Changes: b, Alerts: alerts, Log: log}, alerts
}

// running runs a stream until the function that is answered is called.
func running(t *testing.T, s *Stream) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func add(t *testing.T, client *redis.Client, values ...any) {
	t.Helper()
	require.NoError(t, client.XAdd(t.Context(), &redis.XAddArgs{Stream: "changes", Values: values}).Err())
}

func of(key string) string {
	return `{"dataset":"users","shop":"1","op":"update","key":["` + key + `"]}`
}

func (b *book) wait(t *testing.T, keys ...string) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !slices.Equal(b.all(), keys) {
		select {
		case <-b.news:
		case <-deadline:
			require.Equal(t, keys, b.all())
		}
	}
}

func TestAStreamIsGoneOnWithWhereItWasLeft(t *testing.T) {
	t.Parallel()
	client, b, s, alerts := streamed(t)
	add(t, client, "value", of("a"))
	add(t, client, "value", "["+of("b")+","+of("c")+"]", "key", "7")
	stop := running(t, s)
	b.wait(t, "a", "b", "c")
	stop()
	add(t, client, "anything", of("d"))
	defer running(t, s)()
	b.wait(t, "a", "b", "c", "d")
	require.Empty(t, alerts.Recent())
}

func TestWhatWasNotTakenInIsReadAgain(t *testing.T) {
	t.Parallel()
	client, b, s, _ := streamed(t)
	b.away = true
	add(t, client, "value", of("a"))
	require.ErrorIs(t, s.read(t.Context()), errAway)
	b.away = false
	defer running(t, s)()
	b.wait(t, "a")
}

func TestEntriesWithoutChangesAreCountedAndPassedOver(t *testing.T) {
	t.Parallel()
	client, b, s, _ := streamed(t)
	for _, nonsense := range []string{"x", "{", "[7]", `{"op":"update"}`} {
		add(t, client, "value", nonsense)
	}
	add(t, client, "value", of("a"))
	defer running(t, s)()
	b.wait(t, "a")
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.unread, 4)
}

func TestAStreamThatWasTrimmedTooFarIsTold(t *testing.T) {
	t.Parallel()
	client, b, s, alerts := streamed(t)
	add(t, client, "value", of("a"))
	stop := running(t, s)
	b.wait(t, "a")
	stop()
	add(t, client, "value", of("lost"))
	add(t, client, "value", of("b"))
	info, err := client.XInfoStream(t.Context(), "changes").Result()
	require.NoError(t, err)
	require.NoError(t, client.XTrimMinID(t.Context(), "changes", info.LastGeneratedID).Err())
	defer running(t, s)()
	b.wait(t, "a", "b")
	raised := alerts.Recent()
	require.Len(t, raised, 1)
	require.Equal(t, alert.FeedGap, raised[0].Name)
}

func TestAGapIsEntriesThatWereNotRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gap                      bool
		at, last, deleted, first string
	}{
		{false, "5-0", "5-0", "0-0", ""},
		{false, "5-0", "9-0", "0-0", "1-0"},
		{false, "5-0", "9-0", "0-0", "5-0"},
		{true, "5-0", "9-0", "0-0", "9-0"},
		{true, "5-0", "9-0", "0-0", ""},
		{true, "5-0", "9-0", "7-0", "1-0"},
		{false, "5-0", "9-0", "5-0", "9-0"},
		{false, "5-0", "5-0", "4-0", ""},
	} {
		info := &redis.XInfoStream{LastGeneratedID: c.last, MaxDeletedEntryID: c.deleted, FirstEntry: redis.XMessage{ID: c.first}}
		if c.first != "" {
			info.Length = 1
		}
		require.Equal(t, c.gap, gap(c.at, info), "%+v", c)
	}
}
