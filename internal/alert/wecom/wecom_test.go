package wecom

import (
	"testing"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alerttest"
	"github.com/stretchr/testify/require"
)

// schema is the Markdown message of a group robot, as documented at https://developer.work.weixin.qq.com/document/path/91770:
// content is UTF-8 of at most 4096 bytes; bold text, links, quotes and three colours are known.
type schema struct {
	Msgtype  string `json:"msgtype"`
	Markdown struct {
		Content string `json:"content"`
	} `json:"markdown"`
}

func TestMessagesAreAsDocumented(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 200, `{"errcode":0,"errmsg":"ok"}`)
	for name, m := range alerttest.Messages() {
		require.NoError(t, Sink{alert.Post{URL: v.URL}}.Send(t.Context(), m), name)
		got := alerttest.Strict[schema](t, v.Last(t).Body)
		require.Equal(t, "markdown", got.Msgtype)
		require.LessOrEqual(t, len(got.Markdown.Content), 4096, name)
		require.True(t, utf8.ValidString(got.Markdown.Content))
		require.Regexp(t, `^#### <font color="(warning|info|comment)">[^<]*</font>\n`, got.Markdown.Content)
		require.NotContains(t, got.Markdown.Content, "@", "nobody is mentioned by what an alert quotes")
	}
	require.NoError(t, Sink{alert.Post{URL: v.URL}}.Send(t.Context(), alerttest.Messages()["many"]))
	require.Regexp(t, `… and \d+ more$`, alerttest.Strict[schema](t, v.Last(t).Body).Markdown.Content)
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 200, `{"errcode":45009,"errmsg":"api freq out of limit"}`)
	require.ErrorContains(t, Sink{alert.Post{URL: v.URL}}.Send(t.Context(), alerttest.Messages()["one"]), "errcode 45009: api freq out of limit")
}
