package slack

import (
	"testing"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alerttest"
	"github.com/stretchr/testify/require"
)

// schema is the message of an incoming webhook, as documented at https://api.slack.com/messaging/webhooks and
// https://api.slack.com/reference/block-kit/blocks: at most 50 blocks; a header has plain_text of at most 150 characters, a
// section's text at most 3000. &, < and > are escaped (https://api.slack.com/reference/surfaces/formatting#escaping).
type schema struct {
	Text   string `json:"text"`
	Blocks []struct {
		Type string `json:"type"`
		Text struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"text"`
	} `json:"blocks"`
}

func TestMessagesAreAsDocumented(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 200, "ok")
	for name, m := range alerttest.Messages() {
		require.NoError(t, Sink{alert.Post{URL: v.URL}}.Send(t.Context(), m), name)
		got := alerttest.Strict[schema](t, v.Last(t).Body)
		require.NotEmpty(t, got.Text)
		require.LessOrEqual(t, len(got.Blocks), 50)
		require.Equal(t, "header", got.Blocks[0].Type)
		require.Equal(t, "plain_text", got.Blocks[0].Text.Type)
		require.LessOrEqual(t, utf8.RuneCountInString(got.Blocks[0].Text.Text), 150)
		for _, b := range got.Blocks[1:] {
			require.Equal(t, "section", b.Type)
			require.Equal(t, "mrkdwn", b.Text.Type)
			require.LessOrEqual(t, utf8.RuneCountInString(b.Text.Text), 3000)
			require.NotEmpty(t, b.Text.Text)
		}
	}
	require.NoError(t, Sink{alert.Post{URL: v.URL}}.Send(t.Context(), alerttest.Messages()["one"]))
	section := alerttest.Strict[schema](t, v.Last(t).Body).Blocks[1].Text.Text
	require.Contains(t, section, "&lt;b&gt;")
	require.NotContains(t, section, "<b>")
	require.Contains(t, section, "\nTime: 4m0s late\n")
	require.Contains(t, section, "<https://example.com/runbooks/run_late.md|Runbook>")
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 404, "no_service")
	err := Sink{alert.Post{URL: v.URL + "/services/T0/B0/s3cret-hook"}}.Send(t.Context(), alerttest.Messages()["one"])
	require.ErrorContains(t, err, "it answered 404 Not Found: no_service")
	require.NotContains(t, err.Error(), "s3cret")
}
