// Package pace owns how many slots the cluster uses, the width, and how the pods divide it among themselves.
//
// The decisions are pure: Need (what the deadlines ask for), Next (the width from the need, the guard and the bounds),
// Schedule (when runs begin), Judge (what will become of them), Shares (each pod's part). Loop is the leader's: it reads
// the ledger and the signals, decides every Tick, and publishes. Pods follow what they hear.
package pace
