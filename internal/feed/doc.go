// Package feed owns reading streams of changes, in order, by the pod that leads. How far a stream has been read is kept in
// the ledger together with the rows that were noted, in one transaction, so that nothing is left out and nothing depends on
// a message coming only once.
package feed
