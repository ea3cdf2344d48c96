package config

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Tracing is where spans go.
type Tracing struct {
	Endpoint    string  `yaml:"endpoint,omitempty"`     // of a collector that takes OTLP over HTTP; empty: no traces
	Sample      float64 `yaml:"sample"`                 // share of the traces that begin here; those that upstream has begun are as it says; default 0.1
	HeadersFile string  `yaml:"headers_file,omitempty"` // sent with the spans, `Name: value` a line; read at start
}

// Headers are those of the headers file.
func (t Tracing) Headers() (map[string]string, error) {
	if t.HeadersFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(t.HeadersFile)
	if err != nil {
		return nil, fmt.Errorf("tracing.headers_file: cannot read %s: %s", t.HeadersFile, reason(err))
	}
	headers := map[string]string{}
	for i, line := range strings.Split(string(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("tracing.headers_file: line %d of %s is not of the form Name: value", i+1, t.HeadersFile)
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

func (p *problems) tracing(t Tracing) {
	p.webURL("tracing.endpoint", t.Endpoint)
	if u, err := url.Parse(t.Endpoint); err == nil && (u.User != nil || u.RawQuery != "") {
		p.add("tracing.endpoint", "holds a password or a query", "write http://host:4318, and what the collector wants to know into headers_file")
	}
	if !(t.Sample >= 0 && t.Sample <= 1) {
		p.add("tracing.sample", fmt.Sprintf("is %g", t.Sample), "write a share from 0 to 1: 0.1 is every tenth")
	}
	if t.Endpoint == "" && t.HeadersFile != "" {
		p.add("tracing.headers_file", "is set, and there is no tracing.endpoint", "name the collector there, or remove it")
		return
	}
	if _, err := t.Headers(); err != nil {
		p.add("tracing.headers_file", strings.TrimPrefix(err.Error(), "tracing.headers_file: "), "write one header a line, such as Authorization: Bearer …")
	}
}
