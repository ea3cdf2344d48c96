package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestASeriesIsTheSumOfItsEveningsHoweverManyPlayAtOnce(t *testing.T) {
	t.Parallel()
	s := Series{Evenings: 6, Seed: 3, Shape: Shape{Shops: 20}}
	played := 0
	got, first, err := s.Play(t.Context(), func() { played++ })
	require.NoError(t, err)
	want := Summary{MissedSeeds: []uint64{}}
	loads := map[int64]bool{}
	for i := range s.Evenings {
		scenario := s.Scenario(i)
		require.Equal(t, s.Seed+uint64(i), scenario.Seed)
		loads[int64(1000*peak(scenario.jobs(), scenario.capacityFloor()))] = true
		want.Add(Play(scenario), scenario.Feasible())
	}
	require.Equal(t, want, got)
	require.Equal(t, 6, played)
	require.Len(t, loads, 6, "evenings differ in their load")
	require.Equal(t, Play(s.Scenario(0)).Outcomes, first.Outcomes)

	s.Shape.Load = 0.4
	given := s.Scenario(2)
	require.InDelta(t, 0.4, peak(given.jobs(), given.capacityFloor()), 0.02)
}

func TestAnEveningThatWasMissedIsNamed(t *testing.T) {
	t.Parallel()
	sum := Summary{MissedSeeds: []uint64{}}
	e := Evening{Scenario: &Scenario{Seed: 17}, Outcomes: []Outcome{{Late: time.Minute}}}
	sum.Add(e, true)
	sum.Add(e, false)
	text, err := json.Marshal(sum)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(text, &doc))
	require.Equal(t, []any{17.0}, doc["missed_seeds"])
	require.EqualValues(t, 1, doc["missed_feasible"])
	for _, field := range []string{"evenings", "feasible", "verdict_precision", "verdict_recall", "harm_seconds", "reversals"} {
		require.Contains(t, doc, field)
	}
}

// What is known needs half of the slots, and is nearly done when a giant is announced that needs most of what is left.
func TestRoomIsKeptForALateComer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows     int64
		after    time.Duration
		feasible bool
	}{
		"announced with the others": {90_000_000, 0, true},
		"too much for anybody":      {120_000_000, 0, false},
		"a giant that comes late":   {70_000_000, 105 * time.Minute, true},
		"a smaller one":             {25_000_000, 105 * time.Minute, true},
	} {
		giant := due("b", 3*time.Hour, c.rows)
		giant.Announced = giant.Announced.Add(c.after)
		s := one(due("a", 3*time.Hour, 108_000_000), giant)
		s.Ceiling = int(s.Knee)
		require.Equal(t, c.feasible, s.Feasible(), name)
		for _, o := range Play(s).Outcomes {
			require.True(t, o.Late <= lateEnough || !c.feasible, "%s: %+v", name, o)
		}
	}
}

func TestASeriesEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	sum, _, err := Series{Evenings: 1000, Shape: Shape{Shops: 3}}.Play(ctx, cancel)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, sum.Evenings, 100)
	require.Positive(t, sum.Evenings)
}

func TestThePageHoldsEverythingItself(t *testing.T) {
	t.Parallel()
	s := Generate(5, Shape{Shops: shops, Load: 1.3})
	e := Play(s)
	n, _ := late(e)
	require.Positive(t, n, "the evening shows late broadcasts")
	e.Points[0].Reason = `<script>alert("x")</script>`
	sum := Summary{Evenings: 2, MissedFeasible: 1, MissedSeeds: []uint64{4711}}
	var page bytes.Buffer
	require.NoError(t, WritePage(&page, e, sum))
	text := page.String()
	require.NotContains(t, text, "<script")
	for _, elsewhere := range []string{"http:", "https:", "//", "url(", "@import", "src=", "href="} {
		require.NotContains(t, text, elsewhere)
	}
	for _, shown := range []string{"seed 5", "Width, demand and ceiling", "Backlog", "Database load", "Slowdown", "Late broadcasts", "4711",
		"prefers-color-scheme: dark", `class="late"`, "infeasible"} {
		require.Contains(t, text, shown)
	}
	require.NotContains(t, text, "NaN")
	require.NotContains(t, text, "Inf")
	require.Less(t, len(text), 2<<20)
	svgs := strings.Count(text, `<svg viewBox="0 0 960`)
	require.Equal(t, 4, svgs)
	for _, part := range strings.SplitAfter(text, `<svg viewBox="0 0 960`)[1:] {
		svg, _, found := strings.Cut(part, "</svg>")
		require.True(t, found)
		wellFormed(t, `<svg viewBox="0 0 960`+svg+"</svg>")
	}

	page.Reset()
	require.NoError(t, WritePage(&page, Evening{Scenario: &s}, Summary{Evenings: 1}))
	require.Contains(t, page.String(), "Nothing was announced")
	require.NotContains(t, page.String(), "All 1 evenings")
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if err == io.EOF { //nolint:errorlint // the decoder says it is it
			return
		}
		require.NoError(t, err)
	}
}

// A line is drawn with few points and still shows every peak.
func TestAPlotKeepsPeaksAndGaps(t *testing.T) {
	t.Parallel()
	e := Evening{Scenario: &Scenario{}}
	begin := time.Date(2026, 3, 14, 18, 0, 0, 0, time.UTC)
	for i := range 20_000 {
		if i == 15_000 { // nothing could be done for a while
			begin = begin.Add(time.Hour)
		}
		e.Points = append(e.Points, Point{At: begin.Add(time.Duration(i) * 2 * time.Second), Width: 1})
	}
	e.Points[7777].Width = 9
	p := newPanel(e, "t", "slots", 10)
	path := p.path(func(p Point) float64 { return float64(p.Width) }, false)
	require.Equal(t, 2, strings.Count(path, "M"), "a gap is no line")
	require.Contains(t, path, " 23.2", "the peak of a single moment is at 9 of 10")
	require.Less(t, strings.Count(path, "L"), 4*1000)
	require.InDelta(t, 23.2, p.y(9), 0.01)
	require.False(t, math.IsNaN(p.x(e.Points[0].At)))
	area := p.path(func(Point) float64 { return 1 }, true)
	require.Equal(t, 2, strings.Count(area, "Z"))
}
