package upkeep_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/internal/upkeep"
)

// inTwo puts the bench's unit 1 into a second cache, loads all, and empties that cache when asked.
func inTwo(t *testing.T) (b *bench, nodes *[]redisconn.Node, flushBig func()) {
	t.Helper()
	b = newBench(t)
	_, err := b.Ledger.DB().ExecContext(t.Context(), "UPDATE units SET cache_name = 'big' WHERE unit = 1")
	require.NoError(t, err)
	client, err := redisconn.Open(t.Context(), "caches.big", config.Redis{URL: testenv.Redis(t).URL})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	nodes = &[]redisconn.Node{}
	b.big = cache.New(client)
	b.Caches["big"] = upkeep.Cache{Stamps: b.big, Nodes: func(context.Context) ([]redisconn.Node, error) { return *nodes, nil }}
	b.loaded()
	b.once()
	require.Equal(t, ledger.RunReady, b.state())
	return b, nodes, func() { require.NoError(t, client.FlushDB(context.Background()).Err()) }
}

func (b *bench) states() (all []ledger.UnitState) {
	for i := range 3 {
		all = append(all, b.unit(i).State)
	}
	return all
}

func TestOnlyTheUnitsOfTheCacheThatLostThemAreLoadedAgain(t *testing.T) {
	t.Parallel()
	b, nodes, flushBig := inTwo(t)
	flushBig()
	b.once()
	require.Equal(t, []ledger.UnitState{"done", "waiting", "done"}, b.states())
	b.loadedAgain(1)
	require.Equal(t, ledger.RunReady, b.state())

	*nodes = []redisconn.Node{{Addr: "a", Start: "x", Evicted: 5}}
	b.once()
	require.Equal(t, ledger.RunReady, b.state(), "what was evicted before it was first seen is not known")
	*nodes = []redisconn.Node{{Addr: "a", Start: "x", Evicted: 6}}
	b.once()
	require.Equal(t, []ledger.UnitState{"done", "waiting", "done"}, b.states())
}

func TestALossInTwoCachesIsOneLoss(t *testing.T) {
	t.Parallel()
	b, _, flushBig := inTwo(t)
	flushBig()
	b.flush()
	b.once()
	require.Equal(t, []ledger.UnitState{"waiting", "waiting", "waiting"}, b.states())
	run, err := b.Ledger.Run(t.Context(), b.run.ID)
	require.NoError(t, err)
	losses, err := b.Ledger.Losses(t.Context(), run)
	require.NoError(t, err)
	require.Equal(t, 1, losses)
}

func TestACacheThatDoesNotAnswerOrIsNotThereKeepsNoOtherFromBeingLookedAt(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for what, change := range map[string]func(*bench) error{
		"away": func(b *bench) error {
			b.Caches["big"] = upkeep.Cache{Stamps: b.big, Nodes: func(context.Context) ([]redisconn.Node, error) { return nil, away }}
			return away
		},
		"not in the configuration": func(b *bench) error {
			delete(b.Caches, "big")
			return nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b, _, flushBig := inTwo(t)
			want := change(b)
			flushBig()
			b.flush()
			err := b.Once(t.Context())
			require.Error(t, err)
			var unknown *cache.UnknownError
			if want != nil {
				require.ErrorIs(t, err, want)
			} else {
				require.ErrorAs(t, err, &unknown)
				require.Equal(t, cache.UnknownError{Name: "big", Known: []string{"main"}}, *unknown)
			}
			require.Equal(t, []ledger.UnitState{"waiting", "done", "waiting"}, b.states())
		})
	}
}
