package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// behind is a replica that has no more of a table than it had to when it was last asked.
type behind struct {
	*table
	asked bool
	rows  [raceRows]int
	since int64
}

func (b *behind) Next(_ context.Context, known int64) (Pages, string, int64) {
	if !b.asked || rand.IntN(4) == 0 {
		b.asked, b.since, b.rows = true, known, b.now()
	}
	if rand.IntN(8) == 0 {
		return nil, "", known
	}
	return b, "main/1", b.since
}

func (*behind) Failed(context.Context, error) {}
func (*behind) Close()                        {}

func (b *behind) ReadPage(_ context.Context, _, after, to string, limit int, visit source.Visit) (source.Page, error) {
	return b.pageOf(b.rows, after, to, limit, visit)
}

// stuck is a replica that stays as it was at the beginning.
type stuck struct {
	*table
	rows [raceRows]int
	lies bool // it passes for the source
}

func (s *stuck) Next(_ context.Context, known int64) (Pages, string, int64) {
	if s.lies {
		return s, "main/1", known
	}
	return s, "main/1", 0
}

func (*stuck) Failed(context.Context, error) {}
func (*stuck) Close()                        {}

func (s *stuck) ReadPage(_ context.Context, _, after, to string, limit int, visit source.Visit) (source.Page, error) {
	return s.pageOf(s.rows, after, to, limit, visit)
}

func TestARowDoesNotComeBackFromAReplicaThatIsBehind(t *testing.T) {
	t.Parallel()
	r := newRacing(t, dataset.WriteAlways)
	r.behind = func(tab *table) Elsewhere { return &behind{table: tab} }
	for round := range 50 {
		require.Empty(t, r.round(t, round, r.Cache), "round %d", round)
	}
	t.Run("and if it passes for the source it does", func(t *testing.T) {
		r := newRacing(t, dataset.WriteAlways)
		for round, lies := range []bool{false, true} {
			r.behind = func(tab *table) Elsewhere { return &stuck{table: tab, rows: tab.now(), lies: lies} }
			require.Equal(t, lies, r.leaves(t, round, raceRows-1, r.Cache))
		}
	})
}

// failing is a replica that breaks off in the middle of a page, once.
type failing struct {
	Dataset
	pages, failed, closed int
}

var errGone = errors.New("the replica has gone")

func (f *failing) Next(_ context.Context, known int64) (Pages, string, int64) {
	if f.failed > 0 {
		return nil, "", known
	}
	return f, "main/1", known
}

func (f *failing) Failed(_ context.Context, err error) {
	if errors.Is(err, errGone) {
		f.failed++
	}
}

func (f *failing) Close() { f.closed++ }

func (f *failing) ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error) {
	if f.pages++; f.pages < 3 {
		return f.Dataset.ReadPage(ctx, shop, after, to, limit, visit)
	}
	got, err := f.Dataset.ReadPage(ctx, shop, after, to, limit/2, visit)
	return got, errors.Join(err, errGone)
}

func TestAPageThatAReplicaDoesNotGiveIsReadAtTheSourceAndNoneIsMissed(t *testing.T) {
	t.Parallel()
	e := newEnv(t, testenv.Redis(t).URL, usersTable)
	e.users(t, 1, 45)
	d := &readsOf{Dataset: e.bind(t, usersSpec())}
	f := &failing{Dataset: d.Dataset}
	e.Begin = func(string) Elsewhere { return f }
	u := e.done(t, e.job(t, d))
	require.EqualValues(t, 45, u.RowsDone)
	require.EqualValues(t, 5, u.Pages)
	require.Equal(t, 45, e.keys(t))
	require.EqualValues(t, 3, d.reads.Load(), "pages read at the source")
	require.Equal(t, []int{3, 1, 1}, []int{f.pages, f.failed, f.closed})
}
