package alert

// Names of the alerts that are raised; metrics and runbooks use them.
const (
	Duplicate         = "duplicate_request"  // a broadcast was announced again while its run is planned, warming or ready
	BadTask           = "bad_task"           // a task's payload is not understood; it is archived
	UnitFailed        = "unit_failed"        // an attempt at a unit failed
	RunFailed         = "run_failed"         // a run has failed; its broadcast is served by the ordinary path
	RunLate           = "run_late"           // a run became ready after its deadline
	ServerUnavailable = "server_unavailable" // units wait for a database or a Redis
	UnitStuck         = "unit_stuck"         // a unit stood still or ran too long and was taken over
	RunOvertime       = "run_overtime"       // a run takes too long
	CacheLost         = "cache_lost"         // a cache has lost what was written to it
	MemoryHigh        = "memory_high"        // a pod comes close to its memory limit
	GuardStop         = "guard_stop"         // a server is so unwell that all work has stopped
	PlanWentBad       = "plan_went_bad"      // a dataset's pages read far more rows than they return; the dataset is paused
	CeilingBinds      = "ceiling_binds"      // more slots are needed than can be used
	PodDied           = "pod_died"           // a pod's work was taken over
	BroadcastEnded    = "broadcast_ended"    // a broadcast ended before its run was ready
)
