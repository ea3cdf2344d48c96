package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/report"
)

func TestTheReportTellsWhoWasLateAndWhereTheTimeWent(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	seed(t, c.source, 1001, 400)
	p := c.inProcess()
	p.post(t, "/v1/pause", nil)
	starts := time.Now().Add(10*time.Minute + 2*time.Second) // policy.ready_before is 10m
	c.announce(ka(1001, starts))
	c.until(soon, "past its deadline", func() bool {
		return c.number("SELECT COUNT(*) FROM runs WHERE deadline_us < UNIX_TIMESTAMP(NOW(6)) * 1000000 - 500000") == 1
	})
	p.post(t, "/v1/resume", nil)
	c.becomes(soon, 1001, "ready")
	units := c.number("SELECT COUNT(*) FROM units")
	c.until(soon, "attempts recorded", func() bool { return c.number("SELECT COUNT(*) FROM attempts WHERE outcome = 'done'") == units })
	require.Equal(t, c.number("SELECT SUM(rows_done) FROM units"), c.number("SELECT SUM(loaded) FROM attempts"))

	day := starts.Local().Format(time.DateOnly)
	require.NoError(t, c.cache.HSet(t.Context(), "prewarm:{1001}:reads:"+day, "hits", 7, "misses", 2).Err())
	var r report.Report
	require.NoError(t, json.Unmarshal([]byte(p.get(t, "/v1/report?day="+day)), &r))
	require.Equal(t, map[string]int{report.TooLate: 1}, r.Outcomes)
	require.Len(t, r.Late, 1)
	late := r.Late[0]
	require.Equal(t, "1001", late.ShopID)
	require.Greater(t, late.LateSeconds, 0.5)
	require.Greater(t, late.Parts.Waiting, 0.5, "most of it, it was paused")
	require.Positive(t, late.Parts.Reading)
	require.Positive(t, late.Parts.Writing)
	require.InDelta(t, late.WholeSeconds, late.Parts.Sum(), late.WholeSeconds/100)
	require.Positive(t, r.Bytes)
	require.Equal(t, report.Reads{Hits: 7, Misses: 2}, r.Reads)
}
