package alert

import (
	"maps"
	"slices"
)

// Names of the alerts that are raised; metrics and runbooks use them.
const (
	Duplicate         = "duplicate_request"  // a broadcast was announced again while its run is planned, warming or ready
	BadTask           = "bad_task"           // a task's payload is not understood; it is archived
	UnitFailed        = "unit_failed"        // an attempt at a unit failed
	RunFailed         = "run_failed"         // a run has failed; its broadcast is served by the ordinary path
	RunWillBeLate     = "run_will_be_late"   // a run is expected to be ready after its deadline
	RunLate           = "run_late"           // a run is not ready at its deadline, or became ready after it
	ServerUnavailable = "server_unavailable" // units wait for a database or a Redis
	UnitStuck         = "unit_stuck"         // a unit stood still or ran too long and was taken over
	RunOvertime       = "run_overtime"       // a run takes too long
	CacheLost         = "cache_lost"         // a cache has lost what was written to it
	MemoryHigh        = "memory_high"        // a pod comes close to its memory limit
	GuardStop         = "guard_stop"         // a server is so unwell that all work has stopped
	PlanWentBad       = "plan_went_bad"      // a dataset's pages read far more rows than they return; the dataset is paused
	CeilingBinds      = "ceiling_binds"      // more slots are needed than can be used
	PodDied           = "pod_died"           // a pod's work was taken over
	AuditFailed       = "audit_failed"       // an audit found keys that are wrong and were not repaired
	AuditBroken       = "audit_broken"       // an audit could not be carried out
	DailyReport       = "daily_report"       // the summary of the day before
	BroadcastEnded    = "broadcast_ended"    // a broadcast ended before its run was ready
	FeedGap           = "feed_gap"           // changes were gone before they could be read
	RefreshLate       = "refresh_late"       // changed rows are not looked for when they should be
	FeedLacks         = "feed_lacks"         // a feed does not tell all changes
	RefreshFailed     = "refresh_failed"     // changed rows cannot be brought into the cache
	IntakeLate        = "intake_late"        // no broadcast was announced yet on a day, later than is usual of the weekday
	IntakeShort       = "intake_short"       // far fewer broadcasts were announced than is usual of the weekday
	IntakeEmpty       = "intake_empty"       // no broadcast was announced on a day on which there usually are some
)

// States of a run in which alerts stand.
var (
	open    = []string{"planned", "warming"}
	warming = []string{"warming"}
	failed  = []string{"failed"}
)

// lasting is how long alerts of a name stand.
type lasting struct {
	while []string // the run's states in which it may stand; nil: whatever the run does
	holds bool     // it is not raised again and again: it stands until the run has left these states or its broadcast is over
}

// kinds has every name. What does not hold is over when it was not raised for a while.
var kinds = map[string]lasting{
	Duplicate:         {},
	BadTask:           {},
	UnitFailed:        {while: open},
	RunFailed:         {while: failed, holds: true},
	RunWillBeLate:     {while: open},
	RunLate:           {while: open, holds: true},
	ServerUnavailable: {},
	UnitStuck:         {while: open},
	RunOvertime:       {while: warming, holds: true},
	CacheLost:         {while: open, holds: true},
	MemoryHigh:        {},
	GuardStop:         {},
	PlanWentBad:       {},
	CeilingBinds:      {},
	PodDied:           {},
	AuditFailed:       {},
	AuditBroken:       {},
	DailyReport:       {},
	BroadcastEnded:    {},
	RefreshLate:       {},
	FeedGap:           {},
	FeedLacks:         {},
	RefreshFailed:     {},
	IntakeLate:        {},
	IntakeShort:       {},
	IntakeEmpty:       {},
}

// Names are all of them, in order.
func Names() []string { return slices.Sorted(maps.Keys(kinds)) }
