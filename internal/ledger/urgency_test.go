package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/tasks"
)

// dueIn is a run with units whose deadline and planned start are so far away.
func dueIn(t *testing.T, s *ledger.Store, deadline, start time.Duration, tier string, units int) ledger.Run {
	t.Helper()
	now, err := s.Now(t.Context())
	require.NoError(t, err)
	id := uuid.Must(uuid.NewV7())
	r, _, err := s.Create(t.Context(), ledger.Run{ID: fmt.Sprintf("%x", id[:]), ShopID: uuid.NewString(), BroadcastID: "b", State: ledger.RunPlanned, Tier: tier,
		StartsAt: now.Add(deadline), EndsAt: now.Add(deadline + time.Hour), Deadline: now.Add(deadline), PlannedStart: now.Add(start)})
	require.NoError(t, err)
	plan := make([]ledger.Unit, units)
	for i := range plan {
		plan[i] = ledger.Unit{Dataset: "users", RowsEstimated: 10}
	}
	if units > 0 {
		require.NoError(t, s.WritePlan(t.Context(), r.ID, r.Epoch, ledger.Kept{}, plan))
	}
	return r
}

func TestDueRunsAreInTheOrderOfTheirUrgency(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		later := dueIn(t, s, 3*time.Hour, -time.Minute, "", 2)
		plain := dueIn(t, s, time.Hour, -time.Minute, "", 2)
		dueIn(t, s, time.Minute, time.Minute, "", 2)  // not due
		dueIn(t, s, time.Minute, -time.Minute, "", 0) // not cut
		paused := dueIn(t, s, time.Minute, -time.Minute, "", 2)
		require.NoError(t, s.Pause(t.Context(), ledger.Scope{Kind: ledger.ScopeRun, ID: paused.ID}, ledger.By{Who: "test"}))
		order := func() (ids []string) {
			due, err := s.DueRuns(t.Context(), 10)
			require.NoError(t, err)
			for i, d := range due {
				ids = append(ids, d.ID)
				require.Equal(t, 1, d.Epoch)
				require.False(t, i > 0 && d.Before(due[i-1].Urgency))
			}
			return ids
		}
		require.Equal(t, []string{plain.ID, later.ID}, order())
		due, err := s.DueRuns(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, due, 1)

		// What was tried waits for its own task.
		u := claim(t, s, plain, 0, 0)
		_, err = s.Fail(t.Context(), u, "no luck", false)
		require.NoError(t, err)
		units, err := s.Untried(t.Context(), plain.ID, plain.Epoch, 10)
		require.NoError(t, err)
		require.Equal(t, []int{1}, units)
		claim(t, s, plain, 1, 0)
		require.Equal(t, []string{later.ID}, order())
	})
}

func TestOfEqualDeadlinesTheKeyAccountsGoesFirst(t *testing.T) {
	t.Parallel()
	now := time.Now()
	plain, key := ledger.Urgency{Deadline: now}, ledger.Urgency{Deadline: now, Tier: tasks.TierKA}
	sooner := ledger.Urgency{Deadline: now.Add(-time.Second)}
	require.True(t, key.Before(plain))
	require.False(t, plain.Before(key))
	require.False(t, plain.Before(plain))
	require.True(t, sooner.Before(key))
	require.False(t, key.Before(sooner))
}

func TestStartsMoveByCompareAndSet(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		free, begun := dueIn(t, s, 3*time.Hour, time.Hour, "", 1), dueIn(t, s, 3*time.Hour, time.Hour, "", 1)
		other, gone := dueIn(t, s, 3*time.Hour, time.Hour, "", 1), dueIn(t, s, 3*time.Hour, time.Hour, "", 1)
		claim(t, s, begun, 0, 0)
		require.NoError(t, s.Cancel(t.Context(), gone.ID, ledger.By{Who: "test"}))
		var moves []ledger.Move
		for _, r := range []ledger.Run{begun, other, gone, free} {
			moves = append(moves, ledger.Move{RunID: r.ID, Epoch: r.Epoch, From: r.PlannedStart, To: r.PlannedStart.Add(time.Minute)})
		}
		moves[1].From = moves[1].From.Add(time.Second) // somebody else was faster
		moved, err := s.MoveStarts(t.Context(), moves)
		require.NoError(t, err)
		require.Equal(t, moves[3:], moved)
		for i, r := range []ledger.Run{begun, other, gone} {
			now, err := s.Run(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, r.PlannedStart, now.PlannedStart, "%d", i)
		}
		now, err := s.Run(t.Context(), free.ID)
		require.NoError(t, err)
		require.Equal(t, moves[3].To, now.PlannedStart)
		told, err := s.Timeline(t.Context(), now, 10)
		require.NoError(t, err)
		require.Equal(t, ledger.StageMoved, told[len(told)-1].Stage)
		require.Contains(t, told[len(told)-1].Message, moves[3].To.UTC().Format("15:04:05"))
		moved, err = s.MoveStarts(t.Context(), moves)
		require.NoError(t, err)
		require.Empty(t, moved, "a second time there is nothing to move")

		many := make([]ledger.Move, 250)
		for i := range many {
			many[i] = ledger.Move{RunID: free.ID, Epoch: 1, From: moves[3].To.Add(time.Duration(i) * time.Second), To: moves[3].To.Add(time.Duration(i+1) * time.Second)}
		}
		moved, err = s.MoveStarts(t.Context(), many)
		require.NoError(t, err)
		require.Len(t, moved, 250)

		open, err := s.OpenWork(t.Context())
		require.NoError(t, err)
		require.Len(t, open, 3)
		require.True(t, open[0].Begun || open[1].Begun || open[2].Begun)
	})
}
