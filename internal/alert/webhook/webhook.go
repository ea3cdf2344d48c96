// Package webhook owns the sink for anything that takes a POST: with a document of prewarm's own, or with a body that a
// template of text/template writes.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"text/template"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// Sink posts to one address.
type Sink struct {
	Post     alert.Post
	Template *template.Template // nil: the document as JSON
}

// Document is what is posted, and what a template works on.
type Document struct {
	Version int          `json:"version"` // 1; more fields may be added
	Title   string       `json:"title"`
	Status  string       `json:"status"` // the worst severity of what fires, or "resolved"
	Board   string       `json:"board,omitempty"`
	Text    string       `json:"text"` // all of it, for people
	Alerts  []alert.Item `json:"alerts"`
}

// mostText is how long Document's Text is, in bytes.
const mostText = 16_000

// Parse reads a template. In it {{json .Title}} writes a value as JSON.
func Parse(text string) (*template.Template, error) {
	t, err := template.New("alerts").Option("missingkey=error").Funcs(template.FuncMap{"json": asJSON}).Parse(text)
	if err != nil {
		return nil, err
	}
	if err := t.Execute(&bytes.Buffer{}, Document{Alerts: []alert.Item{{}}}); err != nil {
		return nil, err // a field that does not exist
	}
	return t, nil
}

func asJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// Send implements alert.Sink.
func (s Sink) Send(ctx context.Context, m alert.Message) error {
	doc := Document{Version: 1, Title: m.Title(), Status: m.Status(), Board: m.Board, Text: m.Text(mostText), Alerts: m.Items}
	if s.Template == nil {
		_, err := s.Post.JSON(ctx, doc)
		return err
	}
	var body bytes.Buffer
	if err := s.Template.Execute(&body, doc); err != nil {
		return fmt.Errorf("write the message by its template: %w", err)
	}
	_, err := s.Post.Bytes(ctx, body.Bytes())
	return err
}
