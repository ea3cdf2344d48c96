package alert

// Names of the alerts that are raised; metrics and runbooks use them.
const (
	Duplicate      = "duplicate_request" // a broadcast was announced again while its run is planned, warming or ready
	BadTask        = "bad_task"          // a task's payload is not understood; it is archived
	UnitFailed     = "unit_failed"       // an attempt at a unit failed
	RunFailed      = "run_failed"        // a run has failed; its broadcast is served by the ordinary path
	RunLate        = "run_late"          // a run became ready after its deadline
	PodDied        = "pod_died"          // a pod's work was taken over
	BroadcastEnded = "broadcast_ended"   // a broadcast ended before its run was ready
)
