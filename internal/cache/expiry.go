package cache

import "time"

// Expiry is when keys expire: after the broadcast's end, spread so that they do not all expire at once.
type Expiry struct {
	EndsAt time.Time     // of the broadcast
	After  time.Duration // how long keys outlive it
	Jitter time.Duration // keys expire within this time after that; below a millisecond: all at once

	// Former are the ends that the shop's keys may have been written for before: of its other broadcasts, and of this one
	// before it moved. They are how the operations that leave the application's keys alone know prewarm's own: by an
	// expiry that is theirs to the millisecond.
	Former []time.Time
}

// At is EndsAt + After + (FNV-1a of the key mod Jitter), in milliseconds. It depends on nothing else, so writing a key
// again does not move its expiry, and an audit can compute it. It is never before EndsAt + After.
func (e Expiry) At(key []byte) time.Time { return time.UnixMilli(e.millis(key)) }

func (e Expiry) millis(key []byte) int64 { return e.millisFor(e.EndsAt, key) }

func (e Expiry) millisFor(end time.Time, key []byte) int64 {
	base := end.Add(e.After)
	at := base.UnixMilli()
	if base.Nanosecond()%int(time.Millisecond) > 0 {
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
