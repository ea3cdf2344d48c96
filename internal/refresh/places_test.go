package refresh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestChangesGoWhereTheDatasetIsOrWillBe(t *testing.T) {
	t.Parallel()
	store, err := ledger.Open(t.Context(), config.Ledger{DSN: testenv.MySQL(t), Pool: 4})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Migrate(t.Context()))
	users := dataset.Spec{Name: "users"}
	of := func(p Places) []string {
		t.Helper()
		places, err := p.of(t.Context(), "1", users)
		require.NoError(t, err)
		return places
	}
	several := Places{Ledger: store, Caches: []string{"big", "east"}, Plan: func(d dataset.Spec, shop string) string { return d.Name + shop }}
	require.Equal(t, []string{config.MainCache}, of(Places{}))
	require.Equal(t, []string{"only"}, of(Places{Caches: []string{"only"}}), "the ledger is not asked")
	require.Equal(t, []string{"users1"}, of(several))

	now := time.Now().UTC().Truncate(time.Microsecond)
	run, _, err := store.Create(t.Context(), ledger.Run{
		ID: "0123456789abcdef0123456789abcdef", ShopID: "1", BroadcastID: "b", State: ledger.RunPlanned,
		StartsAt: now.Add(time.Hour), EndsAt: now.Add(2 * time.Hour), Deadline: now.Add(50 * time.Minute), PlannedStart: now,
	})
	require.NoError(t, err)
	require.NoError(t, store.WritePlan(t.Context(), run.ID, 1, ledger.Kept{}, []ledger.Unit{{Dataset: "users", Cache: "big"}}))
	_, err = store.Claim(t.Context(), run.ID, 1, 0, 0, "pod")
	require.NoError(t, err)
	require.Equal(t, []string{"big"}, of(several))
	require.Equal(t, []string{"only"}, of(Places{Ledger: store, Caches: []string{"only"}}))
}
