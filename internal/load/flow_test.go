package load

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// readsOf counts the reads of a dataset.
type readsOf struct {
	Dataset
	reads atomic.Int64
}

func (r *readsOf) ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error) {
	r.reads.Add(1)
	return r.Dataset.ReadPage(ctx, shop, after, to, limit, visit)
}

// fixedRows sizes reads.
type fixedRows int

func (n fixedRows) Rows(string, string) int { return int(n) }
func (fixedRows) Read(PageRead)             {}

func TestSmallReadsAreWrittenAndRecordedTogether(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 45)
	s := &sizes{Cache: e.Cache}
	e.Cache, e.Limits.Together.Rows, e.Sizes = s, 20, fixedRows(5)
	d := &readsOf{Dataset: e.bind(t, usersSpec())}
	u := e.done(t, e.job(t, d))
	require.EqualValues(t, 45, u.RowsDone)
	require.Equal(t, 45, e.keys(t))
	require.Len(t, s.bytes, 3, "pages")
	require.EqualValues(t, 3, u.Pages)
	require.GreaterOrEqual(t, d.reads.Load(), int64(9))
}

// timed says how long each page took the source.
type timed struct {
	Dataset
	took time.Duration // 0: it is not known
}

func (d timed) ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error) {
	p, err := d.Dataset.ReadPage(ctx, shop, after, to, limit, visit)
	p.Took = d.took
	return p, err
}

// heard keeps what was told of pages.
type heard struct {
	fixedRows
	pages *[]PageRead
}

func (h heard) Read(p PageRead) { *h.pages = append(*h.pages, p) }

func TestAPagesTimeIsWhatTheSourceSays(t *testing.T) {
	t.Parallel()
	for took, known := range map[time.Duration]bool{time.Nanosecond: true, 0: false, time.Hour: false} {
		e := newEnv(t, testenv.Redis(t).URL, usersTable)
		e.users(t, 1, 5)
		var pages []PageRead
		e.Sizes = heard{5, &pages}
		e.done(t, e.job(t, timed{e.bind(t, usersSpec()), took}))
		require.NotEmpty(t, pages)
		if known {
			require.Equal(t, took, pages[0].Time)
			continue
		}
		require.Positive(t, pages[0].Time)
		require.Less(t, pages[0].Time, time.Minute, "no more than until we had it")
	}
}

func TestReadsThatAreSlowArePagesOfTheirOwn(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 45)
	e.Limits.Together, e.Sizes = Together{Rows: 20, For: time.Nanosecond}, fixedRows(5)
	u := e.done(t, e.job(t, e.bind(t, usersSpec())))
	require.EqualValues(t, 45, u.RowsDone)
	require.GreaterOrEqual(t, u.Pages, int64(9))
}

// heldLedger holds up checkpoints.
type heldLedger struct {
	Ledger
	began chan struct{}
	goOn  chan struct{}
}

func (h *heldLedger) Checkpoint(ctx context.Context, u ledger.Unit, rejected []ledger.Reject) error {
	h.began <- struct{}{}
	<-h.goOn
	return h.Ledger.Checkpoint(ctx, u, rejected)
}

func TestNoMoreThanTheWindowIsWrittenAndNotRecorded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 100)
	j := e.job(t, e.bind(t, usersSpec()))
	h := &heldLedger{Ledger: e.Ledger, began: make(chan struct{}), goOn: make(chan struct{})}
	e.Ledger = h
	ended := make(chan error, 1)
	go func() {
		_, err := e.Load(t.Context(), j)
		ended <- err
	}()
	<-h.began
	require.Eventually(t, func() bool { return e.keys(t) == 10*window }, 10*time.Second, 5*time.Millisecond, "the window is used")
	require.Never(t, func() bool { return e.keys(t) > 10*window }, 100*time.Millisecond, 5*time.Millisecond)
	go func() {
		for range h.began { // each one that comes
			h.goOn <- struct{}{}
		}
	}()
	h.goOn <- struct{}{}
	require.NoError(t, <-ended)
	close(h.began)
	require.Equal(t, 100, e.keys(t))
	require.EqualValues(t, 100, e.unit(t, j).RowsDone)
}

func TestPagesBeforeOneThatFailsAreRecorded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 50)
	j := e.job(t, e.bind(t, usersSpec()))
	broken := errors.New("the test says so")
	e.Cache = &between{Cache: e.Cache, after: func(pages int) error {
		if pages == 3 {
			return broken
		}
		return nil
	}}
	_, err := e.Load(t.Context(), j)
	require.ErrorIs(t, err, broken)
	require.Equal(t, `["20"]`, e.unit(t, j).Cursor)
}

func TestAHashIsStreamedAsItIsWritten(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable, "INSERT INTO users VALUES (1, 1, 'a', NULL), (1, 2, NULL, NULL)")
	spec := usersSpec()
	spec.Value = dataset.ValueHash
	require.NoError(t, e.redis.HSet(t.Context(), "user:1:2", "nick", "old").Err())
	e.done(t, e.job(t, e.bind(t, spec)))
	e.requireHash(t, "user:1:1", map[string]string{"user_id": "1", "nick": "a"})
	e.requireHash(t, "user:1:2", map[string]string{"user_id": "2"})
}
