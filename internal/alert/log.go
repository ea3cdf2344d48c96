package alert

import (
	"context"
	"log/slog"
)

// logSink writes alerts to the log.
type logSink struct{ log *slog.Logger }

func (s logSink) Send(ctx context.Context, a Alert) {
	level := slog.LevelWarn
	switch a.Severity {
	case Info:
		level = slog.LevelInfo
	case Critical:
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("alert", a.Name)}
	for _, at := range []slog.Attr{slog.String("shop_id", a.Shop), slog.String("run_id", a.Run), slog.String("remedy", a.Remedy)} {
		if at.Value.String() != "" {
			attrs = append(attrs, at)
		}
	}
	s.log.LogAttrs(ctx, level, a.Summary, attrs...) //nolint:sloglint // an alert's summary is its message
}
