// Package model plays evenings of the claim, lease, cursor and epoch protocol, by seed and in no time, and looks at every
// step for what must never be. It consists of tests only.
//
// # What is real
//
// All that decides: the handler of units (workers), the page pipeline and what follows a run's end (load), the leases
// (lease, redislock), the writer and the ready flags (cache), the intake, the reconciliation (upkeep) and the whole ledger
// on a SQLite database, with its own statements and schema. They run as they are, on several pods at once, in a bubble
// of testing/synctest, where time is virtual.
//
// # What is played
//
// The servers behind the drivers' seams (the queue's Redis, the cache's, the sources), asynq, the planner's few steps, the
// loops that internal/app has, and what happens. Every call to a server waits at a gate (world.gate) until the scheduler
// lets it go: nothing else ever runs, so a list of steps leads to the same evening each time. A ledger transaction is
// one step: the run's row that it locks first makes it one. Steps (steps_test.go) let calls go in any order, let them fail,
// lose their replies, serve them late, deliver tasks twice, late or never, kill, freeze and stop pods, flush the
// queue's Redis and the cache, edit rows, and announce, move, cancel, restart, retry, pause and resume. After the last step there are no
// more faults, and everything must come to rest.
//
// # What must hold
//
// The ghost (ghost_test.go) sees every row that the ledger changes and every command that Redis serves:
//   - a run that becomes ready has all of its units done and all of its rows in the cache, as new as when its epoch
//     began and for long enough, and its mark as long; and so it is at the end;
//   - cursors and claims never go back, epochs and states move as the ledger's diagrams say, older epochs stand still;
//   - a unit is claimed by its newest task only and written by its newest claim only, but for expiries that another carries;
//   - no run gets a shop's lease while another trusts it, and nobody writes without trust;
//   - an old row does not replace a newer one, unless it was read within the last seconds;
//   - a page is written again at most once per slot and fault;
//   - within a minute of the last fault every run has its verdict, every ready run its flag, and no other has one.
//
// What is found is shrunk to the fewest steps, and its trace printed. Mutations (mutation_test.go) break the protocol on
// purpose, in the ledger's own statements where they can, and each has to be found.
//
// # What it does not see
//
// Two transactions of the ledger at once (the ledger's own tests have them on MariaDB); a process that freezes between its
// last look at a page's age and the write itself, which may then put an old row over a newer one (`write: newer` is for
// that); clocks that differ; evictions; datasets that are read whole; and, in an evening whose queue was flushed, which of two runs' expiries wins: the lease is
// gone then and two runs of a shop may meet for a moment.
//
//	go test ./internal/model                                # some thousand evenings
//	go test ./internal/model -model.seeds 100000 -timeout 0 # or PREWARM_MODEL_SEEDS=100000; 5 minutes on two processors
//	go test ./internal/model -v -run EndsWell -model.first 42 -model.seeds 1 -model.trace
package model
