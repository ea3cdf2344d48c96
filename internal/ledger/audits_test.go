package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// silent is how long a pod has said nothing for at least, also one that has just done so: clocks are coarse.
const silent = -time.Hour

func askFor(t *testing.T, s *ledger.Store, a ledger.Audit) bool {
	t.Helper()
	asked, err := s.RequestAudit(t.Context(), a)
	require.NoError(t, err)
	return asked
}

func TestAnAuditIsClaimedByOneAndCarriedOnByAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		require.True(t, askFor(t, s, ledger.Audit{ID: "a1", Kind: ledger.AuditByHand, Sample: 50, Who: "me", Repair: true}))
		a, err := s.NextAudit(t.Context(), false, "pod-a", time.Hour)
		require.NoError(t, err)
		require.Equal(t, ledger.AuditRunning, a.State)
		require.InDelta(t, 50, a.Sample, 0)
		none, err := s.NextAudit(t.Context(), false, "pod-b", time.Hour)
		require.NoError(t, err)
		require.Nil(t, none)

		a.AfterShop, a.ShopsDone, a.Keys, a.Missing, a.SourceTime = "17", 3, 100, 2, time.Second
		require.NoError(t, s.SaveAudit(t.Context(), *a, []ledger.AuditFinding{{Kind: "missing", Key: "k1", Repaired: true}, {Kind: "missing", Key: "k2"}}))
		taken, err := s.NextAudit(t.Context(), false, "pod-b", silent) // pod-a has said nothing for longer than that
		require.NoError(t, err)
		require.Equal(t, "17", taken.AfterShop)
		require.ErrorIs(t, s.SaveAudit(t.Context(), *a, nil), ledger.ErrFenced)
		require.ErrorIs(t, s.BeatAudit(t.Context(), *a, 1), ledger.ErrFenced)
		require.NoError(t, s.BeatAudit(t.Context(), *taken, 7))

		many := make([]ledger.AuditFinding, ledger.FindingsKept)
		taken.State = ledger.AuditFailed
		require.NoError(t, s.SaveAudit(t.Context(), *taken, many))
		got, found, err := s.Audit(t.Context(), "a1")
		require.NoError(t, err)
		require.Len(t, found, ledger.FindingsKept)
		require.Equal(t, "k1", found[0].Key)
		require.Equal(t, ledger.AuditFailed, got.State)
		require.False(t, got.FinishedAt.IsZero())
		require.Equal(t, time.Second, got.SourceTime)
		all, err := s.Audits(t.Context(), time.Time{}, time.Time{}, 10)
		require.NoError(t, err)
		require.Len(t, all, 1)
		none, err = s.NextAudit(t.Context(), false, "pod-b", silent)
		require.NoError(t, err)
		require.Nil(t, none, "it is over")
	})
}

func TestARunHasOneAuditAtATimeAndIsReadyWhenItPasses(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		fresh := newRun("1001", "b")
		fresh.StartsAt, fresh.EndsAt, fresh.Deadline = time.Now(), time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
		r, _, err := s.Create(t.Context(), fresh)
		require.NoError(t, err)
		require.NoError(t, s.WritePlan(t.Context(), r.ID, 1, ledger.Kept{}, []ledger.Unit{{Dataset: "users"}}))
		u := claim(t, s, r, 0, 0)
		_, err = s.Finish(t.Context(), u, nil)
		require.NoError(t, err)
		warm, err := s.Warm(t.Context(), "", "")
		require.NoError(t, err)
		require.Len(t, warm, 1)
		require.False(t, warm[0].Moving)
		require.Equal(t, r.ID, warm[0].ID)

		ask := ledger.Audit{ID: "a1", Kind: ledger.AuditReady, RunID: r.ID, Epoch: 1, ShopID: "1001", Sample: 100}
		require.True(t, askFor(t, s, ask))
		ask.ID = "a2"
		require.False(t, askFor(t, s, ask), "one is waiting")
		none, err := s.NextAudit(t.Context(), false, "pod", time.Hour)
		require.NoError(t, err)
		require.Nil(t, none, "it is in the other lane")
		a, err := s.NextAudit(t.Context(), true, "pod", time.Hour)
		require.NoError(t, err)
		a.State = ledger.AuditFailed
		require.NoError(t, s.SaveAudit(t.Context(), *a, nil))
		require.False(t, askFor(t, s, ask), "one has just failed")

		require.ErrorIs(t, s.Audited(t.Context(), r.ID, 1, warm[0].ReadyAt.Add(-time.Second)), ledger.ErrState, "it became ready anew since")
		run, err := s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.False(t, run.Vouched())
		require.NoError(t, s.Audited(t.Context(), r.ID, 1, warm[0].ReadyAt))
		run, err = s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.True(t, run.Vouched())
		require.True(t, run.Late)
	})
}
