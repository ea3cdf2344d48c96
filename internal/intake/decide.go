package intake

import (
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/tasks"
)

// check says what is wrong with a broadcast by itself, before anything is asked.
func check(b tasks.Broadcast, p config.Policy, now time.Time) error {
	if err := plain("broadcast_id", b.BroadcastID, maxID, false); err != nil {
		return err
	}
	if err := plain("shop_id", b.ShopID, maxID, false); err != nil {
		return err
	}
	if err := plain("tier", b.Tier, 32, true); err != nil {
		return err
	}
	if b.Cancelled {
		return nil // what is called off needs no times
	}
	switch {
	case b.StartsAt.IsZero():
		return fmt.Errorf("starts_at is missing")
	case b.EndsAt.IsZero():
		return fmt.Errorf("ends_at is missing")
	case !b.EndsAt.After(b.StartsAt):
		return fmt.Errorf("ends_at %s is not after starts_at %s", stamp(b.EndsAt), stamp(b.StartsAt))
	case !b.EndsAt.After(now):
		return fmt.Errorf("ends_at %s has passed; now is %s", stamp(b.EndsAt), stamp(now))
	case b.EndsAt.Sub(b.StartsAt) > p.MaxBroadcast:
		return fmt.Errorf("it would last %s; policy.max_broadcast is %s", b.EndsAt.Sub(b.StartsAt), p.MaxBroadcast)
	case b.StartsAt.Sub(now) > p.MaxAhead:
		return fmt.Errorf("starts_at %s is more than policy.max_ahead (%s) from now", stamp(b.StartsAt), p.MaxAhead)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// timesOf is when a broadcast's run must be ready and when it may start. A broadcast that is on already, or starts
// within the lead time, is urgent and starts at once. Any other gets its earliest start, and the leader moves it to a later one
// when it knows how much there is to do.
func timesOf(b tasks.Broadcast, p config.Policy, now time.Time) ledger.Times {
	t := ledger.Times{
		// The ledger keeps microseconds; what is compared with what it gives back must be as coarse.
		StartsAt: b.StartsAt.UTC().Truncate(time.Microsecond),
		EndsAt:   b.EndsAt.UTC().Truncate(time.Microsecond),
	}
	t.Deadline = t.StartsAt.Add(-p.ReadyBefore)
	t.PlannedStart = t.StartsAt.Add(-p.Lead)
	t.Urgent = t.StartsAt.Sub(now) < p.Lead
	if t.Urgent || t.PlannedStart.Before(now) {
		t.PlannedStart = now.UTC().Truncate(time.Microsecond)
	}
	return t
}

// action is what a broadcast asks for, given the run that it has, if any.
type action int

const (
	actCreate     action = iota // no run yet
	actDuplicate                // nothing to do
	actReschedule               // the run moves
	actCancel                   // the run is called off
	actNothing                  // called off, but there is nothing to call off
	actResume                   // the run had failed and goes on
	actRevive                   // the run was skipped or cancelled and is wanted now
)

// decide is pure: what a valid broadcast means to the run of the same shop and broadcast (nil: there is none).
func decide(b tasks.Broadcast, run *ledger.Run) (action, string) {
	if run == nil {
		if b.Cancelled {
			return actNothing, "no such broadcast was announced"
		}
		return actCreate, ""
	}
	if b.Cancelled {
		switch run.State {
		case ledger.RunCancelled:
			return actDuplicate, "the broadcast is cancelled already"
		case ledger.RunSkipped:
			return actNothing, "the broadcast had been skipped"
		default:
			return actCancel, ""
		}
	}
	switch run.State {
	case ledger.RunFailed:
		return actResume, "an earlier try had failed: " + run.LastError
	case ledger.RunSkipped, ledger.RunCancelled:
		return actRevive, ""
	case ledger.RunPlanned, ledger.RunWarming, ledger.RunReady:
	}
	if sameTimes(b, run.StartsAt, run.EndsAt) {
		return actDuplicate, "the run is " + string(run.State) + " already"
	}
	return actReschedule, ""
}

func sameTimes(b tasks.Broadcast, starts, ends time.Time) bool {
	return b.StartsAt.Truncate(time.Microsecond).Equal(starts) && b.EndsAt.Truncate(time.Microsecond).Equal(ends)
}

// eligible is pure: whether a shop with this many rows (counted up to the limit only) is warmed, and why.
func eligible(b tasks.Broadcast, rows, minRows int64) (bool, string) {
	switch {
	case b.Force:
		return true, "forced"
	case b.Tier == tasks.TierKA:
		return true, "tier ka"
	case rows >= minRows:
		return true, fmt.Sprintf("at least %d rows", minRows)
	}
	return false, fmt.Sprintf("a small shop: %d rows, policy.warm_when.min_rows is %d; tier ka or force would warm it", rows, minRows)
}
