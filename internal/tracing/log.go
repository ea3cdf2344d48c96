package tracing

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// Log has a pod's log lines say which span they belong to.
func (t *Tracer) Log(log *slog.Logger) *slog.Logger {
	if t == nil {
		return log
	}
	return slog.New(ids{log.Handler()})
}

// ids adds trace_id and span_id to lines that are written within a span.
type ids struct{ slog.Handler }

// Handle implements slog.Handler.
func (h ids) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h ids) WithAttrs(attrs []slog.Attr) slog.Handler { return ids{h.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (h ids) WithGroup(name string) slog.Handler { return ids{h.Handler.WithGroup(name)} }
