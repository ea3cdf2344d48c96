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
func waitsFor(s Story, now time.Time) string {
	r, units := s.Run, s.Units
	if why := paused(s, ""); why != "" && open(r.State) {
		return "its resuming: " + why
	}
	if open(r.State) && s.Holder != "" && s.Holder != r.ID && !now.Before(r.PlannedStart) {
		return "another broadcast of the same shop to be done: run " + s.Holder
	}
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
		return "a free slot"
	case ledger.RunWarming:
		return unitsWaitFor(s, units)
	case ledger.RunFailed:
		return "a retry or restart by hand"
	case ledger.RunReady, ledger.RunCancelled, ledger.RunSkipped: // it has ended
	}
	return ""
}

func unitsWaitFor(s Story, units []ledger.Unit) string {
	waiting, failing, held := 0, "", ""
	for _, u := range units {
		switch {
		case u.State == ledger.UnitRunning:
			return ""
		case u.State != ledger.UnitWaiting:
		case paused(s, u.Dataset) != "":
			held = "its resuming: " + paused(s, u.Dataset)
		case u.LastError != "" && failing == "":
			failing = fmt.Sprintf("another attempt at unit %d (%s), after: %s", u.Unit, u.Dataset, u.LastError)
			waiting++
		default:
			waiting++
		}
	}
	switch {
	case failing != "":
		return failing
	case waiting > 0:
		return "a free slot"
	}
	return held
}

// open says that a run has not ended.
func open(s ledger.RunState) bool { return s == ledger.RunPlanned || s == ledger.RunWarming }

// paused is the widest switch that pauses a dataset of a run, as text; "" asks for the run as a whole.
func paused(s Story, dataset string) string {
	for _, w := range s.Switches {
		if w.Covers(s.ShopID, s.ID, dataset) {
			return w.String()
		}
	}
	return ""
}

// stage is where a run stands, finer than its state.
func stage(s Story) string {
	switch {
	case !open(s.State):
		return string(s.State)
	case paused(s, "") != "":
		return "paused"
	case s.State == ledger.RunWarming:
		return "loading"
	case s.PlannedAt.IsZero():
		return "not_started"
	}
	return "planned"
}

// status is the state as a number that sorts: the worse, the lower.
func status(s ledger.RunState) *int {
	n := 0
	switch s {
	case ledger.RunSkipped:
		return nil
	case ledger.RunCancelled:
		n = -2
	case ledger.RunFailed:
		n = -1
	case ledger.RunReady:
		n = 1
	case ledger.RunPlanned, ledger.RunWarming:
	}
	return &n
}
