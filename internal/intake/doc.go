// Package intake is the one way in: a request that came by asynq, HTTP or the command line becomes outcomes, one per
// broadcast, and accepted broadcasts become runs in the ledger and plan tasks in the queue.
//
// What it decides is in decide.go, purely; intake.go asks the flags, the ledger and the sources, and acts.
package intake
