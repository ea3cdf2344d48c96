package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func keysOf(rows []ledger.Pending) (keys []string) {
	for _, p := range rows {
		keys = append(keys, p.Dataset+p.RowKey)
	}
	return keys
}

func TestARowIsOnTheListOnceUntilItWasReadAfterItsLastChange(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		ctx := t.Context()
		one := ledger.Change{Via: "http", Who: "crm", About: "users", Dataset: "users", ShopID: "1001", RowKey: `["1"]`, Op: "update", Needed: true}
		gone := one
		gone.RowKey, gone.Op, gone.Urgent = `["2"]`, "delete", true
		not := ledger.Change{Via: "http", About: "t", Op: "update", Why: "no dataset is read from it"}
		require.NoError(t, s.SaveChanges(ctx, []ledger.Change{one, one, gone, not}))
		rows, upto, err := s.Pending(ctx, nil, 10)
		require.NoError(t, err)
		require.Equal(t, []string{`users["2"]`, `users["1"]`}, keysOf(rows), "what must go is first")
		require.EqualValues(t, 4, upto)
		n, since, err := s.PendingCount(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 2, n)
		require.WithinDuration(t, time.Now(), since, time.Minute)

		require.NoError(t, s.SaveChanges(ctx, []ledger.Change{one}), "it changes again while it is read")
		require.NoError(t, s.Handled(ctx, rows, upto, "pod"))
		again, upto, err := s.Pending(ctx, nil, 10)
		require.NoError(t, err)
		require.Equal(t, []string{`users["1"]`}, keysOf(again))
		changes, err := s.Changes(ctx, "1001", 0, 10)
		require.NoError(t, err)
		require.Len(t, changes, 4)
		require.Zero(t, changes[0].HandledAt, "the newest was not read yet")
		for _, c := range changes[1:] {
			require.Equal(t, "pod", c.HandledBy)
		}
		busy, _, err := s.Pending(ctx, []ledger.Group{{ShopID: "1001", Dataset: "users"}}, 10)
		require.NoError(t, err)
		require.Empty(t, busy)
		require.NoError(t, s.Pause(ctx, ledger.Scope{Kind: ledger.ScopeShop, ID: "1001"}, ledger.By{Who: "me"}))
		paused, _, err := s.Pending(ctx, nil, 10)
		require.NoError(t, err)
		require.Empty(t, paused)
		require.NoError(t, s.Resume(ctx, ledger.Scope{Kind: ledger.ScopeShop, ID: "1001"}, ledger.By{Who: "me"}))
		require.NoError(t, s.Handled(ctx, again, upto, "pod"))
		last, _, err := s.Pending(ctx, nil, 10)
		require.NoError(t, err)
		require.Empty(t, last)
		require.NoError(t, s.TrimChanges(ctx))
		changes, err = s.Changes(ctx, "", 0, 10)
		require.NoError(t, err)
		require.Len(t, changes, 5, "they are not old")
	})
}

// Changes that come while the list is read are among its rows or newer than what it says, never both: they would be done and stay
// open in the record.
func TestNoChangeStaysOpenWhoseRowWasRead(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		ctx := t.Context()
		const tellers, each = 4, 100
		told := make(chan error, tellers)
		for teller := range tellers {
			go func() {
				told <- func() error {
					for n := range each {
						c := ledger.Change{Via: "http", About: "users", Dataset: "users", ShopID: "1001", RowKey: fmt.Sprintf(`["%d"]`, teller*each+n), Op: "update", Needed: true}
						if err := s.SaveChanges(ctx, []ledger.Change{c}); err != nil {
							return err
						}
					}
					return nil
				}()
			}()
		}
		for telling := tellers; ; {
			select {
			case err := <-told:
				require.NoError(t, err)
				telling--
			default:
			}
			rows, upto, err := s.Pending(ctx, nil, 1000)
			require.NoError(t, err)
			if len(rows) > 0 {
				require.NoError(t, s.Handled(ctx, rows, upto, "pod"))
			} else if telling == 0 {
				break
			}
		}
		changes, err := s.Changes(ctx, "1001", 0, 2*tellers*each)
		require.NoError(t, err)
		require.Len(t, changes, tellers*each)
		for _, c := range changes {
			require.Equal(t, "pod", c.HandledBy, c.RowKey)
		}
	})
}

func TestAFeedGoesOnWhereItsRowsWereNoted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		ctx := t.Context()
		_, err := s.ReadFeed(ctx, "main")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		at := time.Now().Truncate(time.Microsecond).UTC()
		for i := range 2 {
			f := ledger.Feed{Name: "main", Position: string(rune('a' + i)), Rows: 5, EventAt: at}
			require.NoError(t, s.Pend(ctx, []ledger.Pending{{ShopID: "1", Dataset: "users", RowKey: `["1"]`}, {ShopID: "1", Dataset: "staff"}}, &f))
		}
		f, err := s.ReadFeed(ctx, "main")
		require.NoError(t, err)
		require.Equal(t, ledger.Feed{Name: "main", Position: "b", Rows: 10, EventAt: at}, f)
		rows, _, err := s.Pending(ctx, nil, 10)
		require.NoError(t, err)
		require.Len(t, rows, 2)
		require.EqualValues(t, 2, rows[0].Times)
	})
}

func TestFreshnessBeginsOnceAndMovesOn(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		t.Helper()
		ctx := t.Context()
		run := newRun("1001", "b")
		run.EndsAt = time.Now().Add(time.Hour)
		run, _, err := s.Create(ctx, run)
		require.NoError(t, err)
		require.NoError(t, s.BeginFresh(ctx, ledger.Fresh{ShopID: "1001", Dataset: "users", Mark: "5"}))
		require.NoError(t, s.BeginFresh(ctx, ledger.Fresh{ShopID: "1001", Dataset: "users", Mark: "7"}))
		all, err := s.Fresh(ctx)
		require.NoError(t, err)
		require.Empty(t, all, "nothing of the shop is cached")
		require.NoError(t, s.WritePlan(ctx, run.ID, 1, ledger.Kept{}, []ledger.Unit{{Dataset: "users"}}))
		u := claim(t, s, run, 0, 0)
		require.NoError(t, s.BeginFresh(ctx, ledger.Fresh{ShopID: "1001", Dataset: "users", Mark: "9"}))
		all, err = s.Fresh(ctx)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.NotZero(t, all[0].StartedAt)
		require.Equal(t, ledger.Fresh{ShopID: "1001", Dataset: "users", Mark: "7", StartedAt: all[0].StartedAt}, all[0])

		u.AsOf = start
		require.NoError(t, s.Checkpoint(ctx, u, nil))
		asOf, err := s.AsOf(ctx, run)
		require.NoError(t, err)
		require.Equal(t, map[string]time.Time{"users": start}, asOf)
		require.NoError(t, s.Refreshed(ctx, all[0], "8", start.Add(time.Minute)))
		require.ErrorIs(t, s.Refreshed(ctx, all[0], "6", start), ledger.ErrState)
		asOf, err = s.AsOf(ctx, run)
		require.NoError(t, err)
		require.Equal(t, map[string]time.Time{"users": start.Add(time.Minute)}, asOf)
	})
}
