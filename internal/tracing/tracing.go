// Package tracing owns OpenTelemetry: spans of what prewarm does, sent to a collector by OTLP over HTTP, and their ids in tasks'
// headers and log lines. Nobody else imports it.
//
//	request ─► plan ─► unit ─► page ─► read ─► encode
//	                             ├───► write
//	                             └───► record
//
// A span's parent is the one in the context, which comes over the queue as a W3C traceparent. Without a Tracer, and in a trace
// that is not sampled, contexts hold no span that records, and nothing is made.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/prewarm-go/prewarm/internal/config"
)

const (
	// scope is what the spans are made by.
	scope = "github.com/prewarm-go/prewarm"
	// defaultPath is where a collector takes traces.
	defaultPath = "/v1/traces"
	// sendTime bounds one batch, its repeats included.
	sendTime = 10 * time.Second
	// closeTime bounds what a pod that ends waits for its last spans to be taken.
	closeTime = 3 * time.Second
	// complainEvery is how often a collector that does not answer is told of.
	complainEvery = time.Minute
)

// Tracer makes spans and sends them. A nil Tracer makes none. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// New is a Tracer for a pod, or nil if no collector is configured. It connects to nothing yet.
func New(ctx context.Context, cfg config.Tracing, pod, version string, log *slog.Logger) (*Tracer, error) {
	if cfg.Endpoint == "" {
		return nil, nil //nolint:nilnil // off
	}
	at, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint is not a URL")
	}
	headers, err := cfg.Headers()
	if err != nil {
		return nil, err
	}
	path := at.Path
	if path == "" || path == "/" {
		path = defaultPath
	}
	opts := []otlptracehttp.Option{otlptracehttp.WithEndpoint(at.Host), otlptracehttp.WithURLPath(path), otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithTimeout(sendTime)}
	if at.Scheme == "http" {
		opts = append(opts, otlptracehttp.WithInsecure())
	}
	exporter, err := otlptracehttp.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(&complaining{SpanExporter: exporter, log: log}),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(cfg.Sample))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "prewarm"), attribute.String("service.version", version),
			attribute.String("service.instance.id", pod))),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope)}, nil
}

// Close sends what is left.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// complaining logs what cannot be sent. The spans are lost; nothing waits for a collector.
type complaining struct {
	sdk.SpanExporter
	log  *slog.Logger
	mu   sync.Mutex
	last time.Time
}

// ExportSpans implements sdk.SpanExporter.
func (c *complaining) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) >= complainEvery {
		c.last = time.Now()
		c.log.WarnContext(ctx, "send spans to tracing.endpoint; they are lost", "spans", len(spans), "error", err)
	}
	return nil
}

// w3c reads and writes traceparent and tracestate.
var w3c = propagation.TraceContext{}

type tracerKey struct{}

// FromTask is the context of a task's work: its parent stands in the task's headers.
func (t *Tracer) FromTask(ctx context.Context, headers map[string]string) context.Context {
	if t == nil {
		return ctx
	}
	return w3c.Extract(context.WithValue(ctx, tracerKey{}, t.tracer), propagation.MapCarrier(headers))
}

// HTTP has requests' spans belong to what the client says they belong to.
func (t *Tracer) HTTP(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), tracerKey{}, t.tracer)
		next.ServeHTTP(w, r.WithContext(w3c.Extract(ctx, propagation.HeaderCarrier(r.Header))))
	})
}

// Headers are what a task must carry so that its work belongs to the context's span; nil if there is none.
func Headers(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	headers := propagation.MapCarrier{}
	w3c.Inject(ctx, headers)
	return headers
}
