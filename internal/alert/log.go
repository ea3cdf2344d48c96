package alert

import (
	"context"
	"log/slog"
)

// write puts an alert into the log.
func (d *Dispatcher) write(ctx context.Context, a Alert) {
	level := slog.LevelWarn
	switch a.Severity {
	case Info:
		level = slog.LevelInfo
	case Critical:
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("alert", a.Name)}
	for _, at := range []slog.Attr{
		slog.String("shop_id", a.Shop), slog.String("run_id", a.Run), slog.String("about", a.About),
		slog.String("why", a.Why), slog.String("remedy", a.Remedy),
	} {
		if at.Value.String() != "" {
			attrs = append(attrs, at)
		}
	}
	d.log.LogAttrs(ctx, level, a.Summary, attrs...) //nolint:sloglint // an alert's summary is its message
}
