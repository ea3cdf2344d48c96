package api

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

type fakeAudits struct{ *fake }

func (f fakeAudits) Request(_ context.Context, a ledger.Audit) (ledger.Audit, error) {
	if a.Dataset == "unknown" {
		return ledger.Audit{}, fmt.Errorf("%w: there is no dataset unknown", ErrInvalid)
	}
	f.who, f.why = a.Who, a.Why
	a.ID, a.Kind, a.State = "a1", ledger.AuditByHand, ledger.AuditWaiting
	return a, f.err
}

func (f fakeAudits) Audits(context.Context, int) ([]ledger.Audit, error) {
	a, _, _ := f.Audit(context.Background(), "a1")
	return []ledger.Audit{a}, f.err
}

func (f fakeAudits) Audit(_ context.Context, id string) (ledger.Audit, []ledger.AuditFinding, error) {
	if id != "a1" {
		return ledger.Audit{}, nil, ledger.ErrNotFound
	}
	return ledger.Audit{ID: "a1", State: ledger.AuditFailed, AuditCounts: ledger.AuditCounts{Keys: 9, Missing: 1}},
		[]ledger.AuditFinding{{Kind: "missing", Key: "user:1:2"}}, f.err
}

func TestAnAuditIsAskedForAndShown(t *testing.T) {
	t.Parallel()
	f := &fake{}
	a := newAPI(t, f, tokens)
	w := ask(a, "POST", "/v1/audits", `{"shop_id": "1001", "repair": true, "reason": "a try"}`, bearer(operatorToken))
	require.Equal(t, 202, w.Code, w.Body)
	var got AuditDetail
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, Audit{AuditID: "a1", Kind: "hand", State: "waiting", ShopID: "1001", Repair: true, Sample: 100, Who: "on-call", Why: "a try"}, got.Audit)

	require.Equal(t, 422, ask(a, "POST", "/v1/audits", `{"dataset": "unknown"}`, bearer(operatorToken)).Code)
	require.Equal(t, 422, ask(a, "POST", "/v1/audits", `{"sample": 101}`, bearer(operatorToken)).Code)
	w = ask(a, "GET", "/v1/audits/a1", "", bearer(viewerToken))
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, []AuditFinding{{Kind: "missing", Key: "user:1:2"}}, got.Findings)
	require.EqualValues(t, 1, got.Missing)
}
