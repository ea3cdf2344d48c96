package guard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheFastestLookCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, better := 0, time.Duration(0)
		ask := func(times ...time.Duration) func(context.Context) (time.Duration, error) {
			n = 0
			return func(ctx context.Context) (time.Duration, error) {
				wait := times[min(n, len(times)-1)]
				n++
				select {
				case <-time.After(wait):
					return better, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
		}
		const ms = time.Millisecond
		look := func(times ...time.Duration) float64 {
			ctx, cancel := context.WithTimeout(t.Context(), ReadTime)
			defer cancel()
			took, err := latency(ctx, ask(times...))
			require.NoError(t, err)
			return took
		}
		require.InDelta(t, 0.001, look(10*ms, 2*ms, 1*ms, 5*ms, 3*ms), 1e-9, "what single looks waited for was not the server")
		require.Equal(t, looks, n)
		require.InDelta(t, 0.015, look(15*ms), 1e-9, "what all have waited for was")
		require.Equal(t, 4, n)
		require.InDelta(t, 0.3, look(300*ms), 1e-9)
		require.Equal(t, 1, n, "what is dear is asked once")
		require.InDelta(t, 0.04, look(40*ms, time.Hour), 1e-9, "the second has not come back")
		require.InDelta(t, 1, look(time.Hour), 1e-9, "what has not come back is a reading")

		better = 2 * ms
		require.InDelta(t, 0.002, look(15*ms), 1e-9, "it was there and waited for us")
		require.Equal(t, 4, n)
		better = time.Hour
		require.InDelta(t, 0.015, look(15*ms), 1e-9)

		broken := errors.New("no route")
		_, err := latency(t.Context(), func(context.Context) (time.Duration, error) { return 0, broken })
		require.ErrorIs(t, err, broken)
	})
}
