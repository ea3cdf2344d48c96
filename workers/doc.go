// Package workers is the asynq side of a pod: the slots, the small server for requests and plans, and a file per handler.
//
// A slot is one asynq server of Concurrency 1; all slots share one Redis client. asynq fixes a server's Concurrency when
// it starts, and a semaphore inside the handlers would claim tasks that it does not work on, so the width of a pod is
// the number of its slots.
//
// No handler trusts a task: it carries a run, a unit and an epoch, and the ledger says whether there is anything to do.
package workers
