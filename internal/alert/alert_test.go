package alert_test

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// checks is how often a law is tried: SQLite, in Go, is ten times slower under the race detector.
const checks = "15"

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(checks); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestTheSameAlertIsLoggedOncePerQuietTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := alert.New(alert.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		lines := func() int { return bytes.Count(log.Bytes(), []byte("\n")) }
		one := alert.Alert{Name: "run_failed", Shop: "1", Run: "r1"}
		d.Raise(t.Context(), one)
		d.Raise(t.Context(), one)
		d.Raise(t.Context(), alert.Alert{Name: "run_failed", Run: "r1"}) // the run says which shop it is
		d.Raise(t.Context(), alert.Alert{Name: "run_failed", Shop: "2", Run: "r2"})
		d.Raise(t.Context(), alert.Alert{Name: "run_late", Shop: "1", Run: "r1"})
		require.Equal(t, 3, lines())

		time.Sleep(alert.Quiet - time.Second)
		d.Raise(t.Context(), one)
		require.Equal(t, 3, lines())
		time.Sleep(time.Second)
		d.Raise(t.Context(), one)
		require.Equal(t, 4, lines())
		require.Equal(t, time.Now().UTC(), d.Recent()[0].At)
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
	require.Len(t, families[0].GetMetric(), len(alert.Names()), "those that were not raised count 0")
	for _, m := range families[0].GetMetric() {
		want := 0.0
		if m.GetLabel()[0].GetValue() == "run_failed" {
			want = 10
		}
		require.InDelta(t, want, m.GetCounter().GetValue(), 0)
	}
}
