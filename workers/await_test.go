package workers

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/load"
)

func TestASlotThatIsHeldBeginsAtOnceWhenItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		h := &LoadHandler{Drain: make(chan struct{}), Hold: func() string {
			if time.Since(began) < 3*time.Second {
				return "paused"
			}
			return ""
		}}
		require.NoError(t, h.await(t.Context(), beginWithin, nil))
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestASlotDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	paused := &atomic.Pointer[string]{}
	why := "run r is paused"
	drained, held := make(chan struct{}), func() string { return "the guard says stop" }
	close(drained)
	for name, c := range map[string]struct {
		over   bool
		drain  chan struct{}
		paused string
		after  time.Duration
		says   string
	}{
		"held for long": {false, nil, "", beginWithin, "the guard says stop"},
		"the pod stops": {false, drained, "", 0, "the pod is being stopped"},
		"its run stops": {false, nil, why, 0, why},
		"it is over":    {true, nil, "", 0, context.DeadlineExceeded.Error()},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, began := &LoadHandler{Drain: c.drain, Hold: held}, time.Now()
			paused.Store(nil)
			ctx, end := context.WithCancelCause(t.Context()) // a bubble's time stands still for channels from outside it
			defer end(nil)
			if c.over {
				end(context.DeadlineExceeded)
			}
			if c.paused != "" {
				paused.Store(&c.paused)
			}
			err := h.await(ctx, beginWithin, paused)
			require.ErrorContains(t, err, c.says, name)
			require.Equal(t, c.after, time.Since(began), name)
			if !c.over {
				require.ErrorIs(t, err, load.ErrHandBack, name)
			}
		})
	}
}
