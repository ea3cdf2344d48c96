package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// moved is a ready run of two datasets, of 3 units and of 2, whose end has been moved since.
func moved(t *testing.T, s *ledger.Store) ledger.Run {
	t.Helper()
	r, _, err := s.Create(t.Context(), newRun("1001", uuid.NewString()))
	require.NoError(t, err)
	require.NoError(t, s.WritePlan(t.Context(), r.ID, r.Epoch, ledger.Kept{}, []ledger.Unit{{Dataset: "users"}, {Dataset: "products"}, {Dataset: "users"}, {Dataset: "users"}, {Dataset: "products"}}))
	for i := range 5 {
		u := claim(t, s, r, i, 0)
		u.Cursor, u.Pages, u.RowsDone = `["9"]`, 1, 10
		_, err := s.Finish(t.Context(), u, nil)
		require.NoError(t, err)
	}
	move(t, s, r.ID, time.Hour)
	return r
}

// move moves a run's end by so much.
func move(t *testing.T, s *ledger.Store, id string, by time.Duration) {
	t.Helper()
	run, err := s.Run(t.Context(), id)
	require.NoError(t, err)
	times := ledger.Times{StartsAt: run.StartsAt, EndsAt: run.EndsAt.Add(by), Deadline: run.Deadline, PlannedStart: run.PlannedStart}
	require.NoError(t, s.Reschedule(t.Context(), run, times, "moved"))
}

// stand is how the units of a run stand: w, r, d or f for their state, t for touch and c for carries.
func stand(t *testing.T, s *ledger.Store, r ledger.Run) (all []string) {
	t.Helper()
	units, err := s.Units(t.Context(), r.ID, r.Epoch)
	require.NoError(t, err)
	for _, u := range units {
		text := string(u.State[0])
		if u.Touch {
			text += "t"
			if u.Carries {
				text += "c"
			}
		}
		all = append(all, text)
	}
	return all
}

func TestOneUnitOfEachDatasetCarriesAMovedEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := moved(t, s)
		require.Equal(t, []string{"wtc", "wtc", "dt", "dt", "dt"}, stand(t, s, r))
		u := claim(t, s, r, 0, 1)
		require.True(t, u.Carries)
		rows, err := s.Written(t.Context(), u)
		require.NoError(t, err)
		require.EqualValues(t, 50, rows)
		elsewhere := u
		elsewhere.Cache = "elsewhere"
		rows, err = s.Written(t.Context(), elsewhere)
		require.NoError(t, err)
		require.Zero(t, rows, "what another cache holds is not moved in this one")

		move(t, s, r.ID, time.Hour) // once more, in the middle
		_, err = s.Carried(t.Context(), u, "of 30 keys")
		require.ErrorIs(t, err, ledger.ErrFenced, "those were moved to the end before")
		require.Equal(t, []string{"wtc", "wtc", "dt", "dt", "dt"}, stand(t, s, r))

		settled, err := s.Carried(t.Context(), claim(t, s, r, 0, 2), "of 30 keys")
		require.NoError(t, err)
		require.Equal(t, ledger.StillOpen, settled, "it was ready all the time")
		require.Equal(t, []string{"d", "wtc", "d", "d", "dt"}, stand(t, s, r))
		run, err := s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, ledger.RunReady, run.State)
		require.EqualValues(t, 50, run.RowsDone)
		n, err := s.Uncarried(t.Context(), 10)
		require.NoError(t, err)
		require.Zero(t, n, "somebody sees to all that is left")
		events, err := s.Timeline(t.Context(), run, 100)
		require.NoError(t, err)
		require.Equal(t, ledger.StageExtended, events[len(events)-1].Stage)
	})
}

func TestUnitsThatCannotBeCarriedSeeToTheirOwnKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := moved(t, s)
		u := claim(t, s, r, 0, 1)
		require.NoError(t, s.Reopen(t.Context(), u, "the cache is too large"))
		require.Equal(t, []string{"rt", "wtc", "wt", "wt", "dt"}, stand(t, s, r))
		require.NoError(t, s.Touched(t.Context(), u))
		require.ErrorIs(t, s.Reopen(t.Context(), ledger.Unit{RunID: r.ID, Epoch: r.Epoch, Dataset: "users", Claim: 1}, "late"), ledger.ErrFenced)
	})
}

func TestAMovedEndThatNobodyCarriesAnyMoreIsFound(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := moved(t, s)
		_, err := s.Fail(t.Context(), claim(t, s, r, 0, 1), "broken", true)
		require.NoError(t, err)
		run, err := s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.NoError(t, s.Lost(t.Context(), run, ledger.Loss{Units: []ledger.LostUnit{{Unit: 1}}, Start: start}))
		require.Equal(t, []string{"ftc", "w", "dt", "dt", "dt"}, stand(t, s, r))
		n, err := s.Uncarried(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, []string{"ftc", "w", "wt", "wt", "wt"}, stand(t, s, r))

		// It is warming again: it is ready when the last of them has been seen to, and failed because of the one.
		for i, seq := range []int{-1, 2, 1, 1, 1} {
			if seq < 0 {
				continue
			}
			settled, err := s.Finish(t.Context(), claim(t, s, r, i, seq), nil)
			require.NoError(t, err)
			require.Equal(t, i == 4, settled == ledger.NowFailed, fmt.Sprint(i, settled))
		}
	})
}

func TestARunIsNotReadyWhileKeysWaitForTheirExpiry(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 3)
		for i := range 2 {
			_, err := s.Finish(t.Context(), claim(t, s, r, i, 0), nil)
			require.NoError(t, err)
		}
		running := claim(t, s, r, 2, 0)
		running.Pages, running.Cursor = 1, `["21"]`
		require.NoError(t, s.Checkpoint(t.Context(), running, nil))
		move(t, s, r.ID, time.Hour)
		require.Equal(t, []string{"wtc", "dt", "wt"}, stand(t, s, r), "the one in the middle sees to its own")
		settled, err := s.Finish(t.Context(), claim(t, s, r, 2, 1), nil)
		require.NoError(t, err)
		require.Equal(t, ledger.StillOpen, settled)
		settled, err = s.Finish(t.Context(), claim(t, s, r, 0, 1), nil) // as an older release does, for itself alone
		require.NoError(t, err)
		require.Equal(t, ledger.StillOpen, settled)
		n, err := s.Uncarried(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		settled, err = s.Finish(t.Context(), claim(t, s, r, 1, 1), nil)
		require.NoError(t, err)
		require.Equal(t, ledger.NowReady, settled)
	})
}

func TestAUnitThatFailsAtAMovedEndIsTriedAgainLater(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := moved(t, s)
		settled, err := s.Fail(t.Context(), claim(t, s, r, 0, 1), "broken", true)
		require.NoError(t, err)
		require.Equal(t, ledger.StillOpen, settled)
		require.Equal(t, []string{"ftc", "wtc", "dt", "dt", "dt"}, stand(t, s, r))
		again, err := s.FailedReady(t.Context(), time.Hour, 10)
		require.NoError(t, err)
		require.Empty(t, again, "it has just failed")
		again, err = s.FailedReady(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Len(t, again, 1)
		require.Equal(t, "broken", again[0].LastError)
		require.Equal(t, []string{"wt", "wtc", "dt", "dt", "dt"}, stand(t, s, r))
		again, err = s.FailedReady(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Empty(t, again)

		u := claim(t, s, r, 0, 2)
		require.Equal(t, 1, u.Attempts)
		_, err = s.Finish(t.Context(), u, nil)
		require.NoError(t, err)
		require.Equal(t, []string{"d", "wtc", "dt", "dt", "dt"}, stand(t, s, r))
		run, err := s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, ledger.RunReady, run.State)
		events, err := s.Timeline(t.Context(), run, 100)
		require.NoError(t, err)
		var told []string
		for _, e := range events {
			if e.Stage == ledger.StageRetried {
				told = append(told, e.Message)
			}
		}
		require.Equal(t, []string{"it had failed, and the shop is needed for longer: broken"}, told)
	})
}

func TestAFailedUnitOfARunThatIsNotReadyIsLeftToPeople(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 2)
		_, err := s.Fail(t.Context(), claim(t, s, r, 0, 0), "broken", true)
		require.NoError(t, err)
		again, err := s.FailedReady(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Empty(t, again)
	})
}
