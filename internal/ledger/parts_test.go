package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestAmountsAreNumbersByName(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.MapOfN(rapid.SampledFrom([]string{"a", "ab", "users", "users_2"}), rapid.Int64Range(1, 1<<62), 1, 4).Draw(t, "of")
		a := ledger.AmountsOf(of)
		require.Equal(t, of, a.Map())
		for _, name := range []string{"a", "ab", "users", "users_2", "b"} {
			require.Equal(t, of[name], a.Of(name))
		}
	})
	require.Empty(t, ledger.AmountsOf(nil))
	require.Nil(t, ledger.Amounts("").Map())
}

func TestPartsAreWhatUnitsMakeUp(t *testing.T) {
	t.Parallel()
	unit := func(dataset, from, to string) ledger.Unit { return ledger.Unit{Dataset: dataset, From: from, To: to} }
	require.Equal(t, map[string]ledger.Part{"newest": {From: "3"}, "oldest": {To: "9"}, "one": {From: "7"}}, ledger.PartsOf([]ledger.Unit{
		unit("shop", "", ""), unit("newest", "5", ""), unit("all", "4", ""), unit("newest", "3", "5"), unit("oldest", "", "5"), unit("oldest", "5", "9"),
		unit("all", "", "4"), unit("one", "7", ""),
	}))
	since := ledger.Since{Column: "created", Value: "2026-01-01"}
	require.Equal(t, map[string]ledger.Part{"orders": {From: "3", Since: since}, "all": {Since: since}},
		ledger.PartsOf([]ledger.Unit{{Dataset: "orders", From: "3", Since: since}, {Dataset: "all", To: "5", Since: since}, {Dataset: "all", From: "5", Since: since}}))
}

// part is a run of shop 1001 with one unit of users, of which it keeps so much.
func part(t *testing.T, s *ledger.Store, broadcast string, from string) ledger.Run {
	t.Helper()
	r, _, err := s.Create(t.Context(), newRun("1001", broadcast))
	require.NoError(t, err)
	units := []ledger.Unit{{Dataset: "users", From: from}, {Dataset: "shop"}, {Dataset: "orders", Since: ledger.Since{Column: "created", Value: from}}}
	require.NoError(t, s.WritePlan(t.Context(), r.ID, 1, ledger.Kept{MaxRows: "users=5"}, units))
	claim(t, s, r, 0, 0)
	return r
}

func TestWhatIsKeptOfAShopIsThePartsOfItsRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		ctx := t.Context()
		kept := func(dataset string) []ledger.Part {
			t.Helper()
			parts, err := s.KeptParts(ctx, "1001", dataset)
			require.NoError(t, err)
			return parts
		}
		turned, err := s.SetShop(ctx, "1001", 0, ledger.Settings{Kept: ledger.Kept{MaxRows: "users=5"}}, ann)
		require.NoError(t, err)
		require.Equal(t, ledger.Amounts("users=5"), turned.After.MaxRows)
		is, err := s.Kept(ctx, "1001")
		require.NoError(t, err)
		require.Equal(t, ledger.Kept{MaxRows: "users=5"}, is)

		first := part(t, s, "first", `["10"]`)
		require.Equal(t, []ledger.Part{{From: `["10"]`}}, kept("users"))
		require.Empty(t, kept("shop"))
		part(t, s, "second", `["20"]`)
		require.ElementsMatch(t, []ledger.Part{{From: `["10"]`}, {From: `["20"]`}}, kept("users"))
		own, err := s.RunParts(ctx, first.ID)
		require.NoError(t, err)
		recent := ledger.Part{Since: ledger.Since{Column: "created", Value: `["10"]`}}
		require.Equal(t, map[string]ledger.Part{"users": {From: `["10"]`}, "orders": recent}, own)
		require.Contains(t, kept("orders"), recent)

		// One that keeps all of it counts for all of it, one without the dataset for nothing.
		warmed(t, s, "without", start.Add(time.Hour), "shop")
		require.Len(t, kept("users"), 2)
		whole := warmed(t, s, "whole", start.Add(time.Hour))
		require.Empty(t, kept("users"))
		require.NoError(t, s.Cancel(ctx, whole.ID, ann))
		require.Len(t, kept("users"), 2)

		// Until a run is planned anew it has what it had.
		require.NoError(t, s.Restart(ctx, first.ID, ann))
		require.Len(t, kept("users"), 2)
		require.NoError(t, s.WritePlan(ctx, first.ID, 2, ledger.Kept{}, []ledger.Unit{{Dataset: "users", To: `["7"]`}}))
		require.ElementsMatch(t, []ledger.Part{{To: `["7"]`}, {From: `["20"]`}}, kept("users"))
		turned, err = s.SetShop(ctx, "1001", 1, ledger.Settings{Kept: ledger.Kept{MaxRows: "users=5"}}, ann)
		require.NoError(t, err)
		require.Zero(t, turned.Behind, "nothing has changed")
		turned, err = s.SetShop(ctx, "1001", 2, ledger.Settings{Kept: ledger.Kept{MaxRows: "users=6"}}, ann)
		require.NoError(t, err)
		require.Equal(t, 3, turned.Behind)
	})
}
