// Package slack owns the sink for Slack's incoming webhooks, and for those of others that take the same form.
package slack

import (
	"context"
	"fmt"
	"strings"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// Limits of a message, in characters (they are counted in bytes here, which is less).
const (
	mostHeader  = 150
	mostSection = 3000
	mostBlocks  = 50
	mostAlerts  = 40 // blocks with an alert each: there is a header, and something may follow
)

// Sink sends to one webhook.
type Sink struct{ Post alert.Post }

type message struct {
	Text   string  `json:"text"` // of the notification
	Blocks []block `json:"blocks"`
}

type block struct {
	Type string `json:"type"`
	Text text   `json:"text"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Send implements alert.Sink. A webhook answers "ok", or with a status that says why not.
func (s Sink) Send(ctx context.Context, m alert.Message) error {
	_, err := s.Post.JSON(ctx, compose(m))
	return err
}

func compose(m alert.Message) message {
	msg := message{Text: escape(m.Title()), Blocks: []block{{"header", text{"plain_text", alert.Cut(m.Title(), mostHeader)}}}}
	for n, i := range m.Items {
		if n == mostAlerts {
			msg.Blocks = append(msg.Blocks, section(fmt.Sprintf("… and %d more", len(m.Items)-n)))
			break
		}
		msg.Blocks = append(msg.Blocks, section(markdown(i)))
	}
	return msg
}

func section(s string) block { return block{"section", text{"mrkdwn", s}} }

// markdown is an item in Slack's own Markdown. Its links are kept whole: the text before them is cut.
func markdown(i alert.Item) string {
	var b, links strings.Builder
	b.WriteString("*" + escape(i.Headline()) + "*")
	for _, d := range i.Details() {
		b.WriteString("\n" + d.Label + ": " + escape(d.Text))
	}
	if i.Link != "" {
		links.WriteString("\n<" + escape(i.Link) + "|Board>")
	}
	if i.Runbook != "" {
		links.WriteString("\n<" + escape(i.Runbook) + "|Runbook>")
	}
	return alert.Cut(b.String(), mostSection-links.Len()) + links.String()
}

// escaper is for the three characters that Slack asks to be escaped: they make links and mentions.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func escape(s string) string { return escaper.Replace(s) }
