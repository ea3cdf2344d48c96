// Package upkeep owns the work that is done once for the whole cluster, by the pod that leads: today the
// reconciliation of the ledger with the queue.
//
// The ledger is the truth. What the queue lacks is enqueued again; what it has too much of finds nothing to do there;
// the units of dead pods are taken over; and what a run's end should have done outside the ledger is done.
package upkeep
