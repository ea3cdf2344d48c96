// Package plan turns an accepted run into units in the ledger and tasks in the queue, and answers what intake must know
// of a shop before it accepts one.
//
// A plan is the run's small datasets, one unit each, and the key ranges of its big ones, cut by reading the index only.
// It is written in one transaction, once per epoch: two planners may work on one run, and the plan of the second is
// dropped. Whoever finds a plan whose tasks are missing (a planner died behind its commit) enqueues them from the ledger.
package plan
