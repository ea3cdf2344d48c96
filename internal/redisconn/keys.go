package redisconn

import (
	"strconv"
	"strings"
)

// Own begins the keys that prewarm keeps for itself, on the queue's and on the cache's Redis.
const Own = "prewarm:"

// LeaderKey is the lock of the one process that leads.
const LeaderKey = Own + "leader"

// WidthKey is what the leader has decided about the width.
const WidthKey = Own + "width"

// FeltKey is what a pod's own work tells of the servers.
func FeltKey(pod string) string { return Own + "felt:" + pod }

// shopText keeps a shop id from ending the hash tag it stands in: two different ids must never make the same key.
var shopText = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// LeaseKey is the lock of the run that warms a shop.
func LeaseKey(shop string) string { return Own + "{" + shopText.Replace(shop) + "}:lease" }

// ReadyKey is the flag of a shop that is warm for a broadcast.
func ReadyKey(shop, broadcast string) string {
	return Own + "{" + shopText.Replace(shop) + "}:ready:" + broadcast
}

// MarkKey is what vouches for a run's epoch on the cache's node that has a hash tag's slot.
func MarkKey(tag, run string, epoch int) string {
	return Own + "{" + tag + "}:mark:" + run + "." + strconv.Itoa(epoch)
}

// ChangedKey is what keys of a shop's dataset have changed lately, on the cache.
func ChangedKey(shop, dataset string) string {
	return Own + "{" + shopText.Replace(shop) + "}:changed:" + dataset
}
