package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const oneShop = `{"shop_id": "1001", "off": true, "keys": "remove", "version": 1, "who": "on-call", "reason": "it leaves", "changed_at": "2026-05-01T12:00:00Z",
	"cancelled": 2, "note": "", "removal": {"state": "running", "removed": 12, "left_to_expire": [{"dataset": "shop", "why": "its keys cannot be known"}], "last_error": ""}}`

func TestAShopIsShownWithWhoAndWhatBecomesOfItsKeys(t *testing.T) {
	t.Parallel()
	s := serverWith(t, 200, map[string]string{"GET /v1/shops/1001/settings": oneShop, "GET /v1/shops": `{"shops": [` + oneShop + `]}`})
	for _, args := range [][]string{{"shop", "1001"}, {"shop"}} {
		out := prewarm(t, "", append(args, "--server", s.URL)...).out
		require.Contains(t, out, "shop 1001 is off; its keys are removed, since ")
		require.Contains(t, out, ", by on-call: it leaves\n  2 runs called off\n  removal running, 12 keys so far\n  left to expire: shop: its keys cannot be known\n")
	}
	none := serverWith(t, 200, map[string]string{"GET /v1/shops": `{"shops": []}`})
	require.Equal(t, "all shops are on\n", prewarm(t, "", "shop", "--server", none.URL).out)
	for _, args := range [][]string{{"1001", "off", "--reason", "x"}, {"1001", "off", "--remove", "--expire", "--reason", "x"}, {"1001", "off", "--remove"},
		{"1001", "on"}, {"1001", "on", "--remove", "--reason", "x"}, {"1001", "--reason", "x"}, {"1001", "up"}} {
		require.Equal(t, exitUsage, prewarm(t, "", append([]string{"shop", "--server", s.URL}, args...)...).code, args)
	}
}
