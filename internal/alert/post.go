package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Post is a POST to one address, which is a secret: webhooks carry their token in it.
type Post struct {
	URL         string
	Token       string // "": no Authorization header
	ContentType string // "": application/json
}

// mostAnswer is how much of an answer is read, in bytes; those that are understood have a hundred.
const mostAnswer = 16 << 10

// client follows no redirects: it would hand the token to somebody else.
var client = &http.Client{
	Transport:     http.DefaultTransport.(*http.Transport).Clone(), //nolint:errcheck // it is one
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// JSON sends a document and returns the answer, which must be a success. No error names the address or the token.
func (p Post) JSON(ctx context.Context, doc any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("encode the message: %w", err)
	}
	return p.Bytes(ctx, b.Bytes())
}

// Bytes is like JSON, with a body that is written already.
func (p Post) Bytes(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its url cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	if p.ContentType != "" {
		req.Header.Set("Content-Type", p.ContentType)
	}
	req.Header.Set("User-Agent", "prewarm")
	if p.Token != "" {
		req.Header.Set("Authorization", "Bearer "+p.Token)
	}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address
		}
		return nil, fmt.Errorf("reach it: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices || resp.StatusCode < http.StatusOK {
		return nil, fmt.Errorf("it answered %s: %s", resp.Status, p.Quote(string(answer)))
	}
	return answer, nil
}

// Quote is a piece of an answer that can be shown: it may repeat what was sent.
func (p Post) Quote(answer string) string {
	secrets := []string{p.Token}
	if u, err := url.Parse(p.URL); err == nil {
		password, _ := u.User.Password()
		secrets = append(secrets, password, u.RawQuery, u.Path[strings.LastIndexByte(u.Path, '/')+1:])
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
	}
	for _, s := range secrets {
		const short = 8 // what is shorter is a word, and no secret
		if len(s) >= short {
			answer = strings.ReplaceAll(answer, s, "xxxxx")
		}
	}
	return Cut(strings.TrimSpace(answer), 300)
}
