package intake

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/tasks"
)

var (
	switchedOff = ledger.Settings{Off: true, Keys: ledger.KeysExpire}
	ann         = ledger.By{Who: "ann", Why: "it leaves"}
)

// atThatMoment switches a shop off while the source is asked for it.
type atThatMoment struct {
	Shops
	do func()
}

func (a atThatMoment) Known(ctx context.Context, shop string) (bool, error) {
	a.do()
	return a.Shops.Known(ctx, shop)
}

func TestAShopThatIsSwitchedOffIsSkippedWhateverItsTier(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	_, run := e.one(t, Accepted, e.broadcast("1001"))
	require.NoError(t, e.flags.SetReady(t.Context(), cache.Ready{Shop: "1001", Broadcast: "b-1", Run: run.ID, StartsAt: run.StartsAt, EndsAt: run.EndsAt}))
	turned, err := e.SetShop(t.Context(), "1001", 0, switchedOff, ann)
	require.NoError(t, err)
	require.Equal(t, []string{run.ID}, turned.Cancelled)
	require.Equal(t, []string{run.ID}, e.tasks.released)
	flag, err := e.flags.Ready(t.Context(), "1001", "b-1")
	require.NoError(t, err)
	require.Nil(t, flag)

	forced, next := e.broadcast("1001"), e.broadcast("1001")
	forced.Force, next.BroadcastID, next.Tier = true, "b-2", tasks.TierKA
	for _, b := range []tasks.Broadcast{forced, next} {
		o, _ := e.one(t, Skipped, b)
		require.Regexp(t, "^shop 1001 is switched off by ann since .*: it leaves; neither tier nor force overrides that$", o.Reason)
		body, err := json.Marshal(tasks.Request{Broadcasts: []tasks.Broadcast{b}})
		require.NoError(t, err)
		seen, err := e.Preview(t.Context(), body)
		require.NoError(t, err)
		require.Equal(t, []string{Skipped, o.Reason}, []string{seen[0].Outcome.Outcome, seen[0].Outcome.Reason})
		require.Nil(t, seen[0].Rows)
	}
	o, err := e.WarmNow(t.Context(), "1001", WarmNow{})
	require.NoError(t, err)
	require.Equal(t, Skipped, o.Outcome)
	gone := e.broadcast("1001")
	gone.Cancelled = true
	e.one(t, Duplicate, gone)
	e.one(t, Accepted, e.broadcast("1002"))

	_, err = e.SetShop(t.Context(), "1001", 1, ledger.Settings{}, ann)
	require.NoError(t, err)
	_, run = e.one(t, Accepted, next)
	require.Equal(t, ledger.RunPlanned, run.State)
}

func TestAnAnnouncementAtTheMomentOfTheSwitchIsSkipped(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.Shops = atThatMoment{e.Shops, func() {
		_, err := e.SetShop(t.Context(), "1001", 0, switchedOff, ann)
		require.NoError(t, err)
	}}
	o, run := e.one(t, Skipped, e.broadcast("1001"))
	require.Contains(t, o.Reason, "is switched off by ann")
	require.Equal(t, ledger.RunSkipped, run.State)
	require.Empty(t, e.tasks.plans)
}
