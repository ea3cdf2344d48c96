package dingtalk

import (
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alerttest"
	"github.com/stretchr/testify/require"
)

// schema is the Markdown message of a custom robot, as documented at
// https://open.dingtalk.com/document/orgapp/custom-bot-send-message-type; a message has at most 20,000 bytes, and
// a robot takes 20 a minute.
type schema struct {
	Msgtype  string `json:"msgtype"`
	Markdown struct {
		Title string `json:"title"`
		Text  string `json:"text"`
	} `json:"markdown"`
	At *struct {
		AtMobiles []string `json:"atMobiles"`
		AtUserIDs []string `json:"atUserIds"`
		IsAtAll   bool     `json:"isAtAll"`
	} `json:"at"`
}

func TestMessagesAreAsDocumented(t *testing.T) {
	t.Parallel()
	v := alerttest.NewVendor(t, 200, `{"errcode":0,"errmsg":"ok"}`)
	for name, m := range alerttest.Messages() {
		require.NoError(t, Sink{Post: alert.Post{URL: v.URL + "/robot/send?access_token=abc"}}.Send(t.Context(), m), name)
		posted := v.Last(t)
		require.Equal(t, "application/json", posted.Request.Header.Get("Content-Type"))
		require.Equal(t, "access_token=abc", posted.Request.URL.RawQuery, "unsigned")
		require.Less(t, len(posted.Body), 20_000, name)
		got := alerttest.Strict[schema](t, posted.Body)
		require.Equal(t, "markdown", got.Msgtype)
		require.Equal(t, m.Title()[:9], got.Markdown.Title[:9])
		require.NotEmpty(t, got.Markdown.Text)
		require.NotContains(t, got.Markdown.Text, "@", "nobody is mentioned by what an alert quotes")
	}
	require.NoError(t, Sink{Post: alert.Post{URL: v.URL}}.Send(t.Context(), alerttest.Messages()["one"]))
	text := alerttest.Strict[schema](t, v.Last(t).Body).Markdown.Text
	require.Contains(t, text, "Shop: 1002, broadcast b-1  \nTime: 4m0s late  \n")
	require.Contains(t, text, "[Runbook](https://example.com/runbooks/run_late.md)")
}

// The signature is base64(HMAC-SHA256(key: secret, of: timestamp + "\n" + secret)), in the query with the timestamp in
// milliseconds; https://open.dingtalk.com/document/robots/customize-robot-security-settings. The value was computed with
// openssl: printf '1700000000000\nSECabc' | openssl dgst -sha256 -hmac SECabc -binary | base64
func TestSignature(t *testing.T) {
	t.Parallel()
	to, err := Sink{Post: alert.Post{URL: "https://oapi.dingtalk.com/robot/send?access_token=abc"}, Secret: "SECabc"}.signed(time.UnixMilli(1_700_000_000_000))
	require.NoError(t, err)
	require.Equal(t, "https://oapi.dingtalk.com/robot/send?access_token=abc&sign=jcUpW0QmtKduN03n4JqQ0PBosVjqnM8gU7fIIvsDmCM%3D&timestamp=1700000000000", to.URL)
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"errcode":310000,"errmsg":"sign not match, token s3cret-t0ken"}`: "errcode 310000: sign not match, token xxxxx",
		`<html>`: "not a DingTalk robot's",
	} {
		v := alerttest.NewVendor(t, 200, answer)
		err := Sink{Post: alert.Post{URL: v.URL + "?access_token=s3cret-t0ken"}}.Send(t.Context(), alerttest.Messages()["one"])
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
}
