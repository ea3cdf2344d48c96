package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// engines are the databases that the ledger's one set of statements must mean the same on.
var engines = map[string]func(*testing.T) *ledger.Store{
	"mysql": func(t *testing.T) *ledger.Store {
		t.Helper()
		s, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 16})
		require.NoError(t, err)
		return s
	},
	"sqlite": func(t *testing.T) *ledger.Store {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "ledger.db")+
			"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(10000)&_txlock=immediate")
		require.NoError(t, err)
		return ledger.New(db, ledger.SQLite)
	},
}

// onBoth runs a test on every engine, each on a migrated ledger of its own.
func onBoth(t *testing.T, test func(*testing.T, *ledger.Store)) {
	t.Helper()
	t.Parallel()
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() { _ = s.Close() })
			require.NoError(t, s.Migrate(t.Context()))
			test(t, s)
		})
	}
}

// start is of a broadcast that is not over however long the tests are kept.
var start = time.Now().UTC().Truncate(time.Hour).Add(24 * time.Hour)

func newRun(shop, broadcast string) ledger.Run {
	id := uuid.Must(uuid.NewV7())
	return ledger.Run{
		ID: fmt.Sprintf("%x", id[:]), ShopID: shop, BroadcastID: broadcast, RequestID: "r", State: ledger.RunPlanned,
		StartsAt: start, EndsAt: start.Add(4 * time.Hour), Deadline: start.Add(-10 * time.Minute), PlannedStart: start.Add(-3 * time.Hour),
	}
}

// planned is a run with n units.
func planned(t *testing.T, s *ledger.Store, n int) ledger.Run {
	t.Helper()
	r, created, err := s.Create(t.Context(), newRun("1001", uuid.NewString()))
	require.NoError(t, err)
	require.True(t, created)
	units := make([]ledger.Unit, n)
	for i := range units {
		units[i] = ledger.Unit{Dataset: "users", From: fmt.Sprintf(`["%d"]`, i*10), To: fmt.Sprintf(`["%d"]`, i*10+10), RowsEstimated: 10}
	}
	require.NoError(t, s.WritePlan(t.Context(), r.ID, r.Epoch, ledger.Kept{}, units))
	return r
}

func claim(t *testing.T, s *ledger.Store, r ledger.Run, unit, seq int) ledger.Unit {
	t.Helper()
	u, err := s.Claim(t.Context(), r.ID, r.Epoch, unit, seq, "pod-a")
	require.NoError(t, err)
	return u
}

func TestMigrateIsSafeWhenPodsStartAtOnce(t *testing.T) {
	t.Parallel()
	dsn := testenv.MySQL(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := ledger.Open(t.Context(), config.Ledger{DSN: dsn, Pool: 4})
			if !assertNoError(t, err) {
				return
			}
			defer func() { _ = s.Close() }()
			assertNoError(t, s.Migrate(t.Context()))
			have, want, err := s.Version(t.Context())
			if assertNoError(t, err) && have != want {
				t.Errorf("version %d, want %d", have, want)
			}
		})
	}
	wg.Wait()
}

func assertNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

func TestOneRunPerShopAndBroadcast(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		var created atomic.Int32
		ids := sync.Map{}
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				r, c, err := s.Create(t.Context(), newRun("1001", "b-1"))
				if assertNoError(t, err) {
					ids.Store(r.ID, true)
				}
				if c {
					created.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, created.Load())
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		require.Equal(t, 1, n)
		// Ids that differ in case or by an accent are other shops.
		_, c, err := s.Create(t.Context(), newRun("1001", "B-1"))
		require.NoError(t, err)
		require.True(t, c)
	})
}

func TestPlanIsWrittenOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r, _, err := s.Create(t.Context(), newRun("1001", "b-1"))
		require.NoError(t, err)
		var written atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				units := make([]ledger.Unit, 150+i) // planners that saw different tables
				for k := range units {
					units[k].Dataset = "users"
					units[k].RowsEstimated = 1
				}
				if err := s.WritePlan(t.Context(), r.ID, r.Epoch, ledger.Kept{}, units); err == nil {
					written.Add(1)
				} else if !errors.Is(err, ledger.ErrState) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, written.Load())
		got, err := s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.EqualValues(t, got.UnitsTotal, got.RowsEstimated)
		units, err := s.Units(t.Context(), r.ID, r.Epoch)
		require.NoError(t, err)
		require.Len(t, units, got.UnitsTotal)
		for i, u := range units {
			require.Equal(t, i, u.Unit)
		}
	})
}

func TestOneOfManyClaims(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 4)
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				_, err := s.Claim(t.Context(), r.ID, r.Epoch, i%4, 0, fmt.Sprint("pod-", i))
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, ledger.ErrNotClaimable) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 4, won.Load())
	})
}

func TestClaimRefusesWhatIsNotToBeDone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 1)
		refused := func(epoch, unit, seq int) {
			t.Helper()
			_, err := s.Claim(t.Context(), r.ID, epoch, unit, seq, "pod-b")
			require.ErrorIs(t, err, ledger.ErrNotClaimable)
		}
		refused(r.Epoch+1, 0, 0) // another epoch
		refused(r.Epoch, 7, 0)   // no such unit
		refused(r.Epoch, 0, 3)   // a task that the ledger did not issue
		u := claim(t, s, r, 0, 0)
		refused(r.Epoch, 0, 0) // taken
		_, err := s.Finish(t.Context(), u, nil)
		require.NoError(t, err)
		refused(r.Epoch, 0, 0) // done
	})
}

func TestFenceRefusesEveryWriteOfAnOldClaim(t *testing.T) {
	moves := map[string]func(*testing.T, *ledger.Store, ledger.Run, ledger.Unit){
		"take-over": func(t *testing.T, s *ledger.Store, _ ledger.Run, u ledger.Unit) {
			_, err := s.TakeOver(t.Context(), u, 3, "its pod died")
			require.NoError(t, err)
		},
		"take-over and claim": func(t *testing.T, s *ledger.Store, r ledger.Run, u ledger.Unit) {
			_, err := s.TakeOver(t.Context(), u, 3, "its pod died")
			require.NoError(t, err)
			_, err = s.Claim(t.Context(), r.ID, r.Epoch, u.Unit, u.TaskSeq+1, "pod-b")
			require.NoError(t, err)
		},
		"hand-back and claim": func(t *testing.T, s *ledger.Store, r ledger.Run, u ledger.Unit) {
			require.NoError(t, s.HandBack(t.Context(), u, "drained"))
			_, err := s.Claim(t.Context(), r.ID, r.Epoch, u.Unit, u.TaskSeq, "pod-b")
			require.NoError(t, err)
		},
		"cancel": func(t *testing.T, s *ledger.Store, r ledger.Run, _ ledger.Unit) {
			require.NoError(t, s.Cancel(t.Context(), r.ID, ledger.By{Who: "test", Why: "called off"}))
		},
		"restart": func(t *testing.T, s *ledger.Store, r ledger.Run, _ ledger.Unit) {
			require.NoError(t, s.Restart(t.Context(), r.ID, ledger.By{Who: "test"}))
		},
	}
	for name, move := range moves {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, s *ledger.Store) {
				r := planned(t, s, 2)
				u := claim(t, s, r, 0, 0)
				move(t, s, r, u)
				u.Cursor, u.RowsDone = `["5"]`, 5
				require.ErrorIs(t, s.Checkpoint(t.Context(), u, nil), ledger.ErrFenced)
				require.ErrorIs(t, s.Checkpoint(t.Context(), u, []ledger.Reject{{RowKey: "x", Error: "y"}}), ledger.ErrFenced)
				_, err := s.Finish(t.Context(), u, nil)
				require.ErrorIs(t, err, ledger.ErrFenced)
				_, err = s.Fail(t.Context(), u, "no", true)
				require.ErrorIs(t, err, ledger.ErrFenced)
				require.ErrorIs(t, s.HandBack(t.Context(), u, "drained"), ledger.ErrFenced)
				require.ErrorIs(t, s.Touched(t.Context(), u), ledger.ErrFenced)
				_, err = s.TakeOver(t.Context(), u, 3, "its pod died")
				require.ErrorIs(t, err, ledger.ErrFenced)
				got, err := s.Unit(t.Context(), r.ID, r.Epoch, 0)
				require.NoError(t, err)
				require.Empty(t, got.Cursor)
				require.Zero(t, got.RowsDone)
			})
		})
	}
}

func TestTheLastUnitMakesTheRunReadyOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		const units = 12
		r := planned(t, s, units)
		claims := make([]ledger.Unit, units)
		for i := range claims {
			claims[i] = claim(t, s, r, i, 0)
		}
		var ready atomic.Int32
		var wg sync.WaitGroup
		for _, u := range claims {
			wg.Go(func() {
				u.RowsDone, u.Pages = 10, 1
				settled, err := s.Finish(t.Context(), u, nil)
				if assertNoError(t, err) && settled == ledger.NowReady {
					ready.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, ready.Load())
		got, err := s.Run(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, ledger.RunReady, got.State)
		require.EqualValues(t, 10*units, got.RowsDone)
		require.Equal(t, units, got.UnitsDone)
		require.False(t, got.ReadyAt.IsZero())
	})
}

func TestRunFailsWhenNothingIsLeftOpenAndRetryGoesOnFromTheCursor(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		ctx := t.Context()
		r := planned(t, s, 2)
		a, b := claim(t, s, r, 0, 0), claim(t, s, r, 1, 0)
		a.Cursor, a.RowsDone, a.Pages = `["3"]`, 3, 1
		require.NoError(t, s.Checkpoint(ctx, a, nil))
		settled, err := s.Fail(ctx, a, "table is gone", true)
		require.NoError(t, err)
		require.Equal(t, ledger.StillOpen, settled)
		settled, err = s.Finish(ctx, b, nil)
		require.NoError(t, err)
		require.Equal(t, ledger.NowFailed, settled)
		got, err := s.Run(ctx, r.ID)
		require.NoError(t, err)
		require.Equal(t, ledger.RunFailed, got.State)
		require.Equal(t, "table is gone", got.LastError)

		require.NoError(t, s.Retry(ctx, r.ID, nil, ledger.By{Who: "test"}))
		require.ErrorIs(t, s.Retry(ctx, r.ID, nil, ledger.By{Who: "test"}), ledger.ErrState)
		waiting, err := s.Waiting(ctx, "", -1, 10)
		require.NoError(t, err)
		require.Len(t, waiting, 1)
		require.Equal(t, `["3"]`, waiting[0].Cursor)
		require.Equal(t, 1, waiting[0].TaskSeq)
		a = claim(t, s, r, 0, 1)
		require.Equal(t, `["3"]`, a.Cursor)
		require.EqualValues(t, 3, a.RowsDone)
		settled, err = s.Finish(ctx, a, nil)
		require.NoError(t, err)
		require.Equal(t, ledger.NowReady, settled)
	})
}

func TestAFailedUnitRunByHandReopensItsRun(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 1)
		u := claim(t, s, r, 0, 0)
		settled, err := s.Fail(t.Context(), u, "no", true)
		require.NoError(t, err)
		require.Equal(t, ledger.NowFailed, settled)
		u = claim(t, s, r, 0, 0) // asynqmon's "run" of the archived task
		settled, err = s.Finish(t.Context(), u, nil)
		require.NoError(t, err)
		require.Equal(t, ledger.NowReady, settled)
	})
}

func TestOrphansAreTakenOverUntilTheirAttemptsAreUsedUp(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		ctx := t.Context()
		r := planned(t, s, 1)
		claim(t, s, r, 0, 0)
		require.NoError(t, s.Beat(ctx, ledger.Pod{ID: "pod-a", Version: "v", Slots: 3}))
		orphans, err := s.Orphans(ctx, time.Hour, 10)
		require.NoError(t, err)
		require.Empty(t, orphans, "its pod lives")
		require.NoError(t, s.Leave(ctx, "pod-a"))
		for attempt := 1; attempt <= 2; attempt++ {
			orphans, err = s.Orphans(ctx, time.Hour, 10)
			require.NoError(t, err)
			require.Len(t, orphans, 1)
			settled, err := s.TakeOver(ctx, orphans[0], 3, "its pod died")
			require.NoError(t, err)
			require.Equal(t, ledger.StillOpen, settled)
			claim(t, s, r, 0, attempt)
		}
		orphans, err = s.Orphans(ctx, time.Hour, 10)
		require.NoError(t, err)
		settled, err := s.TakeOver(ctx, orphans[0], 3, "its pod died")
		require.NoError(t, err)
		require.Equal(t, ledger.NowFailed, settled)
	})
}

func TestRescheduleMovesThePlanAndReopensOnlyWhatNeedsANewExpiry(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		ctx := t.Context()
		r := planned(t, s, 3)
		done := claim(t, s, r, 0, 0)
		done.Cursor, done.Pages = `["9"]`, 1
		_, err := s.Finish(ctx, done, nil)
		require.NoError(t, err)
		running := claim(t, s, r, 1, 0)
		run, err := s.Run(ctx, r.ID)
		require.NoError(t, err)

		later := ledger.Times{StartsAt: start.Add(time.Hour), EndsAt: run.EndsAt, Deadline: start.Add(50 * time.Minute), PlannedStart: start}
		require.NoError(t, s.Reschedule(ctx, run, later, "r2"))
		require.ErrorIs(t, s.Reschedule(ctx, run, later, "r2"), ledger.ErrState, "the run is not as it was read")
		require.NoError(t, s.Checkpoint(ctx, running, nil), "the end did not move: running units go on")

		run, err = s.Run(ctx, r.ID)
		require.NoError(t, err)
		later.EndsAt = run.EndsAt.Add(time.Hour)
		require.NoError(t, s.Reschedule(ctx, run, later, "r3"))
		require.ErrorIs(t, s.Checkpoint(ctx, running, nil), ledger.ErrFenced)
		due, err := s.WaitingOf(ctx, run)
		require.NoError(t, err)
		require.Len(t, due, 3)
		require.Equal(t, []bool{true, true, false}, []bool{due[0].Touch, due[1].Touch, due[2].Touch})
		require.Equal(t, `["9"]`, due[0].Cursor)
	})
}

func TestHandBackDoesNotCountAsAnAttempt(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 1)
		for range 5 {
			u := claim(t, s, r, 0, 0)
			require.Equal(t, 1, u.Attempts)
			require.NoError(t, s.HandBack(t.Context(), u, "drained"))
		}
	})
}

func TestRejectsAreRecordedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 1)
		u := claim(t, s, r, 0, 0)
		bad := []ledger.Reject{{RowKey: "7", Error: "not UTF-8"}}
		u.Rejects = 1
		require.NoError(t, s.Checkpoint(t.Context(), u, bad))
		require.NoError(t, s.Checkpoint(t.Context(), u, bad))
		got, err := s.Rejects(t.Context(), r.ID, 10)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, "users", got[0].Dataset)
	})
}

func TestRunsArePagedNewestFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		var want []string
		for i := range 7 {
			r, _, err := s.Create(t.Context(), newRun(fmt.Sprint(i), "b"))
			require.NoError(t, err)
			want = append([]string{r.ID}, want...)
		}
		var got []string
		f := ledger.RunFilter{Limit: 3, States: []ledger.RunState{ledger.RunPlanned}}
		for {
			runs, next, err := s.Runs(t.Context(), f)
			require.NoError(t, err)
			for _, r := range runs {
				got = append(got, r.ID)
			}
			if next == "" {
				break
			}
			f.After = next
		}
		require.ElementsMatch(t, want, got)
		_, err := s.Run(t.Context(), "nope")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		require.ErrorIs(t, s.Cancel(t.Context(), "nope", ledger.By{}), ledger.ErrNotFound)
	})
}

func TestClockIsNearOurs(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		now, err := s.Now(context.WithoutCancel(t.Context()))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), now, time.Minute)
	})
}

func TestAShopIsNeededUntilTheLastBroadcastThatHasWrittenSomethingEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		e, err := s.Ends(t.Context(), "1001", "users", 0)
		require.NoError(t, err)
		require.True(t, e.Needed.IsZero())
		r := planned(t, s, 1)
		u := claim(t, s, r, 0, 0)
		e, err = s.Ends(t.Context(), "1001", "users", 0)
		require.NoError(t, err)
		require.Equal(t, r.EndsAt, e.Needed, "warming")
		_, err = s.Finish(t.Context(), u, nil)
		require.NoError(t, err)
		moved := ledger.Times{StartsAt: r.StartsAt, EndsAt: r.EndsAt.Add(time.Hour), Deadline: r.Deadline, PlannedStart: r.PlannedStart}
		require.NoError(t, s.Reschedule(t.Context(), r, moved, "r"))
		e, err = s.Ends(t.Context(), "1001", "users", 0)
		require.NoError(t, err)
		require.Equal(t, moved.EndsAt, e.Needed)
		require.Equal(t, []time.Time{moved.EndsAt, r.EndsAt}, e.Former)
	})
}

func TestAProcessThatFreezesInATransactionDoesNotKeepItsLocks(t *testing.T) {
	t.Parallel()
	s, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	require.NoError(t, s.Migrate(t.Context()))
	r := planned(t, s, 2)
	frozen, err := ledger.Freeze(t.Context(), s, r.ID)
	require.NoError(t, err)
	began := time.Now()
	claim(t, s, r, 0, 0)
	require.Greater(t, time.Since(began), time.Second, "the lock was not held")
	require.Error(t, frozen.Commit(), "the server has ended the transaction")
}
