package main

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/source"
)

// binlog says what the binlog of a source that is to be read so lacks. Datasets that cannot be bound have been told already.
func (d *doctor) binlog(ctx context.Context, name string, src *source.Source) {
	if !d.cfg.Feed.Binlog.Reads(name) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	check := "source " + name + " binlog"
	var bound []*source.Bound
	for _, spec := range d.cfg.Datasets {
		if of, err := d.cfg.SourceOf(spec); err != nil || of != name {
			continue
		}
		if b, err := src.Bind(ctx, spec); err == nil {
			bound = append(bound, b)
		}
	}
	lacks, err := src.BinlogLacks(ctx, bound)
	if err != nil {
		d.failed(check, err, "look at the server's settings of the binlog")
		return
	}
	for _, l := range lacks {
		level := warn
		if l.Stops {
			level = fail
		}
		d.found(check, level, l.What, l.Remedy)
	}
	if len(lacks) == 0 {
		d.found(check, ok, "tells every change", "")
	}
}
