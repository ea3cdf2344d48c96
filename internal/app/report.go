package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/report"
	"github.com/prewarm-go/prewarm/tasks/readthrough"
)

const (
	// reportAt is when the report of the day before is sent, after midnight in the pods' zone.
	reportAt = 10 * time.Minute
	// reportLook is how often the leader looks whether that is due.
	reportLook = 30 * time.Second
	// throttleLook is how often it notes what holds the work back.
	throttleLook = 2 * time.Second
	// reportRuns and reportAudits bound a report.
	reportRuns   = 100_000
	reportAudits = 10_000
)

// reports makes reports from the ledger.
type reports struct{ a *App }

var _ api.Reports = reports{}

// Report is that of a day: 2006-01-02 in the pods' zone; "" is today.
func (x reports) Report(ctx context.Context, day string) (report.Report, error) {
	l := x.a.ledger
	now, err := l.Now(ctx)
	if err != nil {
		return report.Report{}, err
	}
	if day == "" {
		day = now.Local().Format(time.DateOnly)
	}
	from, err := time.ParseInLocation(time.DateOnly, day, time.Local)
	if err != nil {
		return report.Report{}, fmt.Errorf("%w: a day is written 2006-01-02", api.ErrInvalid)
	}
	in := report.Input{Day: day, From: from, To: from.AddDate(0, 0, 1), Now: now, Units: map[string][]ledger.Unit{}, Attempts: map[string][]ledger.Attempt{}}
	if in.Runs, err = l.RunsOn(ctx, in.From, in.To, reportRuns); err != nil {
		return report.Report{}, err
	}
	first := in.From
	for _, run := range in.Runs {
		if run.CreatedAt.Before(first) {
			first = run.CreatedAt
		}
		if in.Units[run.ID], err = l.Units(ctx, run.ID, run.Epoch); err != nil {
			return report.Report{}, err
		}
		if in.Attempts[run.ID], err = l.Attempts(ctx, run); err != nil {
			return report.Report{}, err
		}
	}
	if in.Throttles, err = l.Throttles(ctx, first, in.To.Add(x.a.cfg.Policy.MaxBroadcast)); err != nil {
		return report.Report{}, err
	}
	if in.Requests, err = l.RequestsOn(ctx, in.From, in.To); err != nil {
		return report.Report{}, err
	}
	if in.Audits, err = l.Audits(ctx, in.From, in.To, reportAudits); err != nil {
		return report.Report{}, err
	}
	if in.Reads, err = x.reads(ctx, day, in.Runs); err != nil { // a report without them is better than none
		x.a.log.WarnContext(ctx, "read what applications have counted", "error", err)
	}
	return report.Build(in), nil
}

// reads adds up what applications have counted of the runs' shops, on each cache.
func (x reports) reads(ctx context.Context, day string, runs []ledger.Run) (sum report.Reads, err error) {
	var counts []*redis.MapStringStringCmd
	for _, client := range x.a.caches.All() {
		seen := map[string]bool{}
		_, failed := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, run := range runs {
				if !seen[run.ShopID] {
					seen[run.ShopID] = true
					counts = append(counts, pipe.HGetAll(ctx, readthrough.CountsKey(run.ShopID, day)))
				}
			}
			return nil
		})
		err = errors.Join(err, failed)
	}
	for _, c := range counts {
		hits, _ := strconv.ParseInt(c.Val()[readthrough.FieldHits], 10, 64)
		misses, _ := strconv.ParseInt(c.Val()[readthrough.FieldMisses], 10, 64)
		sum.Hits, sum.Misses = sum.Hits+hits, sum.Misses+misses
	}
	return sum, err
}

// reporting sends the report of the day before, once in the cluster, and notes what holds the work back, while this pod leads.
func (a *App) reporting(ctx context.Context) {
	t := &throttled{}
	tick := time.NewTicker(throttleLook)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := t.look(ctx, a.ledger, a.pacer.now().last); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "note what holds the work back; it is tried again", "error", err)
		}
		if n%int(reportLook/throttleLook) != 0 {
			continue
		}
		if err := a.sendReport(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "send the report; it is tried again", "error", err)
		}
	}
}

// sendReport raises yesterday's summary, if it is time and nobody has.
func (a *App) sendReport(ctx context.Context) error {
	now, err := a.ledger.Now(ctx)
	if err != nil {
		return err
	}
	day := reportDay(now.Local())
	r, err := reports{a}.Report(ctx, day)
	if err != nil || r.Runs == 0 {
		return err
	}
	mine, err := a.ledger.SendReport(ctx, day)
	if mine {
		a.alerts.Raise(ctx, alert.Alert{Name: alert.DailyReport, Severity: alert.Info, Summary: r.Summary(), Remedy: "`prewarm report --day " + day + "`, or /report?day=" + day})
	}
	return err
}

// reportDay is pure: the last day whose report is due.
func reportDay(now time.Time) string {
	return now.Add(-reportAt).AddDate(0, 0, -1).Format(time.DateOnly)
}

// throttled keeps the ledger's record of what holds the work back.
type throttled struct {
	cause string
	from  time.Time
}

func (t *throttled) look(ctx context.Context, l *ledger.Store, last *pace.Published) (err error) {
	cause, reason := holding(last)
	if cause != t.cause {
		t.cause, t.from = cause, time.Time{}
	}
	if cause != "" {
		t.from, err = l.Throttled(ctx, t.from, cause, reason)
	}
	return err
}

// holding is pure: what holds the work back, or "".
func holding(last *pace.Published) (cause, reason string) {
	if last == nil {
		return "", ""
	}
	r, worst := last.Result, guard.Worst(last.Guard)
	switch {
	case r.Paused && worst.Zone < guard.Stop:
		return "by hand", r.Reason
	case r.Paused, r.Bound && r.Binds == pace.BindsGuard:
		if worst.Signal == "" {
			return "guard", r.Reason
		}
		return worst.Signal, worst.Reason
	case r.Bound:
		return "width (" + r.Binds + ")", r.Reason
	}
	return "", ""
}
