package plan

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestOnlyTheDatasetsOfAShopAreReadAndPlanned(t *testing.T) {
	t.Parallel()
	others := users(25)
	others.spec.Name, others.counted = "others", new(int64)
	others.split = func() { t.Error("a dataset was read that the shop does not have") }
	e := newEnv(t, users(25), others, shop())
	run := e.run(t)
	kept := ledger.Settings{Kept: ledger.Kept{Datasets: ledger.DatasetsOf([]string{"users", "gone"})}}
	_, err := e.Ledger.SetShop(t.Context(), run.ShopID, 0, kept, ledger.By{Who: "ann", Why: "big"})
	require.NoError(t, err)
	var begun ledger.Datasets
	e.Begin = func(_ context.Context, _ string, only ledger.Datasets) error {
		begun = only
		return nil
	}
	rows, err := Shops{Datasets: e.Datasets, Ledger: e.Ledger}.Estimate(t.Context(), run.ShopID)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"users": 25}, rows)
	require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
	require.Equal(t, kept.Datasets, begun)
	e.requirePlan(t, run, 3)
	cached, err := e.Ledger.Ends(t.Context(), run.ShopID, "shop", 0)
	require.NoError(t, err)
	require.Empty(t, cached.Former, "the run does not count for a dataset that it has not")

	e.Datasets = []Dataset{shop()}
	_, err = e.split(t.Context(), run.ShopID, kept.Kept)
	require.ErrorContains(t, err, "none of them is configured")
}

func TestNoMoreRowsArePlannedThanTheShopIsToHave(t *testing.T) {
	t.Parallel()
	e := newEnv(t, users(25), shop())
	run := e.run(t)
	_, err := e.Ledger.SetShop(t.Context(), run.ShopID, 0, ledger.Settings{Kept: ledger.Kept{MaxRows: "users=5"}}, ledger.By{Who: "ann", Why: "big"})
	require.NoError(t, err)
	rows, err := Shops{Datasets: e.Datasets, Ledger: e.Ledger}.Estimate(t.Context(), run.ShopID)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"users": 5}, rows)
	require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
	e.requirePlan(t, run, 2)
	parts, err := e.Ledger.RunParts(t.Context(), run.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]ledger.Part{"users": {From: `["0"]`}}, parts)
}

func TestAWindowIsCutOffAtPlanningByTheShopsOwnTimeIfItHasOne(t *testing.T) {
	t.Parallel()
	recent := users(5)
	recent.spec.Window = &dataset.Window{Column: "created", Keep: 240 * time.Hour}
	for want, windows := range map[string]ledger.Amounts{"240h0m0s": "shop=3600000000", "24h0m0s": "shop=3600000000 users=86400000000"} {
		e := newEnv(t, recent, shop())
		run := e.run(t)
		_, err := e.Ledger.SetShop(t.Context(), run.ShopID, 0, ledger.Settings{Kept: ledger.Kept{Windows: windows}}, ledger.By{Who: "ann"})
		require.NoError(t, err)
		require.NoError(t, e.Plan(t.Context(), run.ID, run.Epoch))
		parts, err := e.Ledger.RunParts(t.Context(), run.ID)
		require.NoError(t, err)
		require.Equal(t, map[string]ledger.Part{"users": {Since: ledger.Since{Column: "created", Value: want}}}, parts, "the query has none")
		kept, err := e.Ledger.KeptParts(t.Context(), run.ShopID, "users")
		require.NoError(t, err)
		require.Empty(t, kept, "nothing stands in the cache yet")
	}
}
