package upkeep

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, []ledger.LostUnit{{Unit: 1, Marked: 5}, {Unit: 3, Marked: 1}},
		missing(map[int]int64{1: 5, 2: 5, 3: 1, 4: 1}, map[int]int64{1: 4, 2: 5, 4: 9, 8: 1}))
	require.Empty(t, missing(nil, map[int]int64{1: 4}))
}

func TestHopeless(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	run := ledger.Run{StartedAt: now.Add(-20 * time.Minute), ReadyAt: now.Add(-10 * time.Minute), EndsAt: now.Add(11 * time.Minute)}
	require.Empty(t, hopeless(run, 2, now))
	require.Contains(t, hopeless(run, 3, now), "3 times")
	require.Contains(t, hopeless(run, 0, now.Add(2*time.Minute)), "ends in 9m0s")
	require.Empty(t, hopeless(ledger.Run{EndsAt: now.Add(time.Second)}, 0, now), "it is being loaded anyway")
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w := config.Watch{NoProgress: 40 * time.Minute, Overtime: time.Hour, AtLeast: time.Minute}
	ago := func(moved, claimed, toDeadline time.Duration) ledger.Running {
		return ledger.Running{Unit: ledger.Unit{UpdatedAt: now.Add(-moved), ClaimedAt: now.Add(-claimed)}, Deadline: now.Add(toDeadline), Now: now}
	}
	for _, c := range []struct {
		u    ledger.Running
		want string
	}{
		{ago(0, 0, time.Hour), ""},
		{ago(39*time.Minute, 39*time.Minute, 5*time.Hour), ""},
		{ago(41*time.Minute, 41*time.Minute, 5*time.Hour), "no progress for 41m0s, more than 40m0s"},
		{ago(10*time.Minute, 10*time.Minute, 20*time.Minute), "no progress for 10m0s, more than 7m30s"},
		{ago(50*time.Second, 50*time.Second, -time.Hour), ""},
		{ago(61*time.Second, 61*time.Second, -time.Hour), "no progress for 1m1s, more than 1m0s"},
		{ago(time.Second, 61*time.Minute, 5*time.Hour), "running for 1h1m0s, more than 1h0m0s"},
	} {
		require.Equal(t, c.want, tooLong(w, c.u))
	}
}
