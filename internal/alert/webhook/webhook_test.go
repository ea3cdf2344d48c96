package webhook

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alerttest"
	"github.com/stretchr/testify/require"
)

// schema is prewarm's own; people's receivers rely on it.
type schema struct {
	Version int    `json:"version"`
	Title   string `json:"title"`
	Status  string `json:"status"`
	Board   string `json:"board"`
	Text    string `json:"text"`
	Alerts  []struct {
		Name        string    `json:"name"`
		Severity    string    `json:"severity"`
		Shop        string    `json:"shop_id"`
		Run         string    `json:"run_id"`
		Broadcast   string    `json:"broadcast_id"`
		About       string    `json:"about"`
		Summary     string    `json:"summary"`
		Why         string    `json:"why"`
		Remedy      string    `json:"remedy"`
		State       string    `json:"state"`
		Ended       string    `json:"ended"`
		Fingerprint string    `json:"fingerprint"`
		Times       int       `json:"times"`
		At          time.Time `json:"at"`
		Since       time.Time `json:"since"`
		Deadline    time.Time `json:"deadline"`
		ResolvedAt  time.Time `json:"resolved_at"`
		Margin      string    `json:"margin"`
		Link        string    `json:"link"`
		Runbook     string    `json:"runbook_url"`
	} `json:"alerts"`
}

func TestTheDocumentHoldsAll(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 204, "")
	for name, m := range alerttest.Messages() {
		require.NoError(t, Sink{Post: alert.Post{URL: v.URL, Token: "t0ken"}}.Send(t.Context(), m), name)
		require.Equal(t, "Bearer t0ken", v.Last(t).Request.Header.Get("Authorization"))
		got := alerttest.Strict[schema](t, v.Last(t).Body)
		require.Equal(t, 1, got.Version)
		require.Len(t, got.Alerts, len(m.Items))
		require.Equal(t, m.Items[0].Fingerprint, got.Alerts[0].Fingerprint)
		require.Equal(t, "4m0s late", got.Alerts[0].Margin)
	}
}

func TestATemplateWritesTheBody(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 200, "")
	parsed, err := Parse(`{"text": {{json .Title}}, "shops": [{{range $n, $a := .Alerts}}{{if $n}}, {{end}}{{json $a.Shop}}{{end}}]}`)
	require.NoError(t, err)
	m := alert.Message{Items: []alert.Item{alerttest.Item(1), alerttest.Over(2)}}
	require.NoError(t, Sink{alert.Post{URL: v.URL, ContentType: "application/x-pager"}, parsed}.Send(t.Context(), m))
	require.Equal(t, "application/x-pager", v.Last(t).Request.Header.Get("Content-Type"))
	var got map[string]any
	require.NoError(t, json.Unmarshal(v.Last(t).Body, &got))
	require.Equal(t, map[string]any{"text": "prewarm: 1 warning, 1 resolved", "shops": []any{"1002", "1003"}}, got)

	for _, wrong := range []string{"{{", "{{.Nothing}}", "{{range .Alerts}}{{.Nothing}}{{end}}"} {
		_, err := Parse(wrong)
		require.Error(t, err, wrong)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"text": {{json .Title}}}`)
	f.Add(`{{range .Alerts}}{{.Shop}}{{end}}`)
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if (parsed == nil) == (err == nil) {
			t.Fatal("neither a template nor an error, or both")
		}
	})
}
