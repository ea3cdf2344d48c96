package cache

import (
	"hash/fnv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestExpiryLiesBetweenUntilAndTheJitterAboveIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := Expiry{
			Until:  time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "until")),
			Jitter: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "jitter")),
		}
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		at := e.At(key)
		require.False(t, at.Before(e.Until))
		require.False(t, at.After(e.Until.Add(max(e.Jitter, time.Millisecond))))
		require.Equal(t, at, e.At(key))
	})
}

func TestExpiryIsStableForEverybodyWhoComputesIt(t *testing.T) {
	t.Parallel()
	e := Expiry{Until: time.UnixMilli(1_700_001_800_000), Jitter: 10 * time.Minute}
	for _, key := range []string{"", "user:1001:1", "shop:1001"} {
		h := fnv.New64a()
		_, _ = h.Write([]byte(key))
		require.Equal(t, int64(1_700_000_000_000+1_800_000)+int64(h.Sum64()%600_000), e.At([]byte(key)).UnixMilli())
	}
	require.Equal(t, int64(1_700_002_220_623), e.At([]byte("user:1001:1")).UnixMilli(), "keys already written would move")
}

func TestKeysInARowExpireFarApart(t *testing.T) {
	t.Parallel()
	e := Expiry{Until: time.UnixMilli(0), Jitter: 10 * time.Minute}
	const keys, minutes = 10_000, 10
	var perMinute [minutes]int
	for i := range keys {
		perMinute[e.At([]byte("user:1001:"+time.UnixMilli(int64(i)).String())).UnixMilli()/60_000]++
	}
	for _, n := range perMinute {
		require.InDelta(t, keys/minutes, n, keys/minutes/5)
	}
}
