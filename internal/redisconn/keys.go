package redisconn

import "strings"

// LeaderKey is the lock of the one process that leads.
const LeaderKey = "prewarm:leader"

// shopText keeps a shop id from ending the hash tag it stands in: two different ids must never make the same key.
var shopText = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// LeaseKey is the lock of the run that warms a shop.
func LeaseKey(shop string) string { return "prewarm:{" + shopText.Replace(shop) + "}:lease" }

// ReadyKey is the flag of a shop that is warm for a broadcast.
func ReadyKey(shop, broadcast string) string {
	return "prewarm:{" + shopText.Replace(shop) + "}:ready:" + broadcast
}
