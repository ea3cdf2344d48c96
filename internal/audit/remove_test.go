package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// more are datasets whose keys are told in other ways, or not at all.
var more = append(slices.Clone(specs),
	dataset.Spec{Name: "card", Query: "SELECT id, name FROM shops WHERE id = :shop", Key: "card:{id}", Value: dataset.ValueJSON},
	dataset.Spec{Name: "renamed", Query: "SELECT id + 1 AS id, name FROM shops WHERE id = :shop", Key: "next:{id}", Value: dataset.ValueJSON},
	dataset.Spec{Name: "each", Query: "SELECT id, name FROM staff WHERE shop_id = :shop", Key: "member:{id}", Value: dataset.ValueJSON},
	dataset.Spec{Name: "bare", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "nick"}, Key: "bare:{shop}:{nick}:{user_id}", Value: dataset.ValueJSON},
	dataset.Spec{Name: "shared", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "nick"}, Key: "shared:{shop}:{user_id}",
		Value: dataset.ValueJSON, Write: dataset.WriteMissing},
)

func remover(t *testing.T, p *place) *audit.Remover {
	t.Helper()
	store, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 4})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	r := &audit.Remover{Ledger: store, Caches: []redis.UniversalClient{p.redis}, Owner: "pod-a", Log: slog.New(slog.DiscardHandler)}
	for _, b := range p.bound {
		r.Datasets = append(r.Datasets, b)
	}
	return r
}

func (p *place) put(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		require.NoError(t, p.redis.Set(t.Context(), key, "x", 0).Err())
	}
}

func all(t *testing.T, c redis.UniversalClient) []string {
	t.Helper()
	keys := c.Keys(t.Context(), "*").Val()
	slices.Sort(keys)
	return keys
}

func TestOnlyKeysThatAreTheShopsForSureAreRemoved(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.OwnRedis(t).URL, more)
	r := remover(t, p)
	var gone []string
	for i := range 2500 {
		gone = append(gone, fmt.Sprintf("user:1001:%d", i), fmt.Sprintf("product:1001:%d", -i-1))
	}
	p.put(t, append(gone, "shop:1001", "shop:1001:staff", "shop:1001:roles", "card:1001")...)
	stay := []string{"bare:1001:ann:7", "card:10011", "card:1001:x", "member:1001", "next:1001", "prewarm:{1001}:mark:x", "product:10011:1", "shared:1001:7", "shop:10011", "shop:10011:staff",
		"shop:1001:cart", "user:100:1", "user:1001", "user:1001:", "user:1001:007", "user:1001:7:cart", "user:1001:ann", "user:10011:1", "xuser:1001:1"}
	slices.Sort(stay)
	p.put(t, stay...)
	_, err := r.Ledger.SetShop(t.Context(), "1001", 0, ledger.Settings{Off: true, Keys: ledger.KeysRemove}, ledger.By{Who: "ann"})
	require.NoError(t, err)
	for range 2 { // the second pass finds nothing
		require.NoError(t, r.Once(t.Context()))
	}
	require.Equal(t, stay, all(t, p.redis))
	is, err := r.Ledger.Removal(t.Context(), "1001")
	require.NoError(t, err)
	require.Equal(t, ledger.RemovalDone, is.State)
	require.EqualValues(t, 5004, is.Removed)
	why := map[string]string{}
	for _, l := range is.Left {
		why[l.Dataset] = l.Why
	}
	require.Len(t, why, 4)
	require.Contains(t, why["shared"], "write: missing")
	require.Contains(t, why["bare"], "cannot be told from others'")
	require.Contains(t, why["each"], "without reading it")
	require.Contains(t, why["renamed"], "without reading it")
}

func TestARemovalIsCarriedOnAfterItsPodDiedAndWaitsForTheGuard(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.OwnRedis(t).URL, specs)
	r := remover(t, p)
	for i := range 3000 {
		p.put(t, fmt.Sprintf("user:1001:%d", i))
	}
	_, err := r.Ledger.SetShop(t.Context(), "1001", 0, ledger.Settings{Off: true, Keys: ledger.KeysRemove}, ledger.By{Who: "ann"})
	require.NoError(t, err)
	crash := errors.New("the guard says stop")
	looks := 0
	r.Proceed = func(context.Context, string, string) error {
		if looks++; looks > 2 {
			return crash
		}
		return nil
	}
	require.ErrorIs(t, r.Once(t.Context()), crash)
	is, err := r.Ledger.Removal(t.Context(), "1001")
	require.NoError(t, err)
	require.Equal(t, ledger.RemovalWaiting, is.State)
	require.Contains(t, is.LastError, "the guard says stop")
	looks = 0
	before := is.Removed
	require.NoError(t, r.Once(t.Context()), "the same is said once")
	is, err = r.Ledger.Removal(t.Context(), "1001")
	require.NoError(t, err)
	require.GreaterOrEqual(t, is.Removed, before)

	other := *r
	other.Owner, other.Proceed = "pod-b", nil
	for is.State != ledger.RemovalDone {
		require.NoError(t, other.Once(t.Context()))
		is, err = r.Ledger.Removal(t.Context(), "1001")
		require.NoError(t, err)
	}
	require.Empty(t, all(t, p.redis))
	require.EqualValues(t, 3000, is.Removed)
	require.Empty(t, is.LastError)
}

func TestACacheThatIsAwayKeepsNoOtherFromBeingCleared(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.OwnRedis(t).URL, specs)
	r := remover(t, p)
	p.put(t, "user:1001:1", "user:1001:2")
	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, away.Close()) })
	r.Caches = []redis.UniversalClient{away, p.redis}
	_, err := r.Ledger.SetShop(t.Context(), "1001", 0, ledger.Settings{Off: true, Keys: ledger.KeysRemove}, ledger.By{Who: "ann"})
	require.NoError(t, err)
	require.ErrorContains(t, r.Once(t.Context()), "127.0.0.1:1")
	require.Empty(t, all(t, p.redis))
	require.NoError(t, r.Once(t.Context()), "the same is said once")
	is, err := r.Ledger.Removal(t.Context(), "1001")
	require.NoError(t, err)
	require.Equal(t, ledger.RemovalWaiting, is.State, "that cache may hold keys of the shop")
	r.Caches = r.Caches[1:]
	require.NoError(t, r.Once(t.Context()))
	is, err = r.Ledger.Removal(t.Context(), "1001")
	require.NoError(t, err)
	require.Equal(t, ledger.RemovalDone, is.State)
}

func TestKeysThatMayBeAnotherShopsAreLeftAndTold(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.OwnRedis(t).URL, []dataset.Spec{
		{Name: "names", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "nick"}, Key: "name:{shop}:{user_id}:{nick}", Value: dataset.ValueJSON},
	})
	r := remover(t, p)
	p.put(t, "name:1001:1:ann", "name:1001:2:b:ob", "name:1001:3:e:ve")
	_, err := r.Ledger.SetShop(t.Context(), "1001", 0, ledger.Settings{Off: true, Keys: ledger.KeysRemove}, ledger.By{Who: "ann"})
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, r.Once(t.Context()))
	}
	require.Equal(t, []string{"name:1001:2:b:ob", "name:1001:3:e:ve"}, all(t, p.redis))
	is, err := r.Ledger.Removal(t.Context(), "1001")
	require.NoError(t, err)
	require.Equal(t, ledger.RemovalDone, is.State)
	require.Len(t, is.Left, 1)
	require.Equal(t, "names", is.Left[0].Dataset)
	require.Contains(t, is.Left[0].Why, "2 keys may be another shop's")
}

func TestNoKeyIsRemovedOfAShopThatIsBeingSwitchedOn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.OwnRedis(t).URL, specs)
	r := remover(t, p)
	p.put(t, "user:1001:1")
	_, err := r.Ledger.SetShop(t.Context(), "1001", 0, ledger.Settings{Off: true, Keys: ledger.KeysRemove}, ledger.By{Who: "ann"})
	require.NoError(t, err)
	r.Proceed = func(ctx context.Context, _, _ string) error {
		if _, err := r.Ledger.SetShop(ctx, "1001", 1, ledger.Settings{}, ledger.By{Who: "ann"}); err != nil {
			require.ErrorIs(t, err, ledger.ErrRemoving)
		}
		return nil
	}
	require.NoError(t, r.Once(t.Context()))
	require.Equal(t, []string{"user:1001:1"}, all(t, p.redis))
}
