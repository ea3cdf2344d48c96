package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

func TestActionsAreKeptNewestFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, s *ledger.Store) {
		ctx := t.Context()
		for _, who := range []string{"ann", strings.Repeat("ü", 300)} {
			require.NoError(t, s.Record(ctx, ledger.Action{Who: who, Role: "operator", Client: "192.0.2.1", Action: "POST /v1/pause",
				Reason: strings.Repeat("'", 900), Status: 200}))
		}
		all, err := s.Actions(ctx, time.Time{}, 10)
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, strings.Repeat("ü", 189)+"…", all[0].Who)
		require.Len(t, []rune(all[0].Reason), 500)
		now, err := s.Now(ctx)
		require.NoError(t, err)
		require.WithinDuration(t, now, all[1].At, time.Minute)
		require.Equal(t, "ann POST /v1/pause 192.0.2.1 operator", strings.Join([]string{all[1].Who, all[1].Action, all[1].Client, all[1].Role}, " "))
		require.Equal(t, 200, all[1].Status)

		one, err := s.Actions(ctx, time.Time{}, 1)
		require.NoError(t, err)
		require.Equal(t, all[:1], one)
		none, err := s.Actions(ctx, all[1].At, 10)
		require.NoError(t, err)
		require.Empty(t, none)
	})
}
