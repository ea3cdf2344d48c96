package cache

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func newStream(t *testing.T, w *Writer) *Stream {
	t.Helper()
	s := w.Stream(t.Context())
	t.Cleanup(func() {
		s.Close()
		require.NoError(t, w.Close())
	})
	return s
}

// page is a batch of rows from first on, with a stamp.
func page(op Op, first, n, number int) *Batch {
	b := &Batch{Version: dataset.Version{Column: "v", Order: dataset.OrderNumber}}
	for i := first; i < first+n; i++ {
		key := fmt.Sprint("row:", i)
		switch op {
		case SetNewer:
			put(b, op, key, "2", `{"v":2}`)
		case HSet:
			put(b, op, key, "a", fmt.Sprint(i), "-gone")
		case HSetMissing:
			put(b, op, key, "a", fmt.Sprint(i))
		case Del, Touch:
			put(b, op, key)
		default:
			put(b, op, key, `{"v":2}`)
		}
	}
	b.Stamp = &Stamp{RunMark: RunMark{Run: "run", Epoch: 1}, Unit: 1, Value: int64(number), Known: int64(number - 1)}
	return b
}

func TestAStreamWritesWhatTheWriterWrites(t *testing.T) {
	t.Parallel()
	for _, op := range []Op{Set, SetNewer, SetMissing, HSet, HSetMissing, Del, Touch} {
		t.Run(fmt.Sprint(op), func(t *testing.T) {
			t.Parallel()
			client, e := open(t, testenv.Redis(t).URL), later()
			w := New(client)
			s := newStream(t, w)
			require.NotNil(t, s.conn)
			for number := 1; number <= 20; number += 2 {
				s.Send(t.Context(), page(op, number*10, 10, number), e)
				s.Send(t.Context(), page(op, (number+1)*10, 10, number+1), e)
				require.NoError(t, s.Wait())
				require.NoError(t, s.Wait())
			}
			require.False(t, s.conn.broken())
			stamps, err := w.Stamps(t.Context(), []RunMark{{Run: "run", Epoch: 1}})
			require.NoError(t, err)
			require.Equal(t, map[int]int64{1: 20}, stamps[0])
			keys, err := client.Keys(t.Context(), "row:*").Result()
			require.NoError(t, err)
			if op == Del || op == Touch {
				require.Empty(t, keys)
				return
			}
			require.Len(t, keys, 200)
			requireExpiry(t, client, e, "row:57")
		})
	}
}

func TestAStreamLooksAtKeysThatAreThere(t *testing.T) {
	t.Parallel()
	client, e := open(t, testenv.Redis(t).URL), later()
	w := New(client)
	s := newStream(t, w)
	require.NoError(t, client.MSet(t.Context(), "row:1", `{"v":1}`, "row:2", `{"v":3}`).Err())
	s.Send(t.Context(), page(SetNewer, 0, 5, 1), e)
	require.NoError(t, s.Wait())
	for key, want := range map[string]string{"row:1": `{"v":2}`, "row:2": `{"v":3}`, "row:3": `{"v":2}`} {
		require.Equal(t, want, client.Get(t.Context(), key).Val(), key)
	}
	require.NoError(t, client.Set(t.Context(), "row:100", "theirs", 0).Err())
	s.Send(t.Context(), page(SetMissing, 100, 2, 2), e)
	require.NoError(t, s.Wait())
	require.Equal(t, "theirs", client.Get(t.Context(), "row:100").Val())
}

func TestAStreamReportsARefusedCommandAndGoesOn(t *testing.T) {
	t.Parallel()
	client, e := open(t, testenv.Redis(t).URL), later()
	s := newStream(t, New(client))
	require.NoError(t, client.Set(t.Context(), "row:3", "a string", 0).Err())
	s.Send(t.Context(), page(HSet, 0, 10, 1), e)
	s.Send(t.Context(), page(HSet, 10, 10, 2), e)
	var failed *WriteError
	require.ErrorAs(t, s.Wait(), &failed)
	require.Equal(t, "row:3", failed.Key)
	require.True(t, Definitive(failed))
	require.NoError(t, s.Wait())
	require.Equal(t, "19", client.HGet(t.Context(), "row:19", "a").Val())
}

func TestAStreamSeesThatPagesWereLost(t *testing.T) {
	t.Parallel()
	client, e := open(t, testenv.OwnRedis(t).URL), later()
	s := newStream(t, New(client))
	s.Send(t.Context(), page(Set, 0, 10, 1), e)
	require.NoError(t, s.Wait())
	require.NoError(t, client.FlushAll(t.Context()).Err())
	s.Send(t.Context(), page(Set, 10, 10, 2), e)
	var lost *LostError
	require.ErrorAs(t, s.Wait(), &lost)
}

func TestWhatWasUnderWayWhenAConnectionBrokeIsWrittenAgain(t *testing.T) {
	t.Parallel()
	client, e := open(t, testenv.OwnRedis(t).URL), later()
	w := New(client)
	s := newStream(t, w)
	s.Send(t.Context(), page(Set, 0, 10, 1), e)
	require.NoError(t, s.Wait())
	require.NoError(t, client.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err())
	for number := 2; number <= 9; number++ {
		s.Send(t.Context(), page(Set, 10*number, 10, number), e)
	}
	for range 8 {
		require.NoError(t, s.Wait())
	}
	require.EqualValues(t, 91, client.DBSize(t.Context()).Val(), "rows and the mark")
	s.Send(t.Context(), page(Set, 100, 10, 10), e)
	require.NoError(t, s.Wait())
	require.True(t, s.conn.broken())
	next := w.Stream(t.Context())
	require.NotNil(t, next.conn, "the next one has a connection again")
	next.Close()
}

func TestAFrozenCacheHoldsUpAStreamNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	server := testenv.OwnRedis(t)
	client, e := open(t, server.URL), later()
	s := newStream(t, New(client))
	server.Freeze()
	defer server.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	b := page(Set, 0, 1, 1)
	put(b, Set, "large", strings.Repeat("x", 32<<20))
	s.Send(ctx, b, e)
	require.Error(t, s.Wait())
	require.Error(t, ctx.Err())
}

func TestAPageBehindOneThatWasRefusedIsNotTakenForALoss(t *testing.T) {
	t.Parallel()
	client, e := open(t, testenv.OwnRedis(t).URL), later()
	w := New(client)
	s := newStream(t, w)
	s.Send(t.Context(), page(Set, 0, 10, 1), e)
	require.NoError(t, s.Wait())
	require.NoError(t, client.ReplicaOf(t.Context(), "127.0.0.1", "1").Err())
	s.Send(t.Context(), page(Set, 10, 10, 2), e)
	require.Eventually(t, func() bool {
		return strings.Contains(client.Info(t.Context(), "errorstats").Val(), "errorstat_READONLY:count=11")
	}, time.Minute, time.Millisecond, "ten rows and a stamp")
	require.NoError(t, client.ReplicaOf(t.Context(), "NO", "ONE").Err())
	for number := 3; number <= 5; number++ {
		s.Send(t.Context(), page(Set, number*10-10, 10, number), e)
	}
	for range 4 {
		require.NoError(t, s.Wait())
	}
	require.EqualValues(t, 51, client.DBSize(t.Context()).Val(), "rows and the mark")
	stamps, err := w.Stamps(t.Context(), []RunMark{{Run: "run", Epoch: 1}})
	require.NoError(t, err)
	require.Equal(t, map[int]int64{1: 5}, stamps[0])
}

// flushing is a connection that empties the server in the middle of a page.
type flushing struct {
	net.Conn
	flush func()
}

func (c *flushing) Write(p []byte) (int, error) {
	half := len(p) / 2
	if half < 10_000 {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:half])
	if err != nil {
		return n, err
	}
	c.flush()
	m, err := c.Conn.Write(p[half:])
	return n + m, err
}

func TestAFlushInAUnitsFirstPageIsSeen(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(t *testing.T, w *Writer, b *Batch) error{
		"writer": func(t *testing.T, w *Writer, b *Batch) error { t.Helper(); return w.Write(t.Context(), b, later()) },
		"stream": func(t *testing.T, w *Writer, b *Batch) error {
			t.Helper()
			s := newStream(t, w)
			require.NotNil(t, s.conn)
			s.Send(t.Context(), b, later())
			return s.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.OwnRedis(t)
			other := open(t, server.URL)
			opts, err := redis.ParseURL(server.URL)
			require.NoError(t, err)
			opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				return &flushing{Conn: conn, flush: func() {
					require.Eventually(t, func() bool { return other.DBSize(t.Context()).Val() > 100 }, time.Minute, time.Millisecond)
					require.NoError(t, other.FlushAll(t.Context()).Err())
				}}, err
			}
			client := redis.NewClient(opts)
			t.Cleanup(func() { require.NoError(t, client.Close()) })
			b := page(Set, 0, 900, int(StampValue(1, 1)))
			b.Stamp.Known = 0
			var lost *LostError
			require.ErrorAs(t, write(t, New(client), b), &lost)
			require.Zero(t, lost.Stamp.Known, "as the ledger knows it")
		})
	}
}
