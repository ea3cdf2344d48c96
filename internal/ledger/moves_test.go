package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// An end that another gives the run while the mover waits for the run's row is remembered: its keys could not be told otherwise.
func TestWhoMovesAnEndLooksAtTheFormerOnesBehindTheLock(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]func(t *testing.T, s *ledger.Store, run ledger.Run, to ledger.Times) error{
		"reschedule": func(t *testing.T, s *ledger.Store, run ledger.Run, to ledger.Times) error {
			return s.Reschedule(t.Context(), run, to, "r")
		},
		"revive": func(t *testing.T, s *ledger.Store, run ledger.Run, to ledger.Times) error {
			return s.Revive(t.Context(), run, to, "ka", false, "r")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := engines["mysql"](t)
			t.Cleanup(func() { _ = s.Close() })
			require.NoError(t, s.Migrate(t.Context()))
			run, _, err := s.Create(t.Context(), newRun("1001", uuid.NewString()))
			require.NoError(t, err)
			if name == "revive" {
				require.NoError(t, s.Cancel(t.Context(), run.ID, ledger.By{Who: "me"}))
				run, err = s.Run(t.Context(), run.ID)
				require.NoError(t, err)
			}
			other, err := ledger.Freeze(t.Context(), s, run.ID)
			require.NoError(t, err)
			moved := make(chan error, 1)
			go func() {
				moved <- move(t, s, run, ledger.Times{StartsAt: run.StartsAt, EndsAt: run.EndsAt.Add(time.Hour), Deadline: run.Deadline, PlannedStart: run.PlannedStart})
			}()
			require.Eventually(t, func() bool {
				var waits int
				err := s.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE ?", "UPDATE runs%"+run.ID+"%").Scan(&waits)
				return err == nil && waits == 1
			}, time.Minute, time.Millisecond)
			seen := run.EndsAt.Add(-time.Hour)
			_, err = other.ExecContext(t.Context(), "UPDATE runs SET former_us = ? WHERE run_id = ?", fmt.Sprint(seen.UnixMicro()), run.ID)
			require.NoError(t, err)
			require.NoError(t, other.Commit())
			require.NoError(t, <-moved)
			ends, err := s.Ends(t.Context(), "1001", "users", 0)
			require.NoError(t, err)
			require.Equal(t, []time.Time{run.EndsAt.Add(time.Hour), seen, run.EndsAt}, ends.Former)
		})
	}
}

func TestATransactionThatMetOthersIsTriedAgain(t *testing.T) {
	t.Parallel()
	for number, again := range map[uint16]bool{1213: true, 1205: true, 1020: true, 1062: false} {
		require.Equal(t, again, ledger.Contended(fmt.Errorf("reschedule run: %w", &mysql.MySQLError{Number: number})), number)
	}
}
