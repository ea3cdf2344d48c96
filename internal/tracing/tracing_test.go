package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collect is a collector: it answers with a status and keeps what it was sent.
func collect(t *testing.T, status int) (endpoint string, sent chan *http.Request, got chan *collector.ExportTraceServiceRequest) {
	t.Helper()
	sent, got = make(chan *http.Request, 10), make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		doc := &collector.ExportTraceServiceRequest{}
		if err != nil || proto.Unmarshal(body, doc) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Connection", "close") // or a connection outlives the test
		w.WriteHeader(status)
		sent <- r
		got <- doc
	}))
	t.Cleanup(server.Close)
	return server.URL, sent, got
}

func open(t *testing.T, cfg config.Tracing, log io.Writer) *tracing.Tracer {
	t.Helper()
	tracer, err := tracing.New(t.Context(), cfg, "pod-1", "v1", slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	return tracer
}

func TestSpansAreSentWithTheHeadersOfTheFile(t *testing.T) {
	t.Parallel()
	endpoint, sent, got := collect(t, http.StatusOK)
	file := filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(file, []byte("Authorization: Bearer: s3cret\n\nX-Tenant:live\n"), 0o600))
	tracer := open(t, config.Tracing{Endpoint: endpoint, Sample: 1, HeadersFile: file}, io.Discard)
	ctx, outer := tracing.Start(tracer.FromTask(t.Context(), nil), "outer", tracing.Text("shop", "7"), tracing.Count("rows", 3))
	require.True(t, tracing.On(ctx))
	inner := tracing.Past(ctx, "inner", time.Unix(1, 0), time.Unix(2, 0))
	require.NotEqual(t, tracing.Headers(ctx), tracing.Headers(inner))
	outer.End(errors.New("it broke"))
	require.NoError(t, tracer.Close())
	r := <-sent
	require.Equal(t, "/v1/traces", r.URL.Path)
	require.Equal(t, "Bearer: s3cret", r.Header.Get("Authorization"))
	require.Equal(t, "live", r.Header.Get("X-Tenant"))
	resource := (<-got).ResourceSpans[0]
	require.Contains(t, resource.Resource.String(), "pod-1")
	spans := resource.ScopeSpans[0].Spans
	require.Len(t, spans, 2)
	require.Equal(t, "inner", spans[0].Name)
	require.EqualValues(t, time.Second, spans[0].EndTimeUnixNano-spans[0].StartTimeUnixNano)
	require.Equal(t, spans[1].SpanId, spans[0].ParentSpanId)
	require.Equal(t, "it broke", spans[1].Status.Message)
}

func TestATraceIsSampledAsItsBeginningSays(t *testing.T) {
	t.Parallel()
	endpoint, _, _ := collect(t, http.StatusOK)
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
	for sample, begun := range map[float64]bool{0: false, 1: true} {
		tracer := open(t, config.Tracing{Endpoint: endpoint, Sample: sample}, io.Discard)
		for headers, want := range map[string]bool{"": begun, trace + "1": true, trace + "0": false} {
			ctx, _ := tracing.Start(tracer.FromTask(t.Context(), map[string]string{"traceparent": headers}), "x")
			require.Equal(t, want, tracing.On(ctx), "%v %s", sample, headers)
			if headers != "" {
				require.Contains(t, tracing.Headers(ctx)["traceparent"], trace[:35])
			}
			ctx, _ = tracing.Start(tracing.Apart(ctx), "y")
			require.Equal(t, begun, tracing.On(ctx), "what stands apart begins a trace")
		}
		require.NoError(t, tracer.Close())
	}
}

func TestWithoutACollectorNothingIsMade(t *testing.T) {
	t.Parallel()
	tracer := open(t, config.Tracing{Sample: 1}, io.Discard)
	require.Nil(t, tracer)
	require.NoError(t, tracer.Close())
	ctx, span := tracing.Start(tracer.FromTask(t.Context(), map[string]string{"traceparent": "x"}), "x")
	span.Set(tracing.Text("a", "b"))
	span.End(nil)
	require.Equal(t, t.Context(), ctx)
	require.Equal(t, ctx, tracing.Past(ctx, "x", time.Time{}, time.Time{}))
	require.Nil(t, tracing.Headers(ctx))
	log := slog.New(slog.DiscardHandler)
	require.Same(t, log, tracer.Log(log))
}

func TestLinesSayTheirSpan(t *testing.T) {
	t.Parallel()
	endpoint, _, _ := collect(t, http.StatusOK)
	var text bytes.Buffer
	tracer := open(t, config.Tracing{Endpoint: endpoint, Sample: 1}, io.Discard)
	log := tracer.Log(slog.New(slog.NewTextHandler(&text, nil))).With("pod", "p")
	log.InfoContext(t.Context(), "outside")
	require.NotContains(t, text.String(), "trace_id")
	ctx, span := tracing.Start(tracer.FromTask(t.Context(), nil), "x")
	log.InfoContext(ctx, "inside")
	parts := strings.Split(tracing.Headers(ctx)["traceparent"], "-")
	require.Contains(t, text.String(), "msg=inside pod=p trace_id="+parts[1]+" span_id="+parts[2])
	span.End(nil)
	require.NoError(t, tracer.Close())
}

func TestACollectorThatRefusesIsToldOfAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	endpoint, _, _ := collect(t, http.StatusForbidden)
	var text bytes.Buffer
	tracer := open(t, config.Tracing{Endpoint: endpoint, Sample: 1}, &text)
	_, span := tracing.Start(tracer.FromTask(context.Background(), nil), "x")
	span.End(nil)
	require.NoError(t, tracer.Close())
	require.Contains(t, text.String(), "send spans to tracing.endpoint; they are lost")
}

func TestHeadersThatCannotBeReadAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(file, []byte("s3cret"), 0o600))
	_, err := tracing.New(t.Context(), config.Tracing{Endpoint: "http://127.0.0.1:1", HeadersFile: file}, "p", "v", slog.Default())
	require.ErrorContains(t, err, "line 1 of")
	require.NotContains(t, err.Error(), "s3cret")
}
