package alert_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

type sink struct{ got []alert.Alert }

func (s *sink) Send(_ context.Context, a alert.Alert) { s.got = append(s.got, a) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTheSameAlertIsPassedOnOncePerQuietTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		d := alert.New(alert.Config{Log: quiet(), Sinks: []alert.Sink{s}})
		one := alert.Alert{Name: "run_failed", Shop: "1", Run: "r1"}
		d.Raise(t.Context(), one)
		d.Raise(t.Context(), one)
		d.Raise(t.Context(), alert.Alert{Name: "run_failed", Shop: "2", Run: "r2"})
		d.Raise(t.Context(), alert.Alert{Name: "run_late", Shop: "1", Run: "r1"})
		require.Len(t, s.got, 3)

		time.Sleep(alert.Quiet - time.Second)
		d.Raise(t.Context(), one)
		require.Len(t, s.got, 3)
		time.Sleep(time.Second)
		d.Raise(t.Context(), one)
		require.Len(t, s.got, 4)
		require.Equal(t, time.Now().UTC(), s.got[3].At)
	})
}

func TestTheNewestAreKept(t *testing.T) {
	t.Parallel()
	d := alert.New(alert.Config{Log: quiet()})
	for i := range alert.Kept + 5 {
		d.Raise(t.Context(), alert.Alert{Name: "run_failed", Run: fmt.Sprint(i)})
	}
	recent := d.Recent()
	require.Len(t, recent, alert.Kept)
	require.Equal(t, fmt.Sprint(alert.Kept+4), recent[0].Run)
	require.Equal(t, "5", recent[alert.Kept-1].Run)
}

func TestAlertsAreCountedByName(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	d := alert.New(alert.Config{Log: quiet(), Registry: reg})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { d.Raise(t.Context(), alert.Alert{Name: "run_failed", Run: fmt.Sprint(i % 10)}) })
	}
	wg.Wait()
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Equal(t, "prewarm_alerts_total", families[0].GetName())
	require.InDelta(t, 10.0, families[0].GetMetric()[0].GetCounter().GetValue(), 0)
	require.Equal(t, "run_failed", families[0].GetMetric()[0].GetLabel()[0].GetValue())
}
