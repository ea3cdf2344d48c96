package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// published is what the pods can hear of the width now.
func (c *cluster) published() (p pace.Published) {
	c.t.Helper()
	text, err := c.queue.Get(c.t.Context(), redisconn.WidthKey).Bytes()
	require.NoError(c.t, err)
	require.NoError(c.t, json.Unmarshal(text, &p))
	return p
}

func TestALeaderThatDoesNotKnowItIsOneNoMoreIsNotBelieved(t *testing.T) {
	t.Parallel()
	c := newCluster(t) // width.min is 4
	pods := []*pod{c.serve(), c.serve()}
	c.shared(soon, 4, 2)
	first := c.published()
	old := first
	old.Term, old.At = first.Term-1, first.At.Add(time.Hour)
	old.Result.Width, old.Result.Paused = 8, true
	text, err := json.Marshal(old)
	require.NoError(t, err)
	said := 0
	c.until(soon, "the leader has decided for a while, and the old one has contradicted it", func() bool {
		is := c.published()
		require.NoError(t, c.queue.Set(t.Context(), redisconn.WidthKey, text, time.Minute).Err())
		said++
		sum, _ := c.slots()
		require.LessOrEqual(t, sum, 4)
		for _, p := range pods {
			_, heard := p.ask(t, "GET", "/v1/width", nil)
			require.Equal(t, false, heard["paused"], "as the old one says")
		}
		return is.Term == first.Term && is.At.Sub(first.At) >= 3*pace.Tick && said > 10
	})
	c.until(soon, "what the leader says stands", func() bool { return c.published().Term == first.Term })
	c.shared(soon, 4, 2)
}

func TestOfTwoLeadersForAMomentTheNewerDecides(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.serve()
	c.serve()
	c.shared(soon, 4, 2)
	first := c.published()
	require.EqualValues(t, 1, c.queue.Del(t.Context(), redisconn.LeaderKey).Val(), "the one that leads thinks so until it renews its lock")
	c.until(soon, "another term", func() bool {
		sum, _ := c.slots()
		require.LessOrEqual(t, sum, 4)
		return c.published().Term > first.Term
	})
	next := c.published()
	require.Len(t, next.Pods, 2)
	require.Equal(t, first.Result.Width, next.Result.Width)
	c.until(soon, "and it stays", func() bool { return c.published().At.Sub(next.At) >= 3*pace.Tick })
	require.Equal(t, next.Term, c.published().Term)
	c.shared(soon, 4, 2)
}
