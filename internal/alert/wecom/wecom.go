// Package wecom owns the sink for WeCom's group robots: Markdown.
package wecom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// mostText is what the content of a message may have, in bytes.
const mostText = 4096

// Sink sends to one robot.
type Sink struct{ Post alert.Post }

type message struct {
	Type     string   `json:"msgtype"`
	Markdown markdown `json:"markdown"`
}

type markdown struct {
	Content string `json:"content"`
}

// Send implements alert.Sink.
func (s Sink) Send(ctx context.Context, m alert.Message) error {
	answer, err := s.Post.JSON(ctx, compose(m))
	if err != nil {
		return err
	}
	var a struct {
		Code *int   `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.Code == nil {
		return errors.New("its answer is not a WeCom robot's: " + s.Post.Quote(string(answer)))
	}
	if *a.Code != 0 {
		return fmt.Errorf("it answered errcode %d: %s", *a.Code, s.Post.Quote(a.Msg))
	}
	return nil
}

// colours are the three that there are.
var colours = map[string]string{alert.Critical: "warning", alert.Warning: "warning", alert.Info: "comment", alert.Resolved: "info"}

func compose(m alert.Message) message {
	head := fmt.Sprintf("#### <font color=%q>%s</font>\n", colours[m.Status()], alert.Escape(alert.Cut(m.Title(), 200)))
	body := m.Join(mostText-len(head), func(i alert.Item) string { return i.Markdown("\n") })
	return message{Type: "markdown", Markdown: markdown{Content: head + body}}
}
