package api

import (
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// margin is how long before its deadline a run was ready, in seconds.
func margin(r ledger.Run) *int64 {
	if r.State != ledger.RunReady || r.ReadyAt.IsZero() || r.Deadline.IsZero() {
		return nil
	}
	s := int64(r.Deadline.Sub(r.ReadyAt).Seconds())
	return &s
}

// eta is the seconds until a warming run is ready if it goes on as fast as it went since it started; nil if that
// cannot be said yet.
func eta(r ledger.Run, now time.Time) *int64 {
	elapsed := now.Sub(r.StartedAt)
	if r.State != ledger.RunWarming || r.StartedAt.IsZero() || r.RowsDone <= 0 || elapsed <= 0 {
		return nil
	}
	left := max(r.RowsEstimated-r.RowsDone, 0)
	s := int64(elapsed.Seconds() * float64(left) / float64(r.RowsDone))
	return &s
}

// waitsFor says why a run does not move. Without its units (in lists) it says what the run alone tells.
func waitsFor(r ledger.Run, units []ledger.Unit, now time.Time) string {
	switch r.State {
	case ledger.RunPlanned:
		switch {
		case r.LastError != "":
			return "another attempt, after: " + r.LastError
		case r.PlannedAt.IsZero():
			return "its plan to be written"
		case now.Before(r.PlannedStart):
			return "its planned start at " + r.PlannedStart.UTC().Format(time.RFC3339)
		}
		return "a free slot, or another broadcast of the same shop to be done"
	case ledger.RunWarming:
		return unitsWaitFor(units)
	case ledger.RunFailed:
		return "a retry or restart by hand"
	case ledger.RunReady, ledger.RunCancelled, ledger.RunSkipped: // it has ended
	}
	return ""
}

func unitsWaitFor(units []ledger.Unit) string {
	waiting, failing := 0, ""
	for _, u := range units {
		switch {
		case u.State == ledger.UnitRunning:
			return ""
		case u.State != ledger.UnitWaiting:
		case u.LastError != "" && failing == "":
			failing = fmt.Sprintf("another attempt at unit %d (%s), after: %s", u.Unit, u.Dataset, u.LastError)
			waiting++
		default:
			waiting++
		}
	}
	if failing == "" && waiting > 0 {
		return "a free slot"
	}
	return failing
}
