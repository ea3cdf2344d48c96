package pace

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
)

func TestSharesAddUpToTheWidth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := config.Width{Min: rapid.IntRange(1, 40).Draw(t, "min")}
		w.Max = w.Min + rapid.IntRange(0, 40).Draw(t, "max")
		w.MaxPerPod = rapid.IntRange(1, 40).Draw(t, "per pod")
		pods := make([]string, rapid.IntRange(1, 12).Draw(t, "pods"))
		for i := range pods {
			pods[i] = fmt.Sprint("pod-", i)
		}
		sum := 0
		for _, p := range pods {
			d := Decide(w, pods, p)
			require.NotEmpty(t, d.Reason)
			require.GreaterOrEqual(t, d.Share, 1)
			require.LessOrEqual(t, d.Share, w.MaxPerPod)
			require.LessOrEqual(t, d.Width, w.Max)
			sum += d.Share
		}
		width := Decide(w, pods, pods[0]).Width
		require.Equal(t, max(width, len(pods)), sum, "shares are the width, but for pods that keep one slot")
	})
}

func TestAPodCountsItselfIn(t *testing.T) {
	d := Decide(config.Width{Min: 1, Max: 64, MaxPerPod: 32}, nil, "me")
	require.Equal(t, Decision{Width: 4, Share: 4, Pods: 1, Reason: "fixed at 4 within 1..64"}, d)
}
