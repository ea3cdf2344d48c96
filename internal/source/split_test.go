package source

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// checkFirst splits the first rows of a shop's order off, and wants exactly those: by their ranges, and by ReadRows.
func checkFirst(t *testing.T, rt *rapid.T, e *env, b *Bound, shop string) {
	t.Helper()
	ordered := *b.Walking(strides(rapid.Int64Range(1, 9).Draw(rt, "stride")))
	ordered.spec.Order = rapid.SampledFrom([]string{"", dataset.OrderOldest, dataset.OrderNewest}).Draw(rt, "order")
	by := strings.Join(b.spec.By, ", ")
	all := e.strings(t, "SELECT n FROM t WHERE shop = ? ORDER BY "+by, shop)
	most, unit := rapid.IntRange(1, len(all)+2).Draw(rt, "most"), rapid.IntRange(1, 15).Draw(rt, "unit")
	first := all[:min(most, len(all))]
	if ordered.spec.Order == dataset.OrderNewest {
		first = all[max(0, len(all)-most):]
	}
	shown := e.strings(t, "SELECT n FROM t WHERE shop = ? AND hidden < 8 ORDER BY "+by, shop)
	want := slices.DeleteFunc(append([]string{}, shown...), func(n string) bool { return !slices.Contains(first, n) })

	var ranges []Range
	got, total := []string{}, int64(0)
	require.NoError(rt, ordered.Split(t.Context(), shop, unit, int64(most), func(r Range) error {
		require.True(rt, len(ranges) == 0 || ranges[len(ranges)-1].To == r.From, "ranges meet")
		require.LessOrEqual(rt, r.Rows, int64(unit))
		ranges, total = append(ranges, r), total+r.Rows
		got = append(got, readRange(t, rt, b, shop, r, 7)...)
		return nil
	}))
	require.EqualValues(rt, len(first), total)
	require.Equal(rt, want, got)
	part := Part{From: ranges[0].From, To: ranges[len(ranges)-1].To}
	cut := len(all) > most
	require.Equal(rt, cut && ordered.spec.Order == dataset.OrderNewest, part.From != "")
	require.Equal(rt, cut && ordered.spec.Order != dataset.OrderNewest, part.To != "", "what comes later is beyond it only if something was")

	keys, single := []string{}, []string{}
	_, err := b.ReadPage(t.Context(), shop, "", "", 1000, visitor(func(row []sql.RawBytes) bool {
		keys = append(keys, b.RowKey(row))
		return true
	}))
	require.NoError(rt, err)
	require.NoError(rt, in(b, part, part).ReadRows(t.Context(), shop, keys, visitor(func(row []sql.RawBytes) bool {
		single = append(single, string(row[0]))
		return true
	})))
	require.Equal(rt, want, single)
}

// strides walks so many entries at a time.
func strides(n int64) Walk {
	return func(_ context.Context, most int64, step func(int64) (time.Duration, error)) error {
		_, err := step(min(n, most))
		return err
	}
}

func TestAnIndexIsWalkedInStrides(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE t (shop INT NOT NULL, id INT NOT NULL, PRIMARY KEY (shop, id))",
		"INSERT INTO t SELECT 1, seq FROM "+testenv.Numbers(1, 1000), "INSERT INTO t SELECT 2, seq FROM "+testenv.Numbers(1, 3))
	plain := e.bind(t, dataset.Spec{Name: "t", Table: "t", Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: "t:{shop}:{id}"})
	e.db.SetMaxOpenConns(1)
	var walked []int64
	b := plain.Walking(func(_ context.Context, most int64, step func(int64) (time.Duration, error)) error {
		want := min(70, most)
		walked = append(walked, want)
		var took time.Duration
		n := touched(t, e.db, func() {
			var err error
			took, err = step(want)
			require.NoError(t, err)
		})
		require.LessOrEqual(t, n, 2*int(want)+5, "the end is counted after it was not found")
		require.Positive(t, took)
		return nil
	})
	for _, order := range []string{dataset.OrderOldest, dataset.OrderNewest} {
		b.spec.Order, walked = order, nil
		var rows []int64
		require.NoError(t, b.Split(t.Context(), "1", 300, 1000, func(r Range) error {
			rows = append(rows, r.Rows)
			return nil
		}))
		want := []int64{300, 300, 300, 100}
		if order == dataset.OrderNewest {
			slices.Reverse(want)
		}
		require.Equal(t, want, rows)
		require.Equal(t, []int64{70, 70, 70, 70, 20, 70, 70, 70, 70, 20, 70, 70, 70, 70, 20, 70, 30}, walked)
	}
	for upTo, want := range map[int64]int64{0: 1000, 70: 70, 71: 71, 1000: 1000, 1001: 1000} {
		n, err := b.Count(t.Context(), "1", upTo)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	refused := errors.New("not now")
	b = plain.Walking(func(context.Context, int64, func(int64) (time.Duration, error)) error { return refused })
	require.ErrorIs(t, b.Split(t.Context(), "1", 300, 0, func(Range) error { return nil }), refused)
	_, err := b.Count(t.Context(), "1", 0)
	require.ErrorIs(t, err, refused)
}

// in is a dataset of which only these parts are read.
func in(b *Bound, parts ...Part) *Bound {
	kept, err := Only(b, parts)
	if err != nil {
		return nil
	}
	return kept
}

func TestPartsAreAddedUp(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE t (shop INT NOT NULL, id INT NOT NULL, PRIMARY KEY (shop, id))", "INSERT INTO t SELECT 1, seq FROM "+testenv.Numbers(1, 20))
	b := e.bind(t, dataset.Spec{Name: "t", Table: "t", Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: "t:{shop}:{id}"})
	var rows []string
	for i := range 20 {
		rows = append(rows, `["`+strconv.Itoa(i+1)+`"]`)
	}
	read := func(b *Bound) (got []string) {
		require.NoError(t, b.ReadRows(t.Context(), "1", rows, visitor(func(row []sql.RawBytes) bool {
			got = append(got, string(row[0]))
			return true
		})))
		return got
	}
	require.Equal(t, []string{"1", "2", "9", "10", "18", "19", "20"}, read(in(b, Part{To: `["2"]`}, Part{From: `["8"]`, To: `["10"]`}, Part{From: `["17"]`})))
	require.Len(t, read(in(b)), 20)
	require.Len(t, read(in(b, Part{To: `["2"]`}, Part{})), 20)
	require.Error(t, in(b, Part{From: "?"}).ReadRows(t.Context(), "1", rows, nil))
	_, err := Only(5, nil)
	require.NoError(t, err)
	_, err = Only(5, []Part{{}})
	require.ErrorContains(t, err, "cannot be read in parts", "nobody reads more than is said and does not tell")
}
