package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/api"
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
		{"1001", "on"}, {"1001", "set", "--reason", "x"}, {"1001", "set", "--datasets", "users"}, {"1001", "set", "--after-end", "2h"}, {"1001", "set", "--max-rows", "users=many", "--reason", "x"}, {"1001", "on", "--max-rows", "users=5", "--reason", "x"}, {"1001", "on", "--after-end", "2h", "--reason", "x"}, {"1001", "on", "--datasets", "users", "--reason", "x"}, {"1001", "on", "--remove", "--reason", "x"}, {"1001", "--reason", "x"}, {"1001", "up"}} {
		require.Equal(t, exitUsage, prewarm(t, "", append([]string{"shop", "--server", s.URL}, args...)...).code, args)
	}
}

func TestWhatNothingIsSaidOfStaysAsItIs(t *testing.T) {
	t.Parallel()
	is := api.ShopSettings{Off: true, Keys: "expire", Datasets: []string{"shop"}, AfterEnd: "3h0m0s", MaxRows: map[string]int64{"users": 5, "products": 7}, Windows: map[string]string{"users": "24h0m0s"}, Version: 4}
	for _, c := range []struct {
		cmd  shopCmd
		want api.ShopSet
	}{
		{shopCmd{Do: "on"}, api.ShopSet{Datasets: []string{"shop"}, AfterEnd: "3h0m0s"}},
		{shopCmd{Do: "off", Remove: true}, api.ShopSet{Off: true, Keys: "remove", Datasets: []string{"shop"}, AfterEnd: "3h0m0s"}},
		{shopCmd{Do: "set", Datasets: []string{"users", "shop"}}, api.ShopSet{Off: true, Keys: "expire", Datasets: []string{"users", "shop"}, AfterEnd: "3h0m0s"}},
		{shopCmd{Do: "set", Datasets: []string{"all"}, AfterEnd: "policy"}, api.ShopSet{Off: true, Keys: "expire"}},
		{shopCmd{Do: "set", AfterEnd: "2h"}, api.ShopSet{Off: true, Keys: "expire", Datasets: []string{"shop"}, AfterEnd: "2h"}},
		{shopCmd{Do: "set", MaxRows: map[string]int64{"users": 0, "orders": 9}}, api.ShopSet{Off: true, Keys: "expire", Datasets: []string{"shop"}, AfterEnd: "3h0m0s",
			MaxRows: map[string]int64{"orders": 9, "products": 7}}},
		{shopCmd{Do: "set", Window: map[string]string{"users": "0", "orders": "48h"}}, api.ShopSet{Off: true, Keys: "expire", Datasets: []string{"shop"}, AfterEnd: "3h0m0s",
			Windows: map[string]string{"orders": "48h"}}},
	} {
		if c.want.MaxRows == nil {
			c.want.MaxRows = is.MaxRows
		}
		if c.want.Windows == nil {
			c.want.Windows = is.Windows
		}
		c.cmd.Reason, c.want.Reason, c.want.Version = "x", "x", 4
		require.NoError(t, c.cmd.check())
		require.Equal(t, c.want, c.cmd.change(is))
	}
	s := serverWith(t, 200, map[string]string{"GET /v1/shops/1001/settings": `{"shop_id": "1001", "datasets": ["shop", "users"], "after_end": "2h0m0s", "max_rows": {"users": 100}, "windows": {"orders": "48h0m0s"}, "version": 0}`})
	require.Equal(t, "shop 1001 is on, only with shop, users, its keys live 2h0m0s after the end, with 100 rows of users, with the last 48h0m0s of orders\n", prewarm(t, "", "shop", "1001", "--server", s.URL).out)
}
