package cache

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// stamped writes a page of one key and its stamp.
func stamped(t *testing.T, w *Writer, unit int, value, known int64) error {
	t.Helper()
	b := &Batch{Stamp: &Stamp{RunMark: RunMark{Run: "r", Epoch: 1}, Unit: unit, Value: value, Known: known}}
	b.Begin(Set)
	b.Buf = append(b.Buf, "key"...)
	b.EndArg()
	b.Buf = fmt.Appendf(b.Buf, "%d", value)
	b.EndArg()
	b.End()
	return w.Write(t.Context(), b, Expiry{Until: time.Now().Add(time.Hour)})
}

func TestAStampVouchesForThePagesBeforeIt(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	w := New(client)
	require.NoError(t, stamped(t, w, 7, StampValue(1, 1), 0))
	require.NoError(t, stamped(t, w, 7, StampValue(1, 2), StampValue(1, 1)))
	require.NoError(t, stamped(t, w, 7, StampValue(1, 2), StampValue(1, 1)), "a page that is written again")
	stamps, err := w.Stamps(t.Context(), []RunMark{{"r", 1}, {"none", 1}})
	require.NoError(t, err)
	require.Equal(t, []map[int]int64{{7: StampValue(1, 2)}, {}}, stamps)
	require.WithinDuration(t, time.Now().Add(time.Hour), time.UnixMilli(client.PExpireTime(t.Context(), RunMark{"r", 1}.key("18")).Val().Milliseconds()), time.Minute)

	// A page that a fenced writer sent too late takes the stamp back, which the next page and the reconciliation see.
	require.NoError(t, stamped(t, w, 7, StampValue(2, 3), StampValue(1, 2)))
	require.NoError(t, stamped(t, w, 7, StampValue(1, 3), StampValue(1, 2)))
	var lost *LostError
	require.ErrorAs(t, stamped(t, w, 7, StampValue(2, 4), StampValue(2, 3)), &lost)
	require.Equal(t, StampValue(1, 3), lost.Have)

	require.NoError(t, client.FlushDB(t.Context()).Err())
	require.ErrorAs(t, stamped(t, w, 7, StampValue(2, 4), StampValue(2, 3)), &lost)
	require.Zero(t, lost.Have)
	stamps, err = w.Stamps(t.Context(), []RunMark{{"r", 1}})
	require.NoError(t, err)
	require.Empty(t, stamps[0], "the proof of the loss stays")
	require.NoError(t, stamped(t, w, 7, StampValue(3, 1), 0), "begun anew")
}

func TestAMarkIsKeptOnEveryNodeAndNeverMade(t *testing.T) {
	t.Parallel()
	_, cluster := cluster(t, 3)
	for name, client := range map[string]redis.UniversalClient{"redis": open(t, testenv.Redis(t).URL), "cluster": cluster} {
		w, kept := New(client), Expiry{Until: time.Now().Add(5 * time.Hour)}
		require.NoError(t, stamped(t, w, 7, StampValue(1, 1), 0), name)
		require.NoError(t, w.Keep(t.Context(), RunMark{"r", 1}, kept), name)
		require.NoError(t, w.Keep(t.Context(), RunMark{"r", 2}, kept), name)
		for _, tag := range w.tags() {
			at, err := client.PExpireTime(t.Context(), RunMark{"r", 1}.key(tag)).Result()
			require.NoError(t, err)
			require.Equal(t, kept.Until.UnixMilli(), at.Milliseconds(), name)
			require.Zero(t, client.Exists(t.Context(), RunMark{"r", 2}.key(tag)).Val(), name)
		}
	}
}

func TestTagsLieOverAllSlots(t *testing.T) {
	t.Parallel()
	nodes, client := cluster(t, 3)
	for i, tag := range clusterTags {
		slot := nodes[0].ClusterKeySlot(t.Context(), RunMark{"r", 1}.key(tag)).Val()
		require.EqualValues(t, i, slot/1024, tag)
	}
	w := New(client)
	require.NoError(t, stamped(t, w, 0, 5, 0))
	stamps, err := w.Stamps(t.Context(), []RunMark{{"r", 1}})
	require.NoError(t, err)
	require.Equal(t, map[int]int64{0: 5}, stamps[0])
	for _, node := range nodes {
		require.GreaterOrEqual(t, node.DBSize(t.Context()).Val(), int64(5), "every node is marked")
	}
	require.NoError(t, client.Del(t.Context(), RunMark{"r", 1}.key("106")).Err())
	stamps, err = w.Stamps(t.Context(), []RunMark{{"r", 1}})
	require.NoError(t, err)
	require.Empty(t, stamps[0], "one node has lost it")
}
