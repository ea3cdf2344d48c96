package intake

import (
	"database/sql"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// received puts a request into the ledger as of a time.
func received(t *testing.T, db *sql.DB, s *ledger.Store, when time.Time, accepted int) {
	t.Helper()
	id := newID()
	require.NoError(t, s.SaveRequest(t.Context(), ledger.Request{ID: id, RequestID: id, Via: "test", Broadcasts: accepted + 1, Accepted: accepted, Outcomes: "[]"}))
	_, err := db.ExecContext(t.Context(), "UPDATE requests SET received_us = ? WHERE id = ?", when.UnixMicro(), id)
	require.NoError(t, err)
}

func TestTheWatchTellsOfLateShortAndEmptyDays(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	reg := prometheus.NewRegistry()
	w := &Watch{Ledger: e.Ledger, Config: config.Defaults().Policy.IntakeWatch, Metrics: NewWatchMetrics(reg), Log: slog.New(slog.DiscardHandler)}
	look := func(now time.Time) (told []string) {
		w.Alerts = alert.New(alert.Config{Log: w.Log})
		require.NoError(t, w.Look(t.Context(), now))
		for _, a := range w.Alerts.Recent() {
			told = append(told, a.Name)
		}
		return told
	}
	gauge := func(name string) float64 {
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		t.Fatal(name)
		return 0
	}
	db := e.Ledger.DB()
	midnight := time.Date(2026, 11, 21, 0, 0, 0, 0, time.FixedZone("shop", 8*3600))
	day := func(weeks, hour int) time.Time {
		return midnight.AddDate(0, 0, -7*weeks).Add(time.Duration(hour) * time.Hour)
	}

	require.Empty(t, look(day(0, 23)), "nothing is known")
	received(t, db, e.Ledger, day(1, 10), 60)
	received(t, db, e.Ledger, day(1, 15), 40)
	received(t, db, e.Ledger, day(1, 22), 0) // duplicates only
	require.Empty(t, look(day(0, 23)), "one week is not enough")
	received(t, db, e.Ledger, day(2, 10), 60)
	received(t, db, e.Ledger, day(2, 15), 44)
	received(t, db, e.Ledger, midnight.AddDate(0, 0, -1), 7) // another weekday
	require.Empty(t, look(day(0, 10)))
	require.Equal(t, []string{alert.IntakeLate}, look(day(0, 12)))
	require.InDelta(t, 7200, gauge("prewarm_intake_late_seconds"), 0)
	require.InDelta(t, 100, gauge("prewarm_intake_usual"), 0)
	require.Equal(t, []string{alert.IntakeEmpty}, look(day(0, 16)))
	received(t, db, e.Ledger, day(0, 12), 20)
	require.Empty(t, look(day(0, 13)))
	require.Equal(t, []string{alert.IntakeShort}, look(day(0, 16)))
	require.InDelta(t, 20, gauge("prewarm_intake_accepted"), 0)
	require.Zero(t, gauge("prewarm_intake_late_seconds"))
	received(t, db, e.Ledger, day(0, 14), 40)
	require.Empty(t, look(day(0, 16)))
	for week := 3; week <= 4; week++ { // before these it was every week
		require.Empty(t, look(day(0, 16).AddDate(0, 0, -7*week)))
	}
}

func TestWhatIsWarmedByHandIsNotTakenForAnAnnouncement(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	_, err := e.WarmNow(t.Context(), "1001", WarmNow{Who: "me"})
	require.NoError(t, err)
	around := func() ledger.IntakeDay {
		d, err := e.Ledger.IntakeOn(t.Context(), e.now.Add(-time.Hour), e.now.Add(time.Hour))
		require.NoError(t, err)
		return d
	}
	require.Zero(t, around().Accepted)
	e.send(t, e.broadcast("1002"), e.broadcast("1002"))
	require.Equal(t, 1, around().Accepted, "a duplicate is nothing new")
}
