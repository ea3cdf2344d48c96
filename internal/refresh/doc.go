// Package refresh owns that what is cached stays right: it takes in what is told of rows that changed, notes which rows that
// are, and has them read again; and it looks for changed rows by itself, on a schedule.
//
// What is told of a change says which row it is and never what it holds. The list of rows to read again is in the ledger,
// where each row stands once, so that a flood of changes is no more work than the rows it touches; whoever leads works on
// it. A row is on the list until it was read after its last change, so a pod that dies loses nothing.
package refresh
