// Package lease owns who may warm a shop and who leads, by redislock on the queue's Redis. It does not fence: a process
// that was frozen may write for a moment after its lease went to another, so every claim of a unit carries the ledger's
// own number, which does.
//
// # A shop's lease
//
// The lock is the shop's, its token the run's id: all slots of a run, in whatever process, join the same lock, and one
// run at a time warms a shop.
//
//	          Join                    Renew
//	free ────────────▶ held by run ◀───────┐
//	 ▲                  │    │   └─────────┘
//	 │ Release, or TTL  │    │ lapsed or flushed: taken again if it is still free
//	 └──────────────────┘    │ another run has it, or no renewal for TTL - margin
//	                         ▼
//	                 lost: Hold.Context is cancelled with ErrLost
//
// Rules:
//   - A process trusts its lease from the start of the last successful call until TTL less a margin. A call that
//     fails for another reason than the lock's own changes nothing: there are minutes left to try again.
//   - In one process a run's slots share one renewal, at most one a second.
//   - Leave gives nothing back: another slot, here or elsewhere, may be at work. Release is for whoever ends the run.
//
// # Leading
//
//	campaign ──obtained──▶ term ──renewed every 5 s──▶ term
//	   ▲                     │
//	   └──── term's context is cancelled; its function has returned ◀── lock lost, not renewed in time, or Run's end
package lease
