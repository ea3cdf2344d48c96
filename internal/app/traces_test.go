package app_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spans is a collector that keeps what it is sent.
type spans struct {
	mu  sync.Mutex
	all map[string]*otlp.Span // by id
}

func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	doc := &collector.ExportTraceServiceRequest{}
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, doc) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range doc.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				s.all[hex.EncodeToString(span.SpanId)] = span
			}
		}
	}
}

// path is a span's name with those of what it is within, up to what was not sent.
func (s *spans) path(span *otlp.Span) string {
	parent, ok := s.all[hex.EncodeToString(span.ParentSpanId)]
	if !ok {
		return span.Name
	}
	return s.path(parent) + "/" + span.Name
}

// paths counts the spans by their path.
func (s *spans) paths() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, span := range s.all {
		n[s.path(span)]++
	}
	return n
}

func TestATraceGoesFromTheAnnouncementToTheLastPage(t *testing.T) {
	t.Parallel()
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	got := &spans{all: map[string]*otlp.Span{}}
	server := httptest.NewServer(got)
	t.Cleanup(server.Close)
	c := newCluster(t)
	text, err := os.ReadFile(c.config)
	require.NoError(t, err)
	// No trace begins here: all that is sent is the upstream team's.
	require.NoError(t, os.WriteFile(c.config, append(text, fmt.Sprintf("tracing: {endpoint: %q, sample: 0}\n", server.URL)...), 0o600))
	seed(t, c.source, 1001, 9000)
	seed(t, c.source, 1002, 100)
	log := &output{}
	p := c.logging(slog.NewJSONHandler(log, nil))
	// It is the more urgent one: none of its tasks gives way to the other's units.
	c.announce(ka(1002, time.Now().Add(25*time.Minute)))
	payload, err := json.Marshal(request(ka(1001, time.Now().Add(30*time.Minute))))
	require.NoError(t, err)
	task := asynq.NewTaskWithHeaders("warm:request", payload, map[string]string{"traceparent": "00-" + trace + "-" + parent + "-01"})
	_, err = c.client.EnqueueContext(t.Context(), task, asynq.Queue("intake"))
	require.NoError(t, err)
	c.becomes(soon, 1001, "ready")
	c.becomes(soon, 1002, "ready")
	require.NoError(t, p.app.Stop(t.Context()), "which sends what is left")

	run, _, _ := c.run(1001)
	units := c.number("SELECT COUNT(*) FROM units WHERE run_id = ?", run)
	pages := c.number("SELECT SUM(pages) FROM units WHERE run_id = ?", run)
	require.Greater(t, pages, units, "a unit of several pages")
	const page = "request/plan/unit/page"
	n := got.paths()
	require.Equal(t, 1, n["request"])
	require.Equal(t, 1, n["request/plan"])
	require.GreaterOrEqual(t, n["request/plan/unit"], units)
	require.GreaterOrEqual(t, n[page], pages)
	require.Equal(t, n[page], n[page+"/read"])
	require.Equal(t, n[page], n[page+"/record"])
	require.LessOrEqual(t, n[page+"/encode"], n[page])
	require.Positive(t, n[page+"/encode"])
	require.Positive(t, n[page+"/write"])
	require.Len(t, n, 8, "%v", n)
	for _, span := range got.all {
		require.Equal(t, trace, hex.EncodeToString(span.TraceId))
		require.LessOrEqual(t, span.StartTimeUnixNano, span.EndTimeUnixNano)
		if span.Name == "request" {
			require.Equal(t, parent, hex.EncodeToString(span.ParentSpanId))
		}
		if span.Name == "unit" {
			said := map[string]string{}
			for _, a := range span.Attributes {
				said[a.Key] = a.Value.GetStringValue()
			}
			require.Equal(t, run, said["run"])
			require.Equal(t, "1001", said["shop"])
		}
	}
	lines := 0
	for line := range strings.Lines(log.String()) {
		var said struct {
			Msg, Run, Shop string
			TraceID        string `json:"trace_id"`
			SpanID         string `json:"span_id"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &said))
		if said.Shop == "1001" && said.Msg == "planned" {
			lines++
			require.Equal(t, trace, said.TraceID)
			require.Equal(t, "request/plan", got.path(got.all[said.SpanID]))
		}
	}
	require.Equal(t, 1, lines)
}
