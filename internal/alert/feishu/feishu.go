// Package feishu owns the sink for custom bots of Feishu and Lark: a card per message, signed if the bot asks for it.
package feishu

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// mostText keeps the request below the 20 KB that a bot takes, also where JSON needs two bytes for one.
const mostText = 8_000

// Sink sends to one bot.
type Sink struct {
	Post   alert.Post
	Secret string // of its signature verification; "": none
}

type (
	message struct {
		Timestamp string `json:"timestamp,omitempty"` // seconds
		Sign      string `json:"sign,omitempty"`
		Type      string `json:"msg_type"`
		Card      card   `json:"card"`
	}
	card struct {
		Config   config    `json:"config"`
		Header   header    `json:"header"`
		Elements []element `json:"elements"`
	}
	config struct {
		Wide bool `json:"wide_screen_mode"`
	}
	header struct {
		Title    text   `json:"title"`
		Template string `json:"template"` // a colour
	}
	text struct {
		Tag     string `json:"tag"`
		Content string `json:"content"`
	}
	element struct {
		Tag     string   `json:"tag"`
		Text    *text    `json:"text,omitempty"`
		Actions []button `json:"actions,omitempty"`
	}
	button struct {
		Tag  string `json:"tag"`
		Text text   `json:"text"`
		URL  string `json:"url"`
		Type string `json:"type"`
	}
)

var colours = map[string]string{alert.Critical: "red", alert.Warning: "orange", alert.Info: "blue", alert.Resolved: "green"}

// plain text is shown as it is: nothing in an alert becomes a mention or a link.
func plain(s string) text { return text{Tag: "plain_text", Content: s} }

// Send implements alert.Sink.
func (s Sink) Send(ctx context.Context, m alert.Message) error {
	answer, err := s.Post.JSON(ctx, s.message(m, time.Now()))
	if err != nil {
		return err
	}
	var a struct {
		Code *int   `json:"code"`
		Old  *int   `json:"StatusCode"`
		Msg  string `json:"msg"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.Code == nil && a.Old == nil {
		return errors.New("its answer is not a Feishu bot's: " + s.Post.Quote(string(answer)))
	}
	if a.Code != nil && *a.Code != 0 {
		return fmt.Errorf("it answered code %d: %s", *a.Code, s.Post.Quote(a.Msg))
	}
	return nil
}

func (s Sink) message(m alert.Message, now time.Time) message {
	body := plain(m.Text(mostText))
	msg := message{Type: "interactive", Card: card{
		Config:   config{Wide: true},
		Header:   header{Title: plain(alert.Cut(m.Title(), 200)), Template: colours[m.Status()]},
		Elements: []element{{Tag: "div", Text: &body}},
	}}
	if m.Board != "" {
		open := button{Tag: "button", Text: plain("Board"), URL: m.Board, Type: "default"}
		msg.Card.Elements = append(msg.Card.Elements, element{Tag: "action", Actions: []button{open}})
	}
	if s.Secret != "" {
		msg.Timestamp = strconv.FormatInt(now.Unix(), 10)
		msg.Sign = sign(msg.Timestamp, s.Secret)
	}
	return msg
}

// sign: time and secret are the key, and what is signed is empty.
func sign(timestamp, secret string) string {
	return base64.StdEncoding.EncodeToString(hmac.New(sha256.New, []byte(timestamp+"\n"+secret)).Sum(nil))
}
