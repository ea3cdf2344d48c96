package refresh

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestWhatIsOverdueIsCountedFromWhenItWasDue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	every := map[string]time.Duration{"users": 2 * time.Minute, "staff": time.Hour}
	fresh := []ledger.Fresh{
		{ShopID: "1", Dataset: "users", RefreshedAt: ago(time.Minute)},
		{ShopID: "2", Dataset: "users", RefreshedAt: ago(13 * time.Minute), StartedAt: ago(time.Hour)},
		{ShopID: "3", Dataset: "users", RefreshedAt: ago(15 * time.Minute)},
		{ShopID: "4", Dataset: "users", RefreshedAt: ago(time.Hour), StartedAt: ago(time.Minute)}, // it was begun anew
		{ShopID: "5", Dataset: "users", StartedAt: ago(11 * time.Minute)},                         // never refreshed
		{ShopID: "1", Dataset: "staff", RefreshedAt: ago(61 * time.Minute)},
	}
	got := overdue(now, fresh, every, 10*time.Minute)
	require.Equal(t, []Overdue{
		{Dataset: "users", By: 13 * time.Minute, Shop: "3", Since: ago(15 * time.Minute), Shops: 2},
		{Dataset: "staff", By: time.Minute, Shop: "1", Since: ago(61 * time.Minute)},
	}, got)
	require.Contains(t, got[0].alert(every["users"]).Summary, "of shop 3 last at 19:45:00, and it should be every 2m0s")
	require.Equal(t, []Overdue{{Dataset: "staff"}, {Dataset: "users"}}, overdue(now, nil, every, time.Minute), "nothing is cached")
}
