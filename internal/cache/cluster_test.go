package cache

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// cluster is a Redis Cluster of private processes, each the master of its share of the slots.
func cluster(t *testing.T, size int) (nodes []*redis.Client, client redis.UniversalClient) {
	t.Helper()
	var addrs, buses []string
	for range size {
		bus := freePort(t) // the default, port + 10000, may not exist
		addrs = append(addrs, testenv.OwnRedis(t, "--cluster-enabled", "yes", "--cluster-port", bus).Addr)
		buses = append(buses, bus)
	}
	for i, addr := range addrs {
		node := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
		t.Cleanup(func() { require.NoError(t, node.Close()) })
		require.NoError(t, node.ClusterAddSlotsRange(t.Context(), i*slots/size, (i+1)*slots/size-1).Err())
		nodes = append(nodes, node)
	}
	for i, addr := range addrs[1:] {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		require.NoError(t, nodes[0].Do(t.Context(), "cluster", "meet", host, port, buses[i+1]).Err())
	}
	require.Eventually(t, func() bool { return settled(t.Context(), nodes) }, 30*time.Second, 20*time.Millisecond)
	client = openWith(t, config.Redis{URL: "redis://" + addrs[0], Cluster: true, Addrs: addrs[1:]})
	return nodes, client
}

// settled: every node serves and knows an owner of every slot.
func settled(ctx context.Context, nodes []*redis.Client) bool {
	for _, node := range nodes {
		info := node.ClusterInfo(ctx).Val()
		if !strings.Contains(info, "cluster_state:ok") ||
			!strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(nodes))) {
			return false
		}
	}
	return true
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func TestRedisCluster(t *testing.T) {
	t.Parallel()
	nodes, client := cluster(t, 3)

	conform(t, client)
	many(t, client, PieceCommands+7)
	for i, node := range nodes {
		require.Greater(t, node.DBSize(t.Context()).Val(), int64(PieceCommands/2), "node %d has its share", i)
	}
	f := NewFlags(client)
	require.NoError(t, f.SetReady(t.Context(), flag("b", time.Now().Add(time.Hour))))
	flags, err := f.MReady(t.Context(), []Pair{{"2", "b"}, {"1001", "b"}, {"3", "b"}})
	require.NoError(t, err)
	require.Nil(t, flags[0])
	require.Equal(t, int64(12), flags[1].Rows)

	keepsTheNewer(t, client, 0)
	leavesAloneWhatIsThere(t, client, 0)
	race(t, client, func(ctx context.Context) {
		for i := 0; ctx.Err() == nil; i++ {
			nodes[i%len(nodes)].ScriptFlush(ctx)
		}
	})

	moveSlot(t, nodes, "moved")
	for _, node := range nodes { // as one that took over and never saw a script
		require.NoError(t, node.ScriptFlush(t.Context()).Err())
	}
	b := *versioned(dataset.OrderNumber)
	put(&b, Set, "moved", "1")
	put(&b, ReplaceHash, "{moved}", "f", "v")
	putRow(&b, "{moved}:s", false, "5", "new")
	putRow(&b, "{moved}:s", false, "4", "old")
	putRow(&b, "{moved}:h", true, "5", "new")
	putRow(&b, "{moved}:h", true, "4", "old")
	require.NoError(t, New(client).Write(t.Context(), &b, later()), "a slot that moved is followed")
	require.Equal(t, "1", client.Get(t.Context(), "moved").Val())
	require.Equal(t, "new", tagOf(t, client, "{moved}:s", false))
	require.Equal(t, "new", tagOf(t, client, "{moved}:h", true))

	for _, node := range nodes { // one of three is full: only its keys fail
		require.NoError(t, node.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	}
	require.NoError(t, nodes[2].ConfigSet(t.Context(), "maxmemory", "1").Err())
	b.Reset()
	for i := range 300 {
		put(&b, Set, "full:"+strconv.Itoa(i), "v")
	}
	e := fail(t, client, &b)
	require.True(t, Definitive(e), e)
	require.Greater(t, e.Failed, 50)
	require.Less(t, e.Failed, 150)
	var written int64
	for i := range 300 {
		written += client.Exists(t.Context(), "full:"+strconv.Itoa(i)).Val()
	}
	require.Equal(t, int64(300-e.Failed), written)
}

// moveSlot hands the empty slot of a key from the node that has it to another one, without telling the client.
func moveSlot(t *testing.T, nodes []*redis.Client, key string) {
	t.Helper()
	slot := nodes[0].ClusterKeySlot(t.Context(), key).Val()
	owner := int(slot) * len(nodes) / slots
	heir := nodes[(owner+1)%len(nodes)]
	id := heir.ClusterMyID(t.Context()).Val()
	for _, node := range append([]*redis.Client{heir}, nodes...) {
		require.NoError(t, node.Do(t.Context(), "cluster", "setslot", slot, "node", id).Err())
	}
}
