package feishu

import (
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alerttest"
	"github.com/stretchr/testify/require"
)

// schema is the card message of a custom bot, as documented at
// https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot (Lark: https://open.larksuite.com/document/client-docs/bot-v3/add-custom-bot);
// the card is as in https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content. A request has at
// most 20 KB.
type schema struct {
	Timestamp string `json:"timestamp"`
	Sign      string `json:"sign"`
	MsgType   string `json:"msg_type"`
	Card      struct {
		Config struct {
			WideScreenMode bool `json:"wide_screen_mode"`
		} `json:"config"`
		Header struct {
			Title    tagged `json:"title"`
			Template string `json:"template"`
		} `json:"header"`
		Elements []struct {
			Tag     string  `json:"tag"`
			Text    *tagged `json:"text"`
			Actions []struct {
				Tag  string `json:"tag"`
				Text tagged `json:"text"`
				URL  string `json:"url"`
				Type string `json:"type"`
			} `json:"actions"`
		} `json:"elements"`
	} `json:"card"`
}

type tagged struct {
	Tag     string `json:"tag"`
	Content string `json:"content"`
}

func TestMessagesAreAsDocumented(t *testing.T) {
	t.Parallel()
	colour := map[string]string{"one": "orange", "over": "green", "many": "orange", "long": "orange"}
	v := alerttest.NewVendor(t, 200, `{"code":0,"msg":"success","data":{}}`)
	for name, m := range alerttest.Messages() {
		require.NoError(t, Sink{Post: alert.Post{URL: v.URL}, Secret: "abc"}.Send(t.Context(), m), name)
		require.Less(t, len(v.Last(t).Body), 20<<10, name)
		got := alerttest.Strict[schema](t, v.Last(t).Body)
		require.Equal(t, "interactive", got.MsgType)
		require.Equal(t, sign(got.Timestamp, "abc"), got.Sign)
		require.Equal(t, "plain_text", got.Card.Header.Title.Tag)
		require.Equal(t, colour[name], got.Card.Header.Template)
		require.Equal(t, "div", got.Card.Elements[0].Tag)
		require.Equal(t, "plain_text", got.Card.Elements[0].Text.Tag, "nothing in it becomes a mention or a link")
		if m.Board != "" {
			require.Equal(t, "action", got.Card.Elements[1].Tag)
			require.Equal(t, m.Board, got.Card.Elements[1].Actions[0].URL)
		}
	}
	require.NoError(t, Sink{Post: alert.Post{URL: v.URL}}.Send(t.Context(), alerttest.Messages()["one"]))
	got := alerttest.Strict[schema](t, v.Last(t).Body)
	require.Empty(t, got.Sign+got.Timestamp)
	require.Contains(t, got.Card.Elements[0].Text.Content, "Shop: 1002, broadcast b-1\nTime: 4m0s late\n")
}

// The signature is base64(HMAC-SHA256(key: timestamp + "\n" + secret, of: nothing)); same page. The value was computed with
// openssl: openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary </dev/null | base64
func TestSignature(t *testing.T) {
	t.Parallel()
	m := Sink{Secret: "abc"}.message(alert.Message{}, time.Unix(1_700_000_000, 0))
	require.Equal(t, "1700000000", m.Timestamp)
	require.Equal(t, "VIS10b0EBvzzSdFnuk4tznEmK5wHaruvf/WnViv2yR4=", m.Sign)
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}`: "code 19021: sign match fail",
		`{}`: "not a Feishu bot's",
	} {
		v := alerttest.NewVendor(t, 200, answer)
		require.ErrorContains(t, Sink{Post: alert.Post{URL: v.URL}}.Send(t.Context(), alerttest.Messages()["one"]), want)
	}
	old := alerttest.NewVendor(t, 200, `{"StatusCode":0,"StatusMessage":"success"}`)
	require.NoError(t, Sink{Post: alert.Post{URL: old.URL}}.Send(t.Context(), alerttest.Messages()["one"]))
}
