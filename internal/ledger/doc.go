// Package ledger owns the truth about the work: requests, runs, units, rejects and the pods that work on them, in MySQL
// or MariaDB. A queue that was lost is refilled from here, and a task that comes twice, late or from last week finds
// here that there is nothing to do.
//
// # Runs
//
//	             ┌────────── restart (epoch+1) ◄───────────┐
//	             ▼                                         │
//	planned ──first claim──► warming ──last unit done──► ready
//	   │                        │ ▲                        │
//	   │         a unit failed, │ │ retry                  │
//	   │         none left open ▼ │                        │
//	   └──────────────────────► failed ──────────────────► cancelled
//
//	ready ──the cache has lost some of it──► warming
//
//	skipped: a small shop; announced again as a big one it becomes planned.
//
// # Units
//
//	waiting ──claim (claim+1)──► running ──last page──► done
//	   ▲                           │  │
//	   └──error, attempts left;────┘  └──error, none left──► failed ──retry──► waiting
//	      hand-back; take-over (claim+1)
//
// Any unit, but a cancelled one, goes back to waiting and to its beginning when the cache has lost what it had written
// (claim+1). A unit that waits may be paused: a row of `switches` that covers it. That is no state: the claim refuses
// nothing, but nobody makes tasks for it, handlers drop those there are, and pods stop what they have in hand.
//
// # Rules
//
//   - Every move is compare-and-set, and its affected rows are checked.
//   - A claim carries the unit's claim number, which grows with each claim and each take-over: the fence. Every later
//     write of the claim (cursor, done, failed, hand-back) names it and is refused with ErrFenced when it is not the
//     newest. Cancelling and restarting take the units out of `running`, which fences their claims too.
//   - Cursor and counts are written in one statement, as absolute values: a repeat after a lost reply changes nothing.
//   - A transaction locks the run's row before any of its units, so that the last unit to finish is known to be the
//     last (and so that no two transactions wait for each other).
//   - Times are the database's, never a pod's: pods' clocks may differ. The exceptions are times that upstream names.
//   - An attempt is counted at the claim, and given back when the unit is handed back: on a drain, a pause, the loss of the
//     lease, or while a server is away. Failing and being taken over count.
//   - What happened is written into `events` by the transaction that did it; units that simply go well leave none.
//   - The units of a plan are written in one transaction together with runs.planned_us, which is set only once per
//     epoch: a plan that was interrupted was never there, and a second planner's plan is dropped.
package ledger
