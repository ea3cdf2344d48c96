package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestALongEveningIsRememberedInAFewSamples(t *testing.T) {
	t.Parallel()
	var e evening
	const hours = 10
	for i := range hours * 1800 {
		e.add(api.Sample{At: noon.Add(time.Duration(i) * beatEvery), Width: i}, nil)
	}
	all := e.Samples(time.Time{})
	require.LessOrEqual(t, len(all), maxSamples)
	end := noon.Add(hours * time.Hour)
	require.WithinDuration(t, end, all[len(all)-1].At, maxStep+beatEvery)
	require.WithinDuration(t, end.Add(-maxSamples*maxStep), all[0].At, 2*maxStep, "it reaches back so far")
	for i := 1; i < len(all); i++ {
		require.Equal(t, maxStep, all[i].At.Sub(all[i-1].At))
	}
	require.Equal(t, all[len(all)-1:], e.Samples(all[len(all)-2].At))
	require.Empty(t, e.Samples(end))
}

func TestTheSpeedOfTheClusterIsThatOfItsPods(t *testing.T) {
	t.Parallel()
	var e evening
	pod := func(id string, rows int64, beat int) ledger.Pod {
		return ledger.Pod{ID: id, Slots: 2, Rows: rows, BeatAt: noon.Add(time.Duration(beat) * time.Second)}
	}
	see := func(at int, pods ...ledger.Pod) api.Sample {
		e.add(api.Sample{At: noon.Add(time.Duration(at) * time.Second)}, pods)
		all := e.Samples(time.Time{})
		return all[len(all)-1]
	}
	require.Zero(t, see(0, pod("a", 1000, 0)).Rows, "what it wrote before is not known to be fast")
	s := see(2, pod("a", 3000, 2), pod("b", 500, 1))
	require.InDelta(t, 1000, s.Rows, 0)
	require.Equal(t, 4, s.Actual)
	require.InDelta(t, 1000, see(4, pod("a", 3000, 2), pod("b", 500, 1)).Rows, 0, "without a newer heartbeat it is as before")
	require.InDelta(t, 750, see(6, pod("a", 3000, 6), pod("b", 2000, 3)).Rows, 0)
	require.InDelta(t, 750, see(8, pod("b", 2000, 3)).Rows, 0, "one that has left counts no more")
}
