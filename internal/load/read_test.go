package load

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestRowsThatAreKeptAreThoseThatCame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := spareReads.Get().(*read) //nolint:forcetypeassert // nothing else is in it
		defer spareReads.Put(d)
		d.reset()
		width := rapid.IntRange(1, 5).Draw(t, "columns")
		var want [][]sql.RawBytes
		for range rapid.IntRange(1, 20).Draw(t, "rows") {
			came, row := make([]sql.RawBytes, width), make([]sql.RawBytes, width)
			for i := range came {
				if text := rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "value"); !rapid.Bool().Draw(t, "null") {
					came[i], row[i] = append(sql.RawBytes{}, text...), append(sql.RawBytes{}, text...)
				}
			}
			d.keep(came)
			for _, v := range came { // what came is gone with the next row
				copy(v, bytes.Repeat([]byte{'?'}, len(v)))
			}
			want = append(want, row)
		}
		d.Rows = len(want)
		var got []sql.RawBytes
		for _, row := range want {
			got = d.row(got)
			require.Equal(t, row, got)
		}
		require.Equal(t, d.Rows, d.next)
	})
}

// telling tells of each read but the first when it begins.
type telling struct {
	Dataset
	began chan string
}

func (l *telling) ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error) {
	if after != "" {
		l.began <- after
	}
	return l.Dataset.ReadPage(ctx, shop, after, to, limit, visit)
}

// awaiting goes on behind a read that was encoded only when the next one has begun.
type awaiting struct {
	fixedRows
	began <-chan string
	seen  []string
}

func (a *awaiting) Read(p PageRead) {
	if p.Rows < int(a.fixedRows) { // the last
		return
	}
	select {
	case after := <-a.began:
		a.seen = append(a.seen, after)
	case <-time.After(2 * time.Second): // and not so long that the page is too old
		a.seen = append(a.seen, "none has begun")
	}
}

func TestTheNextReadIsUnderWayWhileOneIsEncoded(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 12)
	began := make(chan string, 100)
	a := &awaiting{fixedRows: 5, began: began}
	e.Sizes = a
	d := &telling{Dataset: e.bind(t, usersSpec()), began: began}
	j := e.job(t, d)
	_, err := e.Load(t.Context(), j)
	require.NoError(t, err)
	require.Equal(t, 12, e.keys(t))
	require.Equal(t, []string{`["5"]`, `["10"]`}, a.seen)
}

// A page ends by the bytes of what is written, which are more than those that were read: in the middle of a read if it must, and there a unit goes on.
func TestAReadThatIsMoreThanAPageIsSeveral(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 40)
	spec := usersSpec()
	j := e.job(t, e.bind(t, spec))
	const most = 400
	s := &sizes{Cache: e.Cache}
	broken := errors.New("the test says so")
	stop := &between{Cache: s, after: func(pages int) error {
		if pages == 3 {
			return broken
		}
		return nil
	}}
	e.Cache, e.Limits.PageBytes, e.Limits.PageRows = stop, most, 40
	d := &readsOf{Dataset: j.Dataset}
	j.Dataset = d
	_, err := e.Load(t.Context(), j)
	require.ErrorIs(t, err, broken)
	row := len(`user:1:40`) + len(`{"user_id":40,"nick":"nick 40"}`)
	for _, n := range s.bytes {
		require.Less(t, n, most+row+1)
	}
	u := e.unit(t, j)
	require.EqualValues(t, 2, u.Pages)
	require.Equal(t, fmt.Sprintf(`["%d"]`, u.RowsDone), u.Cursor)
	require.Less(t, d.reads.Load(), int64(4), "reads have more rows than pages")

	_, err = e.store.Fail(t.Context(), u, err.Error(), false)
	require.NoError(t, err)
	e.Cache = &sizes{Cache: s.Cache}
	u = e.done(t, e.claim(t, j, j.Unit.RunID, 0, 0))
	require.EqualValues(t, 40, u.RowsDone)
	require.Equal(t, 40, e.keys(t))
}

// Changes since the oldest of its reads concern a page, also where a replica is further behind than the source was before.
func TestAPageIsAsOldAsTheOldestOfItsReads(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	f := &flow{task: &task{Loader: e.Loader, Job: Job{Dataset: e.bind(t, usersSpec())}}}
	p, first := &page{}, time.Now()
	for i, seen := range []int64{5, 3, 7} {
		require.NoError(t, f.encode(p, &read{seen: seen, began: first, ended: first.Add(time.Duration(i) * time.Second)}))
	}
	require.EqualValues(t, 3, p.seen)
	require.Equal(t, first, p.readAt)
}
