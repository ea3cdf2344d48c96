package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// EnvRaces is how many races of a page against a change are run instead of the few of an ordinary test.
const EnvRaces = "PREWARM_RACES"

const raceRows = 200

// table is a table in memory: a version per row, 0 for one that is not there. Reads take their time after they have looked.
type table struct {
	Live
	enc *dataset.Encoder

	mu     sync.Mutex
	rows   [raceRows]int
	looked func() // is called when a page's rows have been looked at and not yet been handed over
}

func newTable(t *testing.T, write string) *table {
	t.Helper()
	spec := dataset.Spec{Name: "users", Table: "users", Shop: "shop_id", By: []string{"id"}, Columns: []string{"id", "v"}, Key: "u:{shop}:{id}", Write: write}
	if write == dataset.WriteNewer {
		spec.Version = "v"
	}
	enc, err := dataset.Compile(spec, []dataset.Column{{Name: "id", Kind: dataset.KindInt}, {Name: "v", Kind: dataset.KindInt}}, 2)
	require.NoError(t, err)
	tab := &table{enc: enc}
	for i := range tab.rows {
		tab.rows[i] = 1
	}
	return tab
}

func (t *table) Spec() dataset.Spec {
	return dataset.Spec{Name: "users", Table: "users", By: []string{"id"}, Value: dataset.ValueJSON}
}
func (t *table) Encoder() *dataset.Encoder              { return t.enc }
func (t *table) Now(context.Context) (time.Time, error) { return time.Now(), nil }
func (t *table) RowKey(row []sql.RawBytes) string       { return `["` + string(row[0]) + `"]` }
func (t *table) CachedKey(shop, cursor string) (string, bool) {
	return fmt.Sprintf("u:%s:%d", shop, number(cursor)), true
}
func (t *table) change(i, v int)                                     { t.mu.Lock(); t.rows[i] = v; t.mu.Unlock() }
func (t *table) now() [raceRows]int                                  { t.mu.Lock(); defer t.mu.Unlock(); return t.rows }
func (t *table) ReadAll(context.Context, string, source.Visit) error { return errors.ErrUnsupported }

func cursor(i int) string { return fmt.Sprintf(`["%d"]`, i) }

func number(cursor string) int {
	var n int
	_, _ = fmt.Sscanf(cursor, `["%d"]`, &n)
	return n
}

func (t *table) visit(rows [raceRows]int, i int, visit source.Visit) error {
	if rows[i] == 0 {
		return nil
	}
	_, err := visit([]sql.RawBytes{[]byte(strconv.Itoa(i)), []byte(strconv.Itoa(rows[i]))})
	return err
}

func dawdle() {
	for range rand.IntN(200) {
		runtime.Gosched()
	}
}

func (t *table) ReadPage(_ context.Context, _, after, to string, limit int, visit source.Visit) (source.Page, error) {
	return t.pageOf(t.now(), after, to, limit, visit)
}

func (t *table) pageOf(rows [raceRows]int, after, to string, limit int, visit source.Visit) (source.Page, error) {
	from, end := 0, raceRows
	dawdle()
	if t.looked != nil {
		t.looked()
	}
	if after != "" {
		from = number(after) + 1
	}
	if to != "" {
		end = number(to) + 1
	}
	var p source.Page
	for i := from; i < end && p.Rows < limit; i++ {
		if rows[i] == 0 {
			continue
		}
		p.Rows++
		p.Last = cursor(i)
		if err := t.visit(rows, i, visit); err != nil {
			return p, err
		}
	}
	p.Done = p.Rows < limit
	return p, nil
}

func (t *table) ReadRows(_ context.Context, _ string, cursors []string, visit source.Visit) error {
	rows := t.now()
	dawdle()
	for _, c := range cursors {
		if err := t.visit(rows, number(c), visit); err != nil {
			return err
		}
	}
	return nil
}

// noLedger takes everything. No unit has expiries to move.
type noLedger struct{ Ledger }

func (noLedger) Checkpoint(context.Context, ledger.Unit, []ledger.Reject) error { return nil }
func (noLedger) Finish(context.Context, ledger.Unit, []ledger.Reject) (ledger.Settled, error) {
	return ledger.NowReady, nil
}

// blind sees no changes.
type blind struct{ Cache }

func (b blind) ChangedSince(_ context.Context, _ cache.Watched, since int64, _ []string) (int64, []string, error) {
	return since, nil, nil
}

func TestARowThatLeftDoesNotComeBackFromAPageThatWasReadBefore(t *testing.T) {
	t.Parallel()
	races := 20_000
	if n, err := strconv.Atoi(os.Getenv(EnvRaces)); err == nil {
		races = n
	}
	for _, write := range []string{dataset.WriteAlways, dataset.WriteNewer} {
		t.Run(write, func(t *testing.T) {
			t.Parallel()
			r := newRacing(t, write)
			for round := range races / 2 / raceRows {
				require.Empty(t, r.round(t, round, r.Cache), "round %d", round)
			}
			t.Logf("%d rows changed while they were being loaded", races/2/raceRows*raceRows)
		})
	}
	t.Run("and without looking it does", func(t *testing.T) {
		t.Parallel()
		r := newRacing(t, dataset.WriteAlways)
		require.False(t, r.leaves(t, 0, 5, r.Cache))
		require.True(t, r.leaves(t, 1, 5, blind{r.Cache}))
	})
}

// racing is a shop whose rows all change while they are loaded.
type racing struct {
	*Loader
	client redis.UniversalClient
	write  string
	behind func(*table) Elsewhere // pages are read at a replica that is behind
}

func newRacing(t *testing.T, write string) *racing {
	t.Helper()
	client, err := redisconn.Open(t.Context(), "cache", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return &racing{Loader: &Loader{Ledger: noLedger{}, Cache: cache.New(client), Limits: Limits{PageRows: 20, PageBytes: 1 << 20, MaxRejects: 1}}, client: client, write: write}
}

func (r *racing) load(t *testing.T, tab *table, shop string, c Cache) {
	l := *r.Loader
	l.Cache = c
	if r.behind != nil {
		l.Begin = func(string) Elsewhere { return r.behind(tab) }
	}
	_, err := l.Load(t.Context(), Job{Unit: ledger.Unit{RunID: shop, Epoch: 1, Dataset: "users", Claim: 1}, Shop: shop, Dataset: tab,
		Expiry: cache.Expiry{Until: time.Now().Add(time.Hour)},
		Renew:  func(context.Context) error { return nil }, Proceed: func(context.Context) error { return nil }})
	if err != nil {
		t.Error(err)
	}
}

func (r *racing) refresh(t *testing.T, tab *table, shop string, rows ...string) {
	_, err := r.Refresh(t.Context(), Refreshing{Shop: shop, Dataset: tab, Expiry: cache.Expiry{Until: time.Now().Add(time.Hour)}, Rows: rows})
	if err != nil {
		t.Error(err)
	}
}

// leaves loads the shop once; a row leaves when the first page has been looked at. It says whether the row is there in the end.
func (r *racing) leaves(t *testing.T, round, i int, c Cache) bool {
	t.Helper()
	tab, shop := newTable(t, r.write), strconv.Itoa(round)
	var once sync.Once
	tab.looked = func() {
		once.Do(func() {
			tab.change(i, 0)
			r.refresh(t, tab, shop, cursor(i))
		})
	}
	r.load(t, tab, shop, c)
	key, _ := tab.CachedKey(shop, cursor(i))
	n, err := r.client.Exists(t.Context(), key).Result()
	require.NoError(t, err)
	return n == 1
}

// round loads the shop once, and says which keys are wrong in the end.
func (r *racing) round(t *testing.T, round int, c Cache) (wrong []string) {
	t.Helper()
	tab, shop := newTable(t, r.write), strconv.Itoa(round)
	var wg sync.WaitGroup
	wg.Go(func() { r.load(t, tab, shop, c) })
	all := rand.Perm(raceRows)
	for _, part := range [][]int{all[:raceRows/2], all[raceRows/2:]} {
		wg.Go(func() {
			for len(part) > 0 {
				n := min(1+rand.IntN(8), len(part))
				var rows []string
				for _, i := range part[:n] {
					tab.change(i, []int{0, 0, 2, 3}[rand.IntN(4)])
					rows = append(rows, cursor(i))
				}
				part = part[n:]
				r.refresh(t, tab, shop, rows...)
			}
		})
	}
	wg.Wait()
	keys := make([]string, raceRows)
	for i := range keys {
		keys[i], _ = tab.CachedKey(shop, cursor(i))
	}
	values, err := r.client.MGet(t.Context(), keys...).Result()
	require.NoError(t, err)
	for i, v := range tab.now() {
		want := any(nil)
		if v > 0 {
			want = fmt.Sprintf(`{"id":%d,"v":%d}`, i, v)
		}
		if values[i] != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", keys[i], values[i], want))
		}
	}
	return wrong
}
