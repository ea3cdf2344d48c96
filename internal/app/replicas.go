package app

import (
	"context"
	"database/sql"
	"fmt"
	"maps"

	"github.com/go-sql-driver/mysql"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/mysqlconn"
	"github.com/prewarm-go/prewarm/internal/replica"
	"github.com/prewarm-go/prewarm/internal/source"
)

// replicas are those of all sources.
type replicas struct {
	watched map[string]*sql.DB      // by their names, to ask how they are
	read    map[string]*replica.Set // by source, of those that pages are read from
	of      map[string]*replica.Set // the same, by dataset
}

// readReplicas lets pages be read at the replicas of the sources that say so.
func (a *App) readReplicas(bound []*source.Bound) {
	a.replicas.read, a.replicas.of = map[string]*replica.Set{}, map[string]*replica.Set{}
	var metrics *replica.Metrics
	for name, cfg := range a.cfg.Sources {
		if cfg.ReadFrom != config.ReadReplica || a.opts.Sources != nil {
			continue
		}
		if metrics == nil {
			metrics = replica.NewMetrics(a.reg)
		}
		of := map[string]*source.Bound{}
		for _, b := range bound {
			if b.Source() == a.sources[name] {
				of[b.Spec().Name] = b
			}
		}
		set := replica.New(replica.Config{
			Name: name, Source: cfg, Width: a.cfg.Width.MaxPerPod, Primary: a.sources[name], Datasets: of, Metrics: metrics, Log: a.log,
		})
		a.onClose(set.Close)
		a.replicas.read[name] = set
		for dataset := range of {
			a.replicas.of[dataset] = set
		}
	}
}

// runReplicas looks at the replicas until the context ends.
func (a *App) runReplicas(ctx context.Context) {
	for _, set := range a.replicas.read {
		a.loops.Go(func() { set.Run(ctx) })
	}
}

// begin is load.Loader.Begin.
func (r *replicas) begin(dataset string) load.Elsewhere {
	set := r.of[dataset]
	if set == nil {
		return nil
	}
	if reader := set.Begin(dataset); reader != nil {
		return elsewhere{reader}
	}
	return nil
}

// elsewhere is a Reader as the loader sees it.
type elsewhere struct{ *replica.Reader }

func (e elsewhere) Next(ctx context.Context, known int64) (load.Pages, string, int64) {
	if at, name, since := e.Reader.Next(ctx, known); at != nil {
		return at, name, since
	}
	return nil, "", known
}

// bound is a dataset as it is read at a replica; nil: it is not now.
func (r *replicas) bound(name, dataset string) *source.Bound {
	if set := r.of[dataset]; set != nil {
		return set.Bound(name, dataset)
	}
	return nil
}

// servers are the sources, and the replicas that pages are read from.
func (a *App) servers() map[string]*source.Source {
	all := maps.Clone(a.sources)
	for _, set := range a.replicas.read {
		maps.Copy(all, set.Servers())
	}
	return all
}

// watchReplica watches a replica. One that pages are read from is loaded by us, as its source would be; that it is away says
// nothing, as pages are read elsewhere then.
func (a *App) watchReplica(w *guard.Watch, add func(*guard.Gauge, guard.Reader), name string, db *sql.DB) {
	of := func(read func(context.Context, *sql.DB) (float64, error)) guard.Reader {
		return func(ctx context.Context) (float64, error) { return read(ctx, db) }
	}
	if !a.replicas.reads(name) {
		add(guard.ReplicaLag(name, a.cfg.Guard.ReplicaLag), of(guard.ReadReplicaLag))
		return
	}
	w.Add(guard.ReadReplica(name), of(guard.ReadReplicaLag))
	for g, read := range map[*guard.Gauge]guard.Reader{
		guard.ThreadsRunning(name, a.cfg.Guard.ThreadsRunning): of(guard.ReadThreadsRunning), guard.Connections(name, a.cfg.Guard.Connections): of(guard.ReadConnections),
	} {
		g.Own = true
		w.Add(g, read)
	}
	if g := guard.MySQLReads(name, a.cfg.Pace.Crowd); g.Limits.Stop > 0 {
		w.Add(g, nil) // the leader feeds it
	}
}

// reads says whether pages are read from a replica.
func (r *replicas) reads(name string) bool {
	for _, set := range r.read {
		if set.Has(name) {
			return true
		}
	}
	return false
}

// openReplicas prepares to ask a source's replicas how they are, with the source's certificates. One that cannot be reached is
// found when it is first asked.
func (a *App) openReplicas(name string, cfg config.Source) error {
	for i, text := range cfg.Replicas {
		field := fmt.Sprintf("sources.%s.replicas[%d]", name, i)
		dsn, err := mysql.ParseDSN(text)
		if err != nil { // the driver's words may quote the password
			return fmt.Errorf("%s is not of the form user:password@tcp(host:port)/", field)
		}
		if err := mysqlconn.Secure("sources."+name, dsn, cfg.TLS); err != nil {
			return err
		}
		connector, err := mysql.NewConnector(dsn)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		db := sql.OpenDB(connector)
		db.SetMaxOpenConns(1)
		a.onClose(db.Close)
		if a.replicas.watched == nil {
			a.replicas.watched = map[string]*sql.DB{}
		}
		a.replicas.watched[source.ReplicaName(name, i)] = db
	}
	return nil
}
