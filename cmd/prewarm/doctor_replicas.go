package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/grants"
	"github.com/prewarm-go/prewarm/internal/source"
)

// replicaReach is how long a replica may take to have what its primary has before the doctor says that it is behind.
const replicaReach = 2 * time.Second

// replicas checks the replicas that a source's pages are to be read at.
func (d *doctor) replicas(ctx context.Context, name string, primary *source.Source) {
	cfg := d.cfg.Sources[name]
	if cfg.ReadFrom != config.ReadReplica {
		return
	}
	for i, dsn := range cfg.Replicas {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		d.replica(ctx, name, i, dsn, primary)
		cancel()
	}
}

func (d *doctor) replica(ctx context.Context, name string, i int, dsn string, primary *source.Source) {
	check := "replica " + source.ReplicaName(name, i)
	replica, err := source.OpenReplica(ctx, name, i, d.cfg.Sources[name], d.cfg.Width.MaxPerPod)
	if err != nil {
		d.failed(check, err, "")
		return
	}
	defer func() { _ = replica.Close() }()
	lacks, err := primary.ReplicaLacks(ctx, replica)
	switch {
	case err != nil:
		d.failed(check, err, leastRights)
		return
	case len(lacks) == 0:
		d.found(check, ok, config.RedactDSN(dsn), "")
	}
	for _, l := range lacks {
		level := warn // until somebody starts it, the primary is read
		if l.Stops {
			level = fail
		}
		d.found(check, level, l.What, l.Remedy)
	}
	d.mysqlRights(ctx, check+" rights", replica.DB(), grants.Reader)
	if err := d.sameTables(ctx, name, primary, replica); err != nil {
		d.failed(check+" tables", err, "")
		return
	}
	d.found(check+" tables", ok, "as at the source", "")
	if len(lacks) == 0 {
		d.lag(ctx, check, primary, replica)
	}
}

// sameTables binds the datasets that are read in pages at both. What is wrong with them at the source has been told.
func (d *doctor) sameTables(ctx context.Context, name string, primary, replica *source.Source) error {
	for _, spec := range d.cfg.Datasets {
		if of, err := d.cfg.SourceOf(spec); err != nil || of != name || !spec.Paged() {
			continue
		}
		here, err := primary.Bind(ctx, spec)
		if err != nil {
			continue
		}
		there, err := replica.Bind(ctx, spec)
		if err != nil {
			return err
		}
		if err := here.Alike(there); err != nil {
			return err
		}
	}
	return nil
}

// lag looks whether the replica has what the primary has now.
func (d *doctor) lag(ctx context.Context, check string, primary, replica *source.Source) {
	position, err := primary.BinlogPosition(ctx)
	if err != nil {
		d.failed(check+" position", err, "")
		return
	}
	session, err := replica.DB().Conn(ctx)
	if err != nil {
		d.failed(check+" position", err, "")
		return
	}
	defer func() { _ = session.Close() }()
	began := time.Now()
	switch reached, err := replica.Reached(ctx, session, position, replicaReach); {
	case err != nil:
		d.failed(check+" position", err, "")
	case !reached:
		d.found(check+" position", warn, fmt.Sprintf("is more than %s behind, and so not read now", replicaReach), "look at Seconds_Behind_Source (MariaDB: Seconds_Behind_Master) in SHOW REPLICA STATUS")
	default:
		d.found(check+" position", ok, fmt.Sprintf("has what the source has within %s", time.Since(began).Round(time.Millisecond)), "")
	}
}
