package cache

import "time"

// Expiry is when keys expire: after the broadcast's end, spread so that they do not all expire at once.
type Expiry struct {
	Until  time.Time     // the keys are needed: the end of the broadcast, and how long they outlive it
	Jitter time.Duration // keys expire within this time after that; below a millisecond: all at once

	// Former are the times that the shop's keys may have been needed until before: for its other broadcasts, and for this one
	// before it moved. They are how the operations that leave the application's keys alone know prewarm's own: by an
	// expiry that is theirs to the millisecond.
	Former []time.Time
}

// At is Until + (FNV-1a of the key mod Jitter), in milliseconds. It depends on nothing else, so writing a key
// again does not move its expiry, and an audit can compute it. It is never before Until.
func (e Expiry) At(key []byte) time.Time { return time.UnixMilli(e.millis(key)) }

func (e Expiry) millis(key []byte) int64 { return e.millisFor(e.Until, key) }

func (e Expiry) millisFor(until time.Time, key []byte) int64 {
	at := until.UnixMilli()
	if until.Nanosecond()%int(time.Millisecond) > 0 {
		at++
	}
	if jitter := e.Jitter.Milliseconds(); jitter > 0 {
		at += int64(fnv1a(key) % uint64(jitter))
	}
	return at
}

// fnv1a is the 64-bit FNV-1a hash, as hash/fnv computes it, without an allocation per key.
func fnv1a(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
