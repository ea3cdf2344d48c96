package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Attr is something that is said of a span.
type Attr = attribute.KeyValue

// Text says a text.
func Text(name, value string) Attr { return attribute.String(name, value) }

// Count says a number.
func Count[N int | int64](name string, value N) Attr { return attribute.Int64(name, int64(value)) }

// Span is something that takes its time. The zero Span is that of a trace that nobody records.
type Span struct{ span trace.Span }

// On says whether spans within the context are recorded.
func On(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Start begins a span within the context's. Within none it begins a trace, if the context came from a Tracer.
func Start(ctx context.Context, name string, attrs ...Attr) (context.Context, Span) {
	t := tracerOf(ctx)
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.Start(ctx, name, trace.WithAttributes(attrs...)) //nolint:spancheck // the caller ends it
	return ctx, Span{span}                                          //nolint:spancheck // the same
}

func tracerOf(ctx context.Context) trace.Tracer {
	if within := trace.SpanFromContext(ctx); within.IsRecording() {
		return within.TracerProvider().Tracer(scope)
	}
	t, _ := ctx.Value(tracerKey{}).(trace.Tracer)
	return t
}

// Apart is the context without its span: what is done in it belongs to something else.
func Apart(ctx context.Context) context.Context {
	return trace.ContextWithSpanContext(ctx, trace.SpanContext{})
}

// Set says more of a span.
func (s Span) Set(attrs ...Attr) {
	if s.span != nil {
		s.span.SetAttributes(attrs...)
	}
}

// End ends a span, with the error that ended its work; nil is none.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// Past is a span within the context's that is over.
func Past(ctx context.Context, name string, from, to time.Time, attrs ...Attr) context.Context {
	t := tracerOf(ctx)
	if t == nil {
		return ctx
	}
	ctx, span := t.Start(ctx, name, trace.WithTimestamp(from), trace.WithAttributes(attrs...))
	span.End(trace.WithTimestamp(to))
	return ctx
}
