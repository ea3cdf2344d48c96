package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestDatasetsAreASetOfNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "b", "users", "users_2"}), 1, 6).Draw(t, "names")
		d := ledger.DatasetsOf(names)
		for _, name := range []string{"a", "ab", "b", "users", "users_2", "use"} {
			require.Equal(t, slices.Contains(names, name), d.Has(name), name)
		}
		slices.Reverse(names)
		require.Equal(t, d, ledger.DatasetsOf(names))
		require.Equal(t, d, ledger.DatasetsOf(d.Names()))
	})
	require.True(t, ledger.DatasetsOf(nil).Has("any"))
	require.Nil(t, ledger.Datasets("").Names())
}

// warmed is a run of shop 1001 that was planned with these datasets and has begun.
func warmed(t *testing.T, s *ledger.Store, broadcast string, ends time.Time, names ...string) ledger.Run {
	t.Helper()
	r := newRun("1001", broadcast)
	r.EndsAt = ends
	r, _, err := s.Create(t.Context(), r)
	require.NoError(t, err)
	units := []ledger.Unit{{Dataset: "shop"}}
	require.NoError(t, s.WritePlan(t.Context(), r.ID, 1, ledger.Kept{Datasets: ledger.DatasetsOf(names)}, units))
	claim(t, s, r, 0, 0)
	return r
}

func TestARunHasTheDatasetsThatItWasPlannedWith(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		ctx := t.Context()
		none, err := s.Kept(ctx, "1001")
		require.NoError(t, err)
		require.Zero(t, none)
		only := ledger.Settings{Kept: ledger.Kept{Datasets: ledger.DatasetsOf([]string{"users", "shop"})}}
		turned, err := s.SetShop(ctx, "1001", 0, only, ann)
		require.NoError(t, err)
		require.Equal(t, only, turned.After.Settings)
		require.Zero(t, turned.Behind)
		kept, err := s.Kept(ctx, "1001")
		require.NoError(t, err)
		require.Equal(t, only.Kept, kept)
		list, err := s.Shops(ctx)
		require.NoError(t, err)
		require.Len(t, list, 1)

		long := warmed(t, s, "long", start.Add(8*time.Hour), "shop")
		cached, err := s.CachedShops(ctx)
		require.NoError(t, err)
		require.Equal(t, []bool{true, false, false}, []bool{cached.Has("1001", "shop"), cached.Has("1001", "users"), cached.Has("1002", "shop")})
		for _, dataset := range []string{"shop", "users", "staff"} {
			require.NoError(t, s.BeginFresh(ctx, ledger.Fresh{ShopID: "1001", Dataset: dataset, Mark: "5"}))
		}
		require.NoError(t, s.BeginFresh(ctx, ledger.Fresh{ShopID: "1001", Dataset: "users", Mark: "6"}), "it is in no run yet")
		short := warmed(t, s, "short", start.Add(4*time.Hour), "users", "shop")
		require.NoError(t, s.BeginFresh(ctx, ledger.Fresh{ShopID: "1001", Dataset: "users", Mark: "7"}))
		cached, err = s.CachedShops(ctx)
		require.NoError(t, err)
		require.Equal(t, []bool{true, true, false}, []bool{cached.Has("1001", "shop"), cached.Has("1001", "users"), cached.Has("1001", "staff")})
		fresh, err := s.Fresh(ctx)
		require.NoError(t, err)
		require.Len(t, fresh, 2)
		require.Equal(t, []string{"shop", "5", "users", "6"}, []string{fresh[0].Dataset, fresh[0].Mark, fresh[1].Dataset, fresh[1].Mark})

		for dataset, want := range map[string]time.Time{"shop": long.EndsAt, "users": short.EndsAt, "staff": {}} {
			ends, err := s.Ends(ctx, "1001", dataset, 0)
			require.NoError(t, err)
			require.Equal(t, want, ends.Needed, dataset)
		}
		turned, err = s.SetShop(ctx, "1001", 1, ledger.Settings{}, ann)
		require.NoError(t, err)
		require.Equal(t, 2, turned.Behind)
		warmed(t, s, "all", start.Add(time.Hour))
		cached, err = s.CachedShops(ctx)
		require.NoError(t, err)
		require.True(t, cached.Has("1001", "staff"))
	})
}

func TestKeysLiveAsLongAsTheRunThatNeedsThemLongest(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		ctx := t.Context()
		const policy = 30 * time.Minute
		needed := func() time.Time {
			t.Helper()
			e, err := s.Ends(ctx, "1001", "shop", policy)
			require.NoError(t, err)
			require.Contains(t, e.Former, e.Needed)
			return e.Needed
		}
		long := warmed(t, s, "long", start.Add(5*time.Hour))
		require.Equal(t, long.EndsAt.Add(policy), needed())
		turned, err := s.SetShop(ctx, "1001", 0, ledger.Settings{Kept: ledger.Kept{AfterEnd: 3 * time.Hour}}, ann)
		require.NoError(t, err)
		require.Equal(t, 3*time.Hour, turned.After.AfterEnd)
		require.Equal(t, 1, turned.Behind)
		require.Equal(t, long.EndsAt.Add(policy), needed(), "a run keeps what it was planned with")

		short, _, err := s.Create(ctx, newRun("1001", "short"))
		require.NoError(t, err)
		kept, err := s.Kept(ctx, "1001")
		require.NoError(t, err)
		require.NoError(t, s.WritePlan(ctx, short.ID, 1, kept, []ledger.Unit{{Dataset: "shop"}}))
		claim(t, s, short, 0, 0)
		require.Equal(t, short.EndsAt.Add(3*time.Hour), needed())
		short, err = s.Run(ctx, short.ID)
		require.NoError(t, err)
		require.Equal(t, short.EndsAt.Add(3*time.Hour), short.KeysUntil(policy))

		// Moved and planned anew with another time: what its keys had is remembered, whatever the policy says.
		move(t, s, short.ID, time.Hour)
		require.Equal(t, short.EndsAt.Add(4*time.Hour), needed())
		require.NoError(t, s.Restart(ctx, short.ID, ann))
		require.Equal(t, short.EndsAt.Add(4*time.Hour), needed(), "until it is planned")
		require.NoError(t, s.WritePlan(ctx, short.ID, 2, ledger.Kept{AfterEnd: 10 * time.Minute}, []ledger.Unit{{Dataset: "shop"}}))
		e, err := s.Ends(ctx, "1001", "shop", policy)
		require.NoError(t, err)
		require.Equal(t, long.EndsAt.Add(policy), e.Needed)
		for _, after := range []time.Duration{70 * time.Minute, 3 * time.Hour, 4 * time.Hour} {
			require.Contains(t, e.Former, short.EndsAt.Add(after))
		}
		require.NoError(t, s.Cancel(ctx, long.ID, ann))
		require.Equal(t, short.EndsAt.Add(70*time.Minute), needed())
	})
}
