// Package dingtalk owns the sink for DingTalk's custom robots: Markdown, signed if the robot asks for it.
package dingtalk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// mostText keeps the message below the 20,000 bytes that a robot takes.
const mostText = 16_000

// Sink sends to one robot.
type Sink struct {
	Post   alert.Post
	Secret string // of its signature, SEC…; "": none
}

type message struct {
	Type     string   `json:"msgtype"`
	Markdown markdown `json:"markdown"`
}

type markdown struct {
	Title string `json:"title"` // of the notification
	Text  string `json:"text"`
}

// Send implements alert.Sink.
func (s Sink) Send(ctx context.Context, m alert.Message) error {
	to, err := s.signed(time.Now())
	if err != nil {
		return err
	}
	answer, err := to.JSON(ctx, compose(m))
	if err != nil {
		return err
	}
	var a struct {
		Code *int   `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.Code == nil {
		return errors.New("its answer is not a DingTalk robot's: " + to.Quote(string(answer)))
	}
	if *a.Code != 0 {
		return fmt.Errorf("it answered errcode %d: %s", *a.Code, to.Quote(a.Msg))
	}
	return nil
}

func compose(m alert.Message) message {
	title := alert.Cut(m.Title(), 200)
	body := "#### " + alert.Escape(title) + "\n\n" + m.Join(mostText, func(i alert.Item) string { return i.Markdown("  \n") })
	return message{Type: "markdown", Markdown: markdown{Title: title, Text: body}}
}

// signed is the address with the time and its signature.
func (s Sink) signed(now time.Time) (alert.Post, error) {
	if s.Secret == "" {
		return s.Post, nil
	}
	u, err := url.Parse(s.Post.URL)
	if err != nil {
		return s.Post, errors.New("its url cannot be used")
	}
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	q := u.Query()
	q.Set("timestamp", timestamp)
	q.Set("sign", sign(timestamp, s.Secret))
	u.RawQuery = q.Encode()
	to := s.Post
	to.URL = u.String()
	return to, nil
}

func sign(timestamp, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "\n" + secret))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
