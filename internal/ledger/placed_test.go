package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestWhereAShopsDatasetIsFollowsItsRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		ctx := t.Context()
		begun := func(broadcast, cache string) ledger.Run {
			t.Helper()
			r, _, err := s.Create(ctx, newRun("1", broadcast))
			require.NoError(t, err)
			require.NoError(t, s.WritePlan(ctx, r.ID, 1, ledger.Kept{}, []ledger.Unit{{Dataset: "users", Cache: cache}, {Dataset: "users", Cache: cache}, {Dataset: "shop"}}))
			_, err = s.Claim(ctx, r.ID, 1, 0, 0, "pod")
			require.NoError(t, err)
			return r
		}
		places := func() []string {
			t.Helper()
			places, err := s.Places(ctx, "1", "users")
			require.NoError(t, err)
			return places
		}
		require.Empty(t, places())
		first := begun("a", "big")
		require.Equal(t, []string{"big"}, places())
		second := begun("b", "")
		require.ElementsMatch(t, []string{"big", "main"}, places())
		placed, err := s.Placed(ctx, first)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"users": "big", "shop": "main"}, placed)
		u, err := s.Unit(ctx, first.ID, 1, 1)
		require.NoError(t, err)
		require.Equal(t, "big", u.Cache)
		require.NoError(t, s.Cancel(ctx, second.ID, ledger.By{Who: "me"}))
		require.Equal(t, []string{"big"}, places())
		err = s.Restart(ctx, first.ID, ledger.By{Who: "me"})
		require.NoError(t, err)
		require.Empty(t, places(), "until it is planned anew")
	})
}

func TestAnAuditsCountsByCacheAreCarriedOn(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		require.True(t, askFor(t, s, ledger.Audit{ID: "a1", Kind: ledger.AuditByHand, Sample: 100, Who: "me"}))
		a, err := s.NextAudit(t.Context(), false, "pod-a", time.Hour)
		require.NoError(t, err)
		require.Empty(t, a.Caches)
		want := map[string]ledger.AuditCounts{"main": {Keys: 5, Missing: 1}, "big": {Keys: 7, Extra: 2, Repaired: 1}}
		a.Caches = want
		require.NoError(t, s.SaveAudit(t.Context(), *a, nil))
		next, err := s.NextAudit(t.Context(), false, "pod-b", silent)
		require.NoError(t, err)
		require.Equal(t, want, next.Caches)
		next.Caches["big"] = ledger.AuditCounts{Keys: 9}
		require.NoError(t, s.SaveAudit(t.Context(), *next, nil))
		last, _, err := s.Audit(t.Context(), "a1")
		require.NoError(t, err)
		require.Equal(t, map[string]ledger.AuditCounts{"main": {Keys: 5, Missing: 1}, "big": {Keys: 9}}, last.Caches)
	})
}
