package ledger_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

var (
	off  = ledger.Settings{Off: true, Keys: ledger.KeysRemove}
	left = ledger.Settings{Off: true, Keys: ledger.KeysExpire}
	ann  = ledger.By{Who: "ann", Why: "it leaves"}
)

func TestAShopThatIsSwitchedOffHasNoWorkAndGetsNone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r, other := planned(t, s, 2), newRun("10011", "b")
		other, _, err := s.Create(t.Context(), other)
		require.NoError(t, err)
		u := claim(t, s, r, 0, 0)
		failed, _, err := s.Create(t.Context(), newRun("1001", "failed"))
		require.NoError(t, err)
		require.NoError(t, s.FailPlan(t.Context(), failed.ID, 1, "no such table"))
		require.NoError(t, s.SaveChanges(t.Context(), []ledger.Change{{Via: "http", Dataset: "users", ShopID: "1001", RowKey: `["1"]`, Needed: true},
			{Via: "http", Dataset: "users", ShopID: "10011", RowKey: `["1"]`, Needed: true}}))

		turned, err := s.SetShop(t.Context(), "1001", 0, off, ann)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{r.ID, failed.ID}, turned.Cancelled)
		require.EqualValues(t, 1, turned.After.Version)
		require.Equal(t, ledger.RemovalWaiting, turned.After.Removal.State)
		require.ErrorIs(t, s.Checkpoint(t.Context(), u, nil), ledger.ErrFenced)
		now, err := s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, "shop 1001 is switched off: it leaves", now.Reason)
		rows, _, err := s.Pending(t.Context(), nil, 10)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, "10011", rows[0].ShopID)
		told, err := s.Changes(t.Context(), "1001", 0, 10)
		require.NoError(t, err)
		require.False(t, told[0].Needed)
		require.Equal(t, "shop 1001 is switched off: it leaves", told[0].Why)
		line, err := s.Timeline(t.Context(), now, 10)
		require.NoError(t, err)
		require.Equal(t, "was on; is off, keys are removed: it leaves", line[len(line)-1].Message)

		var is *ledger.OffError
		times := ledger.Times{StartsAt: r.StartsAt, EndsAt: r.EndsAt.Add(time.Hour)}
		_, _, err = s.Create(t.Context(), newRun("1001", "new"))
		for _, err := range []error{err, s.Restart(t.Context(), r.ID, ann), s.Retry(t.Context(), failed.ID, nil, ann),
			s.Revive(t.Context(), now, times, "", true, "q"), s.Reschedule(t.Context(), now, times, "q")} {
			require.ErrorAs(t, err, &is)
			require.ErrorIs(t, err, ledger.ErrState)
			require.Regexp(t, "shop 1001 is switched off by ann since .*: it leaves$", err.Error())
		}
		skipped := newRun("1001", "new")
		skipped.State = ledger.RunSkipped
		_, created, err := s.Create(t.Context(), skipped)
		require.NoError(t, err)
		require.True(t, created)
		other, err = s.Run(t.Context(), other.ID)
		require.NoError(t, err)
		require.Equal(t, ledger.RunPlanned, other.State)
		list, err := s.Shops(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)

		_, err = s.SetShop(t.Context(), "1001", 1, ledger.Settings{}, ann)
		require.NoError(t, err)
		require.NoError(t, s.Restart(t.Context(), r.ID, ann))
		list, err = s.Shops(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
	})
}

func TestOfTwoWhoChangeAShopAtOnceTheSecondIsToldOfTheFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		for round := range 5 {
			errs := make([]error, 4)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() {
					_, errs[i] = s.SetShop(t.Context(), "1001", int64(round), left, ledger.By{Who: fmt.Sprintf("p%d", i)})
				})
			}
			wg.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else {
					require.ErrorIs(t, err, ledger.ErrState)
				}
			}
			require.Equal(t, 1, won, "%v", errs)
		}
		_, err := s.SetShop(t.Context(), "1001", 2, off, ann)
		require.ErrorContains(t, err, "were changed by p")
		require.ErrorContains(t, err, "are version 5 now: off, keys are left to expire")
		_, err = s.SetShop(t.Context(), "2", 1, off, ann)
		require.ErrorContains(t, err, "its version is 0")
	})
}

// Whatever announcements and a switch do at once, no run is open behind the switch.
func TestNoRunIsLeftBehindASwitch(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		for round := range 10 {
			shop := fmt.Sprint(round)
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					_, _, err := s.Create(t.Context(), newRun(shop, fmt.Sprint(i)))
					if err != nil && !errors.As(err, new(*ledger.OffError)) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				_, err := s.SetShop(t.Context(), shop, 0, off, ann)
				if err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			open, _, err := s.Runs(t.Context(), ledger.RunFilter{Shop: shop, States: []ledger.RunState{ledger.RunPlanned}})
			require.NoError(t, err)
			require.Empty(t, open)
		}
	})
}

func TestAShopIsNotSwitchedOnWhileABatchOfItsKeysMayBeOnItsWay(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		_, err := s.SetShop(t.Context(), "1001", 0, off, ann)
		require.NoError(t, err)
		none, err := s.NextRemoval(t.Context(), "pod-a", time.Hour, time.Hour)
		require.NoError(t, err)
		require.Nil(t, none, "pages are on their way")
		r, err := s.NextRemoval(t.Context(), "pod-a", 0, time.Hour)
		require.NoError(t, err)
		require.NotNil(t, r)
		again, err := s.NextRemoval(t.Context(), "pod-b", 0, time.Hour)
		require.NoError(t, err)
		require.Nil(t, again, "pod-a has it")
		r.Removed = 5
		require.NoError(t, s.BeatRemoval(t.Context(), *r))
		_, err = s.SetShop(t.Context(), "1001", 1, ledger.Settings{}, ann)
		require.ErrorIs(t, err, ledger.ErrRemoving)
		require.ErrorIs(t, s.BeatRemoval(t.Context(), *r), ledger.ErrFenced, "it was halted")
		is, err := s.Shop(t.Context(), "1001")
		require.NoError(t, err)
		require.True(t, is.Off, "nothing was changed")
		require.EqualValues(t, 5, is.Removal.Removed)
		require.Eventually(t, func() bool {
			_, err = s.SetShop(t.Context(), "1001", 1, ledger.Settings{}, ann)
			return err == nil
		}, 3*ledger.RemovalTime, 50*time.Millisecond)
		r.State = ledger.RemovalDone
		require.ErrorIs(t, s.SaveRemoval(t.Context(), *r), ledger.ErrFenced)

		// Switched off again it is begun anew; one whose pod has died is taken up by another.
		_, err = s.SetShop(t.Context(), "1001", 2, off, ann)
		require.NoError(t, err)
		r, err = s.NextRemoval(t.Context(), "pod-a", 0, time.Hour)
		require.NoError(t, err)
		require.Zero(t, r.Removed)
		taken, err := s.NextRemoval(t.Context(), "pod-b", 0, 0)
		require.NoError(t, err)
		require.NotNil(t, taken)
		require.ErrorIs(t, s.BeatRemoval(t.Context(), *r), ledger.ErrFenced)
		taken.State, taken.Left = ledger.RemovalDone, []ledger.LeftOver{{Dataset: "shop", Why: "unknown"}}
		require.NoError(t, s.SaveRemoval(t.Context(), *taken))
		done, err := s.Removal(t.Context(), "1001")
		require.NoError(t, err)
		require.Equal(t, taken.Left, done.Left)
		require.False(t, done.FinishedAt.IsZero())
	})
}
