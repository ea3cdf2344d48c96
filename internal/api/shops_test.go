package api

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// fakeShops knows one shop, as the ledger would.
type fakeShops struct{ shop ledger.Shop }

func (f *fakeShops) Shops(context.Context) ([]ledger.Shop, error) { return []ledger.Shop{f.shop}, nil }

func (f *fakeShops) Shop(_ context.Context, id string) (ledger.Shop, error) {
	f.shop.ID = id
	return f.shop, nil
}

func (f *fakeShops) SetShop(_ context.Context, id string, version int64, to ledger.Settings, by ledger.By) (ledger.Turned, error) {
	if strings.HasPrefix(id, "no") {
		return ledger.Turned{}, fmt.Errorf("%w: it is not a number", ErrInvalid)
	}
	if version != f.shop.Version {
		return ledger.Turned{}, fmt.Errorf("%w: changed by %s", ledger.ErrState, f.shop.Who)
	}
	before := f.shop
	f.shop = ledger.Shop{ID: id, Settings: to, Version: version + 1, By: by, ChangedAt: noon}
	turned := ledger.Turned{Before: before, After: f.shop}
	if to.Kept != before.Kept {
		turned.Behind = 3
	}
	if to.Off {
		f.shop.Removal = &ledger.Removal{State: ledger.RemovalWaiting, Left: []ledger.LeftOver{{Dataset: "shop", Why: "its keys cannot be known"}}}
		turned.After, turned.Cancelled = f.shop, []string{"r1", "r2"}
	}
	return turned, nil
}

func TestAShopHasTheDatasetsThatAreSaidAndRunsThatDoNotFollowAreTold(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	const path = "/v1/shops/1001/settings"
	oper := bearer(operatorToken)
	require.Nil(t, object(t, ask(a, "GET", path, "", oper).Body.Bytes())["datasets"])
	w := ask(a, "PUT", path, `{"datasets": ["users", "shop", "users"], "version": 0, "reason": "too big"}`, oper)
	require.Equal(t, 200, w.Code, w.Body)
	is := object(t, w.Body.Bytes())
	require.Equal(t, []any{"shop", "users"}, is["datasets"])
	require.Contains(t, is["note"], "3 runs of the shop that are planned, warming or ready keep")
	require.Equal(t, "was on; is on; only shop, users", f.actions[len(f.actions)-1].Change)
	long := `"` + strings.Repeat("x", ledger.MostDatasets) + `"`
	require.Equal(t, 422, ask(a, "PUT", path, `{"datasets": ["a", `+long+`], "version": 1, "reason": "x"}`, oper).Code)
}

func TestAShopKeepsSoMuchForSoLongAsIsSaid(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	const path = "/v1/shops/1001/settings"
	oper := bearer(operatorToken)
	body := `{"after_end": "2h", "max_rows": {"users": 100, "orders": 5}, "windows": {"orders": "720h"}, "version": 0, "reason": "x"}`
	w := ask(a, "PUT", path, body, oper)
	require.Equal(t, 200, w.Code, w.Body)
	for _, is := range []map[string]any{object(t, w.Body.Bytes()), object(t, ask(a, "GET", path, "", oper).Body.Bytes())} {
		require.Equal(t, "2h0m0s", is["after_end"])
		require.Equal(t, map[string]any{"users": 100.0, "orders": 5.0}, is["max_rows"])
		require.Equal(t, map[string]any{"orders": "720h0m0s"}, is["windows"])
	}
	require.Equal(t, "was on; is on; keys live 2h0m0s after the end; 5 rows of orders; 100 rows of users; the last 720h0m0s of orders", f.actions[len(f.actions)-1].Change)
	for _, wrong := range []string{`"after_end": "59s"`, `"after_end": "169h"`, `"after_end": "2"`, `"max_rows": {"users": 0}`, `"max_rows": {"users": -1}`, `"windows": {"users": "59m"}`, `"windows": {"users": "30d"}`} {
		require.Equal(t, 422, ask(a, "PUT", path, "{"+wrong+`, "version": 1, "reason": "x"}`, oper).Code, wrong)
	}
	is := object(t, ask(a, "PUT", path, `{"version": 1, "reason": "x"}`, oper).Body.Bytes())
	require.Equal(t, []any{"", nil, nil}, []any{is["after_end"], is["max_rows"], is["windows"]}, "what is not sent is as of all others")
}

func TestAShopIsSwitchedOffAndOnWithWhoAndWhyAndWhatItWas(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	const path = "/v1/shops/1001/settings"
	oper := bearer(operatorToken)
	for body, want := range map[string]string{
		`{"off": true, "version": 0, "reason": "leaving"}`:                                     "remove or expire",
		`{"keys": "remove", "version": 0, "reason": "leaving"}`:                                "only of one",
		`{"off": true, "keys": "remove", "version": 0}`:                                        "reason",
		`{"off": true, "keys": "remove", "reason": "leaving"}`:                                 "version",
		`{"off": true, "keys": "burn", "version": 0, "reason": "leaving"}`:                     "keys",
		`{"off": true, "keys": "remove", "version": 0, "reason": "leaving", "until": "later"}`: "until",
		`{"datasets": [], "version": 0, "reason": "leaving"}`:                                  "switch it off instead",
	} {
		w := ask(a, "PUT", path, body, oper)
		require.Equal(t, 422, w.Code, body)
		require.Contains(t, w.Body.String(), want)
	}
	w := ask(a, "PUT", path, `{"off": true, "keys": "remove", "version": 0, "reason": "it leaves us"}`, oper)
	require.Equal(t, 200, w.Code, w.Body)
	is := object(t, w.Body.Bytes())
	require.Equal(t, []any{true, "remove", 1.0, "on-call", "it leaves us", 2.0, ""}, []any{is["off"], is["keys"], is["version"], is["who"], is["reason"], is["cancelled"], is["note"]})
	require.Equal(t, []any{map[string]any{"dataset": "shop", "why": "its keys cannot be known"}}, is["removal"].(map[string]any)["left_to_expire"])
	last := f.actions[len(f.actions)-1]
	require.Equal(t, []string{"PUT " + path, "it leaves us", "was on; is off, keys are removed"}, []string{last.Action, last.Reason, last.Change})

	w = ask(a, "PUT", path, `{"version": 0, "reason": "a mistake"}`, oper)
	require.Equal(t, 409, w.Code)
	require.Contains(t, w.Body.String(), "changed by on-call")
	w = ask(a, "DELETE", path+"?version=1&reason=back", "", oper)
	require.Equal(t, 200, w.Code, w.Body)
	is = object(t, w.Body.Bytes())
	require.Equal(t, false, is["off"])
	require.Contains(t, is["note"], "announced again")
	require.Equal(t, 422, ask(a, "PUT", "/v1/shops/none/settings", `{"version": 1, "reason": "x"}`, oper).Code)
}
