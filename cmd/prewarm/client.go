package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// remote is what verbs that ask a running prewarm have in common.
type remote struct {
	output
	Server    string `default:"http://127.0.0.1:8080" env:"PREWARM_SERVER" placeholder:"URL" help:"A running prewarm (${default})."`
	TokenFile string `type:"path" placeholder:"FILE" help:"File with the token; default: PREWARM_TOKEN holds it."`

	within context.Context // bounds every call; nil: askTime alone does
}

const (
	askTime   = 5 * time.Minute // 10,000 broadcasts in one request take a while
	maxAnswer = 64 << 20        // bytes; 1000 runs are 1 MiB
)

// errToken: the server wants a token, and asking again without one is of no use.
var errToken = errors.New("prewarm wants a token: set PREWARM_TOKEN, or give --token-file")

// ask sends a request and decodes the answer into out.
func (r remote) ask(t *terminal, method, path string, body io.Reader, out any) error {
	token, err := r.token(t)
	if err != nil {
		return err
	}
	base, err := url.Parse(r.Server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return usageError{errors.New("--server is not a URL; write http://host:8080")}
	}
	ctx := r.within
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base.String(), "/")+path, body)
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("reach prewarm at %s: %w; start it with `prewarm serve`, or name it with --server or PREWARM_SERVER",
			config.RedactURL(r.Server), cause(err))
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read prewarm's answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return refusal(resp, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("what answers at %s is not prewarm; correct --server or PREWARM_SERVER", config.RedactURL(r.Server))
	}
	return nil
}

// post sends a document.
func (r remote) post(t *terminal, path string, doc, out any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	return r.ask(t, http.MethodPost, path, bytes.NewReader(text), out)
}

func (r remote) token(t *terminal) (string, error) {
	if r.TokenFile == "" {
		for _, kv := range t.environ {
			if v, ok := strings.CutPrefix(kv, "PREWARM_TOKEN="); ok {
				return strings.TrimSpace(v), nil
			}
		}
		return "", nil
	}
	text, err := os.ReadFile(r.TokenFile)
	if err != nil {
		return "", usageError{fmt.Errorf("--token-file: %w", err)}
	}
	return strings.TrimSpace(string(text)), nil
}

// cause takes the URL out of an error: it may hold a password, and is named already.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// refusal is a problem document as an error that says what to do next.
func refusal(resp *http.Response, text []byte) error {
	var p struct {
		Detail string
		Errors []struct{ Message, Location string }
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&p); err != nil || p.Detail == "" {
		p.Detail = "the server answered " + resp.Status
	}
	for _, e := range p.Errors {
		p.Detail += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	p.Detail = clean(p.Detail)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return errToken
	case http.StatusNotFound:
		return errors.New(p.Detail + "; see `prewarm runs`")
	case http.StatusConflict:
		return errors.New(p.Detail + "; see `prewarm run ID`")
	case http.StatusServiceUnavailable:
		return errors.New(p.Detail + "; try again, and see `prewarm doctor`")
	}
	return errors.New(p.Detail)
}
