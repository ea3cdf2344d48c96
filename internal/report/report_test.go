package report

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

var eight = time.Date(2026, 11, 20, 20, 0, 0, 0, time.UTC)

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func at(n float64) time.Time { return eight.Add(seconds(n)) }

// lateRun was to begin at 0 and was ready at 110, one minute late; its one unit was claimed at 10.
func lateRun() (ledger.Run, []ledger.Unit) {
	return ledger.Run{ID: "r", ShopID: "1", State: ledger.RunReady, Late: true, Epoch: 1, PlannedStart: eight, CreatedAt: eight.Add(-time.Hour),
			StartedAt: at(10), ReadyAt: at(110), Deadline: at(50), EndsAt: at(9999)},
		[]ledger.Unit{{State: ledger.UnitDone, Claim: 1, StartedAt: at(10), FinishedAt: at(110)}}
}

func TestALateRunsTimeIsToldByItsParts(t *testing.T) {
	t.Parallel()
	whole := ledger.Attempt{Outcome: "done", From: at(10), To: at(110), Read: seconds(40), Write: seconds(30), Held: seconds(20)}
	for name, c := range map[string]struct {
		attempts  []ledger.Attempt
		throttles []ledger.Throttle
		change    func(*ledger.Run, []ledger.Unit)
		want      Parts
	}{
		"held by a signal": {[]ledger.Attempt{whole}, []ledger.Throttle{{From: at(4), To: at(40), Cause: "threads"}}, nil,
			Parts{Waiting: 4, Throttled: map[string]float64{"threads": 26}, Reading: 40, Writing: 30, Other: 10}},
		"held by something": {[]ledger.Attempt{whole}, nil, nil,
			Parts{Waiting: 10, Throttled: map[string]float64{unknown: 20}, Reading: 40, Writing: 30, Other: 10}},
		"an attempt failed": {[]ledger.Attempt{{Outcome: "failed", From: at(10), To: at(30), Read: seconds(20)}, {Outcome: "done", From: at(40), To: at(110), Write: seconds(70)}}, nil,
			nil, Parts{Waiting: 10, Retrying: 30, Writing: 70}},
		"it was handed back": {[]ledger.Attempt{{Outcome: "handed_back", From: at(10), To: at(30), Read: seconds(20)}, {Outcome: "done", From: at(40), To: at(110), Write: seconds(70)}}, nil,
			nil, Parts{Waiting: 20, Reading: 20, Writing: 70}},
		"its pod died": {[]ledger.Attempt{{Outcome: "done", From: at(70), To: at(111), Read: seconds(40)}}, nil,
			func(_ *ledger.Run, u []ledger.Unit) { u[0].Recovers, u[0].Claim = 1, 3 }, Parts{Waiting: 10, Retrying: 60, Reading: 40}},
		"audited": {[]ledger.Attempt{{Outcome: "done", From: at(10), To: at(80), Read: seconds(70)}}, nil,
			func(r *ledger.Run, u []ledger.Unit) { r.AuditedAt, u[0].FinishedAt = r.ReadyAt, at(80) }, Parts{Waiting: 10, Reading: 70, Auditing: 30}},
		"it never began": {nil, []ledger.Throttle{{From: at(100), To: at(9999), Cause: "by hand"}},
			func(r *ledger.Run, _ []ledger.Unit) {
				r.State, r.StartedAt, r.ReadyAt = ledger.RunPlanned, time.Time{}, time.Time{}
			}, Parts{Waiting: 100, Throttled: map[string]float64{"by hand": 100}}},
	} {
		run, units := lateRun()
		if c.change != nil {
			c.change(&run, units)
		}
		r := Build(Input{Now: at(200), Runs: []ledger.Run{run}, Units: map[string][]ledger.Unit{"r": units}, Attempts: map[string][]ledger.Attempt{"r": c.attempts}, Throttles: c.throttles})
		require.Len(t, r.Late, 1, name)
		got := r.Late[0]
		require.Equal(t, c.want, got.Parts, name)
		require.InDelta(t, got.WholeSeconds, got.Parts.Sum(), got.WholeSeconds/100, name)
	}
}

func TestThePartsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := func(name string, most float64) float64 { return rapid.Float64Range(0, most).Draw(t, name) }
		run, _ := lateRun()
		var units []ledger.Unit
		var attempts []ledger.Attempt
		for n := range rapid.IntRange(0, 4).Draw(t, "units") {
			u := ledger.Unit{Unit: n, State: ledger.UnitDone, StartedAt: at(10 + s("start", 50)), Recovers: int64(rapid.IntRange(0, 1).Draw(t, "recovers"))}
			u.FinishedAt = u.StartedAt.Add(seconds(s("took", 50)))
			for from := u.StartedAt.Add(seconds(s("lost", 5))); from.Before(u.FinishedAt); from = from.Add(seconds(s("gap", 5))) {
				read, write, held, more := s("read", 9), s("write", 9), s("held", 9), s("more", 2)
				a := ledger.Attempt{Unit: n, Outcome: rapid.SampledFrom([]string{"done", "failed", "handed_back"}).Draw(t, "outcome"), From: from,
					Read: seconds(read), Write: seconds(write), Held: seconds(held)}
				from = from.Add(seconds(read + write + held + more))
				a.To = from
				attempts = append(attempts, a)
			}
			units = append(units, u)
		}
		var throttles []ledger.Throttle
		for from := s("quiet", 40); from < 110; from += s("quiet", 40) + 1 {
			end := from + s("lasts", 40)
			throttles = append(throttles, ledger.Throttle{From: at(from), To: at(end), Cause: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "cause")})
			from = end
		}
		whole, p := split(run, units, attempts, throttles, run.ReadyAt)
		require.InDelta(t, whole.Seconds(), p.Sum(), whole.Seconds()/100)
		require.Equal(t, seconds(110), whole)
	})
}

func TestADayIsSummedUp(t *testing.T) {
	t.Parallel()
	late, units := lateRun()
	run := func(id, shop string, state ledger.RunState) ledger.Run {
		return ledger.Run{ID: id, ShopID: shop, State: state, CreatedAt: eight, StartedAt: at(1), ReadyAt: at(2), Deadline: at(300), EndsAt: at(9999), RowsDone: 10, RowsEstimated: 9}
	}
	failed, running, waiting := run("f", "2", ledger.RunFailed), run("w", "3", ledger.RunWarming), run("p", "4", ledger.RunPlanned)
	failed.LastError, failed.ReadyAt, running.ReadyAt, waiting.ReadyAt, waiting.StartedAt = "table is gone", time.Time{}, time.Time{}, time.Time{}, time.Time{}
	good := run("g", "5", ledger.RunReady)
	in := Input{Day: "2026-11-20", Now: at(100), Runs: []ledger.Run{late, failed, running, waiting, good, run("s", "6", ledger.RunSkipped)},
		Units:    map[string][]ledger.Unit{"r": units, "g": {{Unit: 4, Dataset: "users", State: ledger.UnitDone, Recovers: 1, Claim: 2}}},
		Attempts: map[string][]ledger.Attempt{"g": {{Outcome: "done", From: at(1), To: at(2), DB: seconds(0.5), Bytes: 900}}},
		Requests: []ledger.Request{{Outcomes: `[{"outcome":"accepted"},{"outcome":"duplicate"}]`}, {Outcomes: `[{"outcome":"duplicate"}]`}},
		Reads:    Reads{Hits: 999, Misses: 1},
		Audits:   []ledger.Audit{{State: ledger.AuditPassed, AuditCounts: ledger.AuditCounts{Keys: 9, Missing: 2, Repaired: 2}}, {State: ledger.AuditFailed}},
	}
	r := Build(in)
	require.Equal(t, map[string]int{InTime: 1, TooLate: 1, Failed: 1, Running: 1, Waiting: 1, Skipped: 1}, r.Outcomes)
	require.Equal(t, 6, r.Shops)
	require.Equal(t, "table is gone", r.Failed[0].Why)
	require.Equal(t, "w", r.Running[0].RunID)
	require.Equal(t, "p", r.Waiting[0].RunID)
	require.Equal(t, []Recovery{{"g", "5", 4, "users", 1, 2}}, r.Recovered)
	require.Equal(t, map[string]int{"accepted": 1, "duplicate": 2}, r.Broadcasts)
	require.Equal(t, Audits{Audits: 2, Failed: 1, Keys: 9, Wrong: 2, Repaired: 2}, r.Audits)
	require.EqualValues(t, 900, r.Bytes)
	require.InDelta(t, 1, r.SlotSeconds, 1e-9)
	require.Len(t, r.Late, 1)
	require.Contains(t, r.Summary(), "2026-11-20: 6 runs of 6 shops: 1 in time, 1 late, 1 failed")
	require.Contains(t, r.Summary(), "of 1000 reads the cache answered 99.9 %")
	var page strings.Builder
	require.NoError(t, r.Page(&page))
	require.Contains(t, page.String(), "table is gone")
}
