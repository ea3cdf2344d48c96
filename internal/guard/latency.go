package guard

import (
	"context"
	"errors"
	"math"
	"time"
)

// A latency is looked at some times, spread over a third of a second, and the fastest counts. What a server makes everybody wait, no look
// is without; what single looks wait for is often a processor on our own side: on a full or a shared machine that takes ten times as long
// as the answer, and keeps back what is asked within the next milliseconds too.
const (
	looks      = 8
	looksApart = 40 * time.Millisecond
	// looksCost is how long all looks together may take, but for the last: what is slow, or dear, is not asked for again and again.
	looksCost = 0.05
)

// latency is the time of what is asked, in seconds; ask says how long it took, as far as it knows better than the clock. A look that has not come back when ctx ends is a reading (it took at least that
// long), not an error.
func latency(ctx context.Context, ask func(context.Context) (time.Duration, error)) (float64, error) {
	fastest, spent := math.Inf(1), 0.0
	tick := time.NewTicker(looksApart)
	defer tick.Stop()
	for n := 0; n < looks && spent < looksCost; n++ {
		asked := time.Now()
		better, err := ask(ctx)
		took := time.Since(asked).Seconds()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			if n == 0 {
				return took, nil
			}
			return fastest, nil
		}
		if err != nil {
			return 0, err
		}
		spent += took
		if better > 0 {
			took = min(took, better.Seconds())
		}
		fastest = min(fastest, took)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fastest, nil
		}
	}
	return fastest, nil
}
