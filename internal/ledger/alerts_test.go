package ledger_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestAnAlertIsOneRecordWhoeverRaisesIt(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		r := planned(t, s, 1)
		a := alert.Alert{Name: alert.UnitFailed, Severity: alert.Warning, Run: r.ID, Summary: "first"}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { assertNoError(t, s.RaiseAlerts(t.Context(), []alert.Alert{a})) })
		}
		wg.Wait()
		a.Summary = "last"
		require.NoError(t, s.RaiseAlerts(t.Context(), []alert.Alert{a}))
		all, now, err := s.FiringAlerts(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		got := all[0]
		require.Equal(t, "last", got.Summary)
		require.EqualValues(t, 9, got.Times)
		require.EqualValues(t, 1, got.Seq)
		require.Equal(t, a.Fingerprint(), got.Fingerprint)
		require.Equal(t, []string{"1001", r.BroadcastID, "planned"}, []string{got.Shop, got.Broadcast, got.RunState}, "as the run says")
		require.Equal(t, r.Deadline, *got.Deadline)
		require.WithinDuration(t, now, got.At, time.Minute)

		stale := got
		require.NoError(t, s.RaiseAlerts(t.Context(), []alert.Alert{a}))
		require.NoError(t, s.ResolveAlert(t.Context(), stale, "over"))
		all, _, err = s.FiringAlerts(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1, "it was raised after it was read")
		stale.At = all[0].At // in the same moment of a clock that has no finer ones
		require.NoError(t, s.ResolveAlert(t.Context(), stale, "over"))
		all, _, err = s.FiringAlerts(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1, "it was raised once more than it was read")
		require.NoError(t, s.ResolveAlert(t.Context(), all[0], "over"))
		require.NoError(t, s.ResolveAlert(t.Context(), all[0], "over"))
		all, err = s.Alerts(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, []any{alert.Resolved, "over", int64(2)}, []any{all[0].State, all[0].Ended, all[0].Seq})

		require.NoError(t, s.RaiseAlerts(t.Context(), []alert.Alert{a}))
		all, err = s.Alerts(t.Context(), 10)
		require.NoError(t, err)
		require.Equal(t, []any{alert.Firing, "", int64(3), int64(1)}, []any{all[0].State, all[0].Ended, all[0].Seq, all[0].Times})
		require.Nil(t, all[0].ResolvedAt)
	})
}

func TestASinkHasOneHolderAndKnowsWhatItWasTold(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		require.NoError(t, s.RaiseAlerts(t.Context(), []alert.Alert{
			{Name: alert.BadTask, Severity: alert.Info, About: "1", Summary: "x"}, {Name: alert.BadTask, Severity: alert.Info, About: "2", Summary: "x"},
		}))
		ok, err := s.ClaimSink(t.Context(), "chat", "a", time.Minute)
		require.NoError(t, err)
		require.False(t, ok, "nobody knows it")
		require.NoError(t, s.MeetSink(t.Context(), "chat"))
		require.NoError(t, s.MeetSink(t.Context(), "chat"))
		var claims atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				ok, err := s.ClaimSink(t.Context(), "chat", "a", time.Minute)
				if assertNoError(t, err) && ok {
					claims.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, claims.Load())

		mail, err := s.Mail(t.Context(), "chat")
		require.NoError(t, err)
		require.Len(t, mail.Records, 2)
		require.NoError(t, s.AlertsSent(t.Context(), "chat", "a", mail.Records[:1], time.Hour))
		after, err := s.Mail(t.Context(), "chat")
		require.NoError(t, err)
		sent := map[string]int64{}
		for _, r := range after.Records {
			sent[r.Fingerprint] = r.SentSeq
		}
		require.Equal(t, map[string]int64{mail.Records[0].Fingerprint: 1, mail.Records[1].Fingerprint: 0}, sent)
		require.WithinDuration(t, after.Now.Add(time.Hour), after.Sink.Next, time.Minute)
		ok, err = s.ClaimSink(t.Context(), "chat", "b", time.Minute)
		require.NoError(t, err)
		require.False(t, ok, "it rests")
		other, err := s.Mail(t.Context(), "mail")
		require.NoError(t, err)
		require.Zero(t, other.Records[0].SentSeq+other.Records[1].SentSeq, "another sink was told nothing")

		require.NoError(t, s.SinkFailed(t.Context(), "chat", "b", "not mine", time.Hour))
		after, err = s.Mail(t.Context(), "chat")
		require.NoError(t, err)
		require.Zero(t, after.Sink.Failures, "b does not hold it")
	})
}

func TestTroubleThatNobodyWasToldOfIsFound(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		now, err := s.Now(t.Context())
		require.NoError(t, err)
		make := func(shop string, deadline time.Time) ledger.Run {
			r := newRun(shop, "b-1")
			r.StartsAt, r.Deadline, r.EndsAt = deadline.Add(10*time.Minute), deadline, now.Add(4*time.Hour)
			r, _, err := s.Create(t.Context(), r)
			require.NoError(t, err)
			return r
		}
		make("early", now.Add(time.Hour))
		make("past before it was made", now.Add(-time.Hour))
		now, err = s.Now(t.Context())
		require.NoError(t, err)
		late := make("late", now.Add(2*time.Second)) // it has to be made before that
		var found []ledger.Run
		require.Eventually(t, func() bool {
			found, err = s.LateUntold(t.Context(), 10)
			return err == nil && len(found) > 0
		}, 10*time.Second, 20*time.Millisecond)
		require.Equal(t, []string{late.ID}, []string{found[0].ID})
		require.Len(t, found, 1)
		require.NoError(t, s.RaiseAlerts(t.Context(), []alert.Alert{{Name: alert.RunLate, Severity: alert.Warning, Run: late.ID, Summary: "late"}}))
		found, err = s.LateUntold(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, found)

		require.NoError(t, s.FailPlan(t.Context(), late.ID, late.Epoch, "no such table"))
		found, err = s.FailedUntold(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, found, "who has failed it says so")
	})
}
