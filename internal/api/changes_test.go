package api

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/refresh"
)

// told takes every document but "bad", and has one change to show.
type told struct{}

func (told) Accept(_ context.Context, doc []byte, via, who string) (refresh.Taken, error) {
	if string(doc) == "bad" {
		return refresh.Taken{}, fmt.Errorf("%w: bad", change.ErrMalformed)
	}
	return refresh.Taken{Changes: len(doc), Unneeded: map[string]int{via + " " + who: 1}}, nil
}

func (told) Changes(_ context.Context, shop string, before int64, limit int) ([]ledger.Change, error) {
	return []ledger.Change{{ID: before + int64(limit), ShopID: shop, ReceivedAt: noon}}, nil
}

func TestChangesAreTakenInAndShown(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &fake{}, append(tokens, config.Token{Name: "crm", Role: config.RoleChanges, Token: "changes-0123456789"}))
	crm := bearer("changes-0123456789")
	w := ask(a, "POST", "/v1/changes", "{}", crm)
	require.Equal(t, 202, w.Code, w.Body)
	var taken refresh.Taken
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &taken))
	require.Equal(t, map[string]int{"http crm": 1}, taken.Unneeded)
	require.Equal(t, 400, ask(a, "POST", "/v1/changes", "bad", crm).Code)
	for _, path := range []string{"/v1/changes", "/v1/runs", "/metrics", "/asynqmon/"} {
		require.Equal(t, 403, ask(a, "GET", path, "", crm).Code, path)
	}
	require.Equal(t, 403, ask(a, "POST", "/v1/requests", "{}", crm).Code)

	var list ChangeList
	w = ask(a, "GET", "/v1/changes?shop=7&before=5&limit=3", "", bearer(viewerToken))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &list))
	require.Len(t, list.Changes, 1)
	require.Equal(t, "7", list.Changes[0].ShopID)
	require.EqualValues(t, 8, list.Changes[0].ID)
	require.Equal(t, noon, *list.Changes[0].ReceivedAt)
	require.Nil(t, list.Changes[0].HandledAt)
}
