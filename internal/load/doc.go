// Package load owns the page pipeline: one claimed unit is read from its source page by page, written to the cache, and
// its cursor moved, until the unit is done.
//
//	reader:    read rows ─────► read rows …                        (a read is encoded while the next comes, and one may wait)
//	sender:    encode them into page k+1 ► send it ► page k+2 …    (of several reads, or of a part of one)
//	answers:   page k is written ► renew lease
//	records:   cursor behind page k-1
//
// A page counts only when all its commands succeeded, and the cursor moves only then: after a crash at any point the
// page that was being written is written again, and nothing before it. What was read ahead is the only other work lost.
//
// What ends a unit early is told apart by its error: ErrHandBack (the unit is given back at a page's end: pause, drain, fewer slots), ledger.ErrFenced (somebody
// else has the unit), the cause of the lease's loss, and all others, of which Definitive says whether a retry can help.
package load
